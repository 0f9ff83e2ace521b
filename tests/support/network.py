"""Machines as network namespaces on a bridge: each has an address, and a cable that a test pulls and plugs in."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import randbelow, token_hex

from support.requirement import missing

#: Where `ip` is on a Debian, whatever the PATH of a service says.
_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Network:
    """A bridge in our own namespace. Its names and addresses are its own, so that several may be there at once."""

    def __init__(self) -> None:
        self._tag = f"sb{token_hex(3)}"
        self._names: list[str] = []
        self._subnet = _free_subnet()

    @property
    def address(self) -> str:
        """Ours, as the machines see it."""
        return f"{self._subnet}.1"

    def build(self) -> None:
        """Make the bridge."""
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("address", "add", f"{self.address}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")

    def add(self, name: str) -> None:
        """Make a machine, with its cable plugged in."""
        self._names.append(name)
        space, cable = self._space(name), self._cable(name)
        _ip("netns", "add", space)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("-n", space, "address", "add", f"{self._subnet}.{len(self._names) + 1}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", space, "link", "set", device, "up")
        self.plug_in(name)

    def pull(self, name: str) -> None:
        """Cut a machine off; it sees that its link is down."""
        _ip("link", "set", self._cable(name), "down")

    def swallow(self, name: str) -> None:
        """Cut a machine off without its noticing: what it sends arrives nowhere, and nothing comes."""
        _ip("link", "set", self._cable(name), "nomaster")

    def plug_in(self, name: str) -> None:
        """Connect it again."""
        _ip("link", "set", self._cable(name), "master", self._bridge)
        _ip("link", "set", self._cable(name), "up")

    def inside(self, name: str, *command: str) -> list[str]:
        """The command that runs another one on a machine; it keeps its pid, and sees our files and processes."""
        return ["nsenter", f"--net={self._file(name)}", "--", *command]

    def holds(self, name: str, pid: int) -> bool:
        """Whether a process runs on a machine."""
        return Path(f"/proc/{pid}/ns/net").stat().st_ino == self._file(name).stat().st_ino

    def remove(self) -> None:
        """Take all of it away, whatever there is of it."""
        for name in self._names:  # the cable first: a namespace lives on while a connection of it does
            _ip("link", "delete", self._cable(name), check=False)
            _ip("netns", "delete", self._space(name), check=False)
        _ip("link", "delete", self._bridge, check=False)

    @property
    def _bridge(self) -> str:
        return f"{self._tag}-br"

    def _space(self, name: str) -> str:
        return f"{self._tag}-{name}"

    def _file(self, name: str) -> Path:
        return Path("/run/netns", self._space(name))

    def _cable(self, name: str) -> str:
        """Names of devices have at most 15 characters."""
        return f"{self._tag}-{self._names.index(name)}"


@contextmanager
def a_network() -> Iterator[Network]:
    """An empty network; skips the test where this machine cannot have one."""
    if os.geteuid() != 0:
        missing("making network namespaces takes root")
    for program, package in (("ip", "iproute2"), ("nsenter", "util-linux")):
        if shutil.which(program, path=_PATH) is None:
            missing(f"there is no {program} (apt-get install {package})")
    network = Network()
    try:
        try:
            network.build()
        except subprocess.CalledProcessError as error:
            missing(f"this kernel or container allows no bridge: {error.stderr.strip()}")
        yield network
    finally:
        network.remove()


def _free_subnet() -> str:
    """Of the addresses that are set aside for tests of networks (RFC 2544)."""
    while True:
        subnet = f"198.{18 + randbelow(2)}.{randbelow(256)}"
        if not _ip("-4", "route", "show", f"{subnet}.0/24"):
            return subnet


def _ip(*arguments: str, check: bool = True) -> str:
    environ = os.environ | {"PATH": _PATH}
    done = subprocess.run(
        ["ip", *arguments],
        env=environ,
        check=check,
        timeout=10,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()
