"""Settings: one frozen object, read from the environment once, in `__main__`."""

import math
import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from signalbox.errors import SettingsError

MIN_KEY_LENGTH = 32

#: A thousand years: more than that no date can be shifted by.
_LONGEST = 3.2e10

#: No process has as many connections.
_MOST = 1_000_000

Network = IPv4Network | IPv6Network

_ROOT_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of every service; durations are in seconds.

    `SIGNALBOX_REDIS_URL` and `SIGNALBOX_DATABASE_URL` win over the plain `REDIS_URL` and
    `DATABASE_URL`, so that Signalbox can share an environment with the application it watches.
    """

    #: `SIGNALBOX_REDIS_URL`, else `REDIS_URL`: the bus.
    redis_url: str
    #: `SIGNALBOX_DATABASE_URL`, else `DATABASE_URL`: the record; empty where none is needed.
    database_url: str = ""
    #: `SIGNALBOX_KEY`: the secret that signs commands, at least 32 characters.
    key: str
    #: `SIGNALBOX_HOST`: the address that the api listens on.
    host: str = "127.0.0.1"
    #: `SIGNALBOX_PORT`: the port that the api listens on.
    port: int = 8000
    #: `SIGNALBOX_ROOT_PATH`: the path below which a proxy serves the api, as in `/signalbox`; empty: none.
    root_path: str = ""
    #: `SIGNALBOX_TRUSTED_PROXIES`, else `FORWARDED_ALLOW_IPS`: the proxies whose X-Forwarded-* headers are believed.
    trusted_proxies: tuple[Network, ...] = ()
    #: `SIGNALBOX_CONNECTIONS`: connections that the api holds at a time.
    connections: int = 2000
    #: `SIGNALBOX_CONNECTIONS_PER_ADDRESS`: those of one address, or of one IPv6 network (/64); not of a trusted proxy.
    connections_per_address: int = 200
    #: `SIGNALBOX_SOCKETS_PER_CALLER`: live connections that one user or token may have with an api.
    sockets_per_caller: int = 100
    #: `SIGNALBOX_DATA`: the folder for state that must survive a restart.
    data: Path = Path(".signalbox")
    #: `SIGNALBOX_CONFIG`: the controller's list of processes.
    config: Path = Path("signalbox.toml")
    #: `SIGNALBOX_HOSTNAME`: how this host is called on the bus and in the record.
    hostname: str = ""
    #: `SIGNALBOX_ON_EXIT`: `leave` (default) lets Celery run on when its controller ends; `stop` ends it too.
    on_exit: str = "leave"
    #: `SIGNALBOX_CGROUPS`: `auto` (default) makes cgroups where the controller may; `off` makes none.
    cgroups: str = "auto"
    #: `SIGNALBOX_LOST_AFTER`: seconds of a host's silence after which the tasks that ran on it count as failed.
    lost_after: float = 300.0
    #: `SIGNALBOX_FORGET_AFTER`: seconds of a host's silence after which it is forgotten; a day.
    forget_after: float = 86400.0
    #: `SIGNALBOX_REMEMBER_CANCELLED`: seconds after a cancel for which its task is refused, should it turn up; a week.
    remember_cancelled: float = 604800.0
    #: `SIGNALBOX_KEEP_COMPLETED`: seconds for which completed tasks are kept after their end, with their logs; 30 days.
    #: They go whole periods at a time, up to a sixth of that later.
    keep_completed: float = 2592000.0
    #: `SIGNALBOX_KEEP_FAILED`: the same of failed tasks.
    keep_failed: float = 2592000.0
    #: `SIGNALBOX_KEEP_COMMANDS`: seconds for which commands and the lines of the trail are kept; a year.
    keep_commands: float = 31536000.0
    #: `SIGNALBOX_LOG_LEVEL`: debug, info, warning or error.
    log_level: str = "info"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read and check the environment.

        Raises:
            SettingsError: one is missing or makes no sense.
        """
        return cls(
            redis_url=_redis_url(environ, "SIGNALBOX_REDIS_URL", "REDIS_URL"),
            database_url=environ.get("SIGNALBOX_DATABASE_URL") or environ.get("DATABASE_URL", ""),
            key=_key(environ),
            host=environ.get("SIGNALBOX_HOST", "127.0.0.1"),
            port=_port(environ.get("SIGNALBOX_PORT", "8000")),
            root_path=_root_path(environ.get("SIGNALBOX_ROOT_PATH", "")),
            trusted_proxies=_trusted_proxies(environ),
            connections=_count(environ, "SIGNALBOX_CONNECTIONS", 2000),
            connections_per_address=_count(environ, "SIGNALBOX_CONNECTIONS_PER_ADDRESS", 200),
            sockets_per_caller=_count(environ, "SIGNALBOX_SOCKETS_PER_CALLER", 100),
            data=Path(environ.get("SIGNALBOX_DATA", ".signalbox")),
            config=Path(environ.get("SIGNALBOX_CONFIG", "signalbox.toml")),
            hostname=environ.get("SIGNALBOX_HOSTNAME") or socket.gethostname(),
            on_exit=_choice(environ, "SIGNALBOX_ON_EXIT", ("leave", "stop")),
            cgroups=_choice(environ, "SIGNALBOX_CGROUPS", ("auto", "off")),
            lost_after=_seconds(environ, "SIGNALBOX_LOST_AFTER", 300.0),
            forget_after=_seconds(environ, "SIGNALBOX_FORGET_AFTER", 86400.0),
            remember_cancelled=_seconds(environ, "SIGNALBOX_REMEMBER_CANCELLED", 604800.0),
            keep_completed=_seconds(environ, "SIGNALBOX_KEEP_COMPLETED", 2592000.0, least=3600.0),
            keep_failed=_seconds(environ, "SIGNALBOX_KEEP_FAILED", 2592000.0, least=3600.0),
            keep_commands=_seconds(environ, "SIGNALBOX_KEEP_COMMANDS", 31536000.0, least=86400.0),
            log_level=_choice(environ, "SIGNALBOX_LOG_LEVEL", ("info", "debug", "warning", "error")),
        )


