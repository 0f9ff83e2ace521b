"""Strays: processes that we launched and that the record of launches has lost, found by their environment.

Any user may run a process with such an environment, and so may the controller of a container whose data folder has the
same path as ours. So the kernel says whose it is, and in which pid namespace, and what would lead elsewhere than to our
own files and cgroups is not believed.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from signalbox.messages.base import ProcessKind
from signalbox_agent.cgroup import Cgroup
from signalbox_agent.proc import Proc, boot_id, pids, stat, variable
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.launches import Launch
from signalbox_controller.linux import procfs
from signalbox_controller.linux.accounts import user_of
from signalbox_controller.linux.procfs import INSTANCE_VARIABLE, arguments_of, environment_of, in_our_namespace

SOCKET_VARIABLE = b"SIGNALBOX_AGENT_SOCKET"
#: The module that every process of ours was launched with, and the option behind which its application stands.
_LAUNCHED: Final = ("-m", "signalbox_agent", "-A")
#: The options of `command_line` that say what is launched, and what stands behind each.
_OPTIONS: Final = {"-n": "node", "-Q": "queues", "-c": "concurrency", "-P": "pool", "-s": "schedule"}
#: The stop time-out of a process whose configuration nobody knows, in seconds.
_STOP_TIMEOUT = 30.0


#: An instance as we make them, and the name of a process as the file may have it.
_INSTANCE, _NAME = re.compile("[0-9a-f]{32}"), re.compile("[A-Za-z0-9][A-Za-z0-9_.-]*")


class CommandLine(msgspec.Struct, frozen=True):
    """What a command line of ours says."""

    #: The interpreter.
    python: str
    app: str
    kind: ProcessKind
    options: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of the process, by its node name or by the file of its schedule."""
        name = self.options.get("node", "").partition("@")[0] or Path(self.options.get("schedule", "")).stem
        return name if _NAME.fullmatch(name) else self.kind


def strays(
    is_ours: Callable[[str, int], bool], known: Collection[str], environ: Mapping[str, str], cgroup: Cgroup | None
) -> list[Launch]:
    """The launches of a controller that are alive and not known; one look at all processes.

    Args:
        is_ours: whether the controller gives this agents' socket to its processes of this user.
        known: the instances that are on record.
        environ: the variables that each process inherits from the controller.
        cgroup: that of the controller, in which those of its launches are.
    """
    found: dict[str, Proc] = {}
    for pid in pids():
        seen = stat(pid)
        # Each was made the leader of a session; what its tasks have launched has the same variables.
        if seen is None or seen.ended or seen.session != pid:
            continue
        socket, user = variable(pid, SOCKET_VARIABLE), procfs.user_of(pid)
        if not socket or user is None or not is_ours(socket, user) or not in_our_namespace(pid):
            continue
        instance = variable(pid, INSTANCE_VARIABLE) or ""
        if _INSTANCE.fullmatch(instance) and instance not in known and parse(arguments_of(pid)) is not None:
            found[instance] = seen.proc
    launches = (_launch(instance, proc, environ, cgroup) for instance, proc in found.items())
    return [launch for launch in launches if launch is not None]


def spec_of(pid: int, environ: Mapping[str, str]) -> ProcessSpec | None:
    """The spec of a process of ours, as far as it can be read from `/proc`; None when it is gone, or none of ours."""
    arguments = arguments_of(pid)
    line = parse(arguments)
    if line is None:
        return None
    try:
        directory = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None
    return ProcessSpec(
        name=line.name,
        kind=line.kind,
        app=line.app,
        label=line.app,
        directory=directory,
        python=line.python,
        environment=own_variables(environment_of(pid), environ),
        options=(),
        stop_timeout=_STOP_TIMEOUT,
        queues=tuple(filter(None, line.options.get("queues", "").split(","))),
        concurrency=_number(line.options.get("concurrency", "")),
        pool=line.options.get("pool", ""),
        user=user_of(pid),
    )


def parse(arguments: Sequence[str]) -> CommandLine | None:
    """Read a command line as `launcher.command_line` makes it; None when it is another one."""
    for start in range(1, len(arguments) - len(_LAUNCHED)):
        if tuple(arguments[start : start + len(_LAUNCHED)]) == _LAUNCHED:
            app, *rest = arguments[start + len(_LAUNCHED) :]
            kind: ProcessKind = "beat" if rest[:1] == ["beat"] else "worker"
            return CommandLine(arguments[start - 1], app, kind, dict(_pairs(rest)))
    return None


def own_variables(variables: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables that a process has beyond what it inherited, and beyond ours."""
    others = {name: value for name, value in variables.items() if inherited.get(name) != value}
    return {name: value for name, value in others.items() if not name.startswith("SIGNALBOX_") and name != "PYTHONPATH"}


def _pairs(arguments: Sequence[str]) -> Iterable[tuple[str, str]]:
    for option, value in pairwise(arguments):
        if option in _OPTIONS:
            yield _OPTIONS[option], value


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 1


def _launch(instance: str, proc: Proc, environ: Mapping[str, str], ours: Cgroup | None) -> Launch | None:
    spec = spec_of(proc.pid, environ)
    if spec is None:
        return None
    line = parse(arguments_of(proc.pid))
    made = ours.below(instance).path if ours else ""
    cgroup = made if variable(proc.pid, b"SIGNALBOX_CGROUP") == made else ""
    node = line.options.get("node", "") if line else ""
    return Launch(instance=instance, boot=boot_id(), proc=proc, cgroup=cgroup, spec=spec, node=node, found=True)