def _redis_url(environ: Mapping[str, str], *names: str) -> str:
    url = next((value for name in names if (value := environ.get(name))), "")
    if not url:
        raise SettingsError(f"{names[0]} is not set; set it to the address of Redis, as in redis://127.0.0.1:6379/0")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"redis", "rediss", "unix"} and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:  # it may contain a password, so it is not shown
        raise SettingsError(f"{names[0]} is no address of Redis; it must look like redis://:password@127.0.0.1:6379/0")
    return url


def _key(environ: Mapping[str, str]) -> str:
    key = environ.get("SIGNALBOX_KEY", "")
    if len(key) < MIN_KEY_LENGTH:
        raise SettingsError(
            f"SIGNALBOX_KEY must be a secret of at least {MIN_KEY_LENGTH} characters, the same for every service;"
            " `signalbox setup` makes one and writes it into signalbox.env"
        )
    return key


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 65536:
        raise SettingsError(f"SIGNALBOX_PORT is {text!r}; it must be a number from 1 to 65535")
    return int(text)


def _root_path(text: str) -> str:
    path = text.rstrip("/")
    if not _ROOT_PATH.fullmatch(path):
        raise SettingsError(
            f"SIGNALBOX_ROOT_PATH is {text!r}; it must be a path of letters, digits and - . _ ~, as in /signalbox"
        )
    return path


def _trusted_proxies(environ: Mapping[str, str]) -> tuple[Network, ...]:
    texts = environ.get("SIGNALBOX_TRUSTED_PROXIES", "").replace(",", " ").split()
    try:
        found = tuple(ip_network(text, strict=False) for text in texts)
    except ValueError as error:
        raise SettingsError(
            f"SIGNALBOX_TRUSTED_PROXIES is {environ['SIGNALBOX_TRUSTED_PROXIES']!r}; it must list the addresses or"
            " networks of your proxies, as in 127.0.0.1,10.0.0.0/8"
        ) from error
    return found or _of_uvicorn(environ.get("FORWARDED_ALLOW_IPS", ""))


def _of_uvicorn(text: str) -> tuple[Network, ...]:
    """The same of a variable that is not ours, and may be set for an application that shares our environment.

    What names no proxy in it, as `*` does, is believed by nobody and keeps no service from starting.
    """
    found: list[Network] = []
    for one in text.replace(",", " ").split():
        with suppress(ValueError):
            found.append(ip_network(one, strict=False))
    return tuple(found)


def _count(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:9]) < _MOST or len(text) > 9:
        raise SettingsError(f"{name} is {text!r}; it must be a number from 1 to {_MOST - 1}")
    return int(text)


def _seconds(environ: Mapping[str, str], name: str, default: float, *, least: float = 0.0) -> float:
    text = environ.get(name) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _LONGEST or seconds < least:
        bound = f"{least:g} at least" if least else "more than 0"
        raise SettingsError(f"{name} is {text!r}; it must be a number of seconds, {bound}")
    return seconds


def _choice(environ: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = environ.get(name, choices[0])
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}; it must be one of: {', '.join(choices)}")
    return value
