"""Settings of a host, `signalbox.toml`: the processes that a controller runs, read and checked once at the start."""

import os
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from signalbox.messages.base import ProcessKind
from signalbox_controller.config.celery_options import reserved_option
from signalbox_controller.config.patterns import refused_pattern
from signalbox_controller.config.specs import AppSpec, ProcessSpec, RestartPolicy, WatchSpec
from signalbox_controller.errors import ConfigurationError, NameServiceSilent
from signalbox_controller.linux.accounts import account_of
from signalbox_controller.logs.logfile import Limits

T = TypeVar("T")

#: Names become file names and parts of Celery's node names.
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Queue = Annotated[str, msgspec.Meta(pattern=r"^[^,\s]+$")]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Timeout = Annotated[float, msgspec.Meta(ge=1)]

#: The variable in which Celery looks for the class of the pool `custom`.
CUSTOM_POOL = "CELERY_CUSTOM_WORKER_POOL"

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Worker(_Table, frozen=True, kw_only=True):
    """`[[apps.<app>.workers]]`; durations are in seconds."""

    name: Name
    #: Without any, the worker consumes what its application says.
    queues: Annotated[tuple[Queue, ...], msgspec.Meta(min_length=1)] = ()
    concurrency: Annotated[int, msgspec.Meta(ge=1)] = 4
    pool: Literal["prefork", "processes", "threads", "solo", "gevent", "eventlet", "custom"] = "prefork"
    options: tuple[str, ...] = ()
    command: tuple[Text, ...] = ()
    gossip: bool = False
    mingle: bool = False
    heartbeat: bool = False
    events: bool = False
    environment: dict[str, str] = {}
    start_timeout: Timeout = 30.0
    stop_timeout: Seconds = 30.0
    kill_after: Seconds = 5.0
    restart: RestartPolicy = "on-failure"
    restart_limit: Annotated[int, msgspec.Meta(ge=1)] = 8


class Beat(_Table, frozen=True, kw_only=True):
    """`[apps.<app>.beat]`; durations are in seconds."""

    name: Name = "beat"
    options: tuple[str, ...] = ()
    command: tuple[Text, ...] = ()
    environment: dict[str, str] = {}
    start_timeout: Timeout = 30.0
    stop_timeout: Seconds = 30.0
    lease: Seconds = 10.0


class Watch(_Table, frozen=True, kw_only=True):
    """`[apps.<app>.watch]`: look after workers of the application that have no agent."""

    enable_events: bool = True
    lost_after: Timeout = 300.0


class Privacy(_Table, frozen=True, kw_only=True):
    """`[apps.<app>.privacy]`: what does not leave the workers."""

    arguments: Literal["shown", "hidden"] = "shown"
    redact: tuple[Text, ...] = ()


class App(_Table, frozen=True, kw_only=True):
    """`[apps.<app>]`: one Celery application."""

    app: Text
    directory: str = "."
    python: Text = sys.executable
    user: str = ""
    environment: dict[str, str] = {}
    minimum_running: Annotated[int, msgspec.Meta(ge=0)] = 0
    workers: list[Worker] = []
    beat: Beat | None = None
    watch: Watch | None = None
    privacy: Privacy = Privacy()


class _File(_Table, frozen=True, kw_only=True):
    """The top level; each application is read by itself, so that an error can name it."""

    host: Name = ""
    logs: Limits = Limits()
    apps: Annotated[dict[Name, dict[str, Any]], msgspec.Meta(min_length=1)]


class Configuration(msgspec.Struct, frozen=True):
    """What the file says, with every path absolute and every reference resolved."""

    #: Empty when the file leaves it to the environment.
    host: str
    processes: tuple[ProcessSpec, ...]
    logs: Limits = Limits()
    #: Applications whose workers without an agent are watched from this host.
    watches: tuple[WatchSpec, ...] = ()


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Configuration:
    """Read and check the file; `environ` is what `${NAME}` refers to.

    Raises:
        ConfigurationError: the file is missing or makes no sense.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path} does not exist; copy signalbox.example.toml, or set SIGNALBOX_CONFIG to where it is"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not TOML: {error}; correct that place") from error
    top = _convert(path, "", document, _File)
    apps = {label: _convert(path, f"apps.{label}", table, App) for label, table in top.apps.items()}
    specs = [spec for label, app in apps.items() for spec in _specs(path, label, app, environ)]
    processes = _uniquely_named(path, [spec for spec in specs if isinstance(spec, ProcessSpec)])
    watches = tuple(spec for spec in specs if isinstance(spec, WatchSpec))
    return Configuration(top.host, processes, top.logs, watches)


def _convert(path: Path, key: str, value: object, shape: type[T]) -> T:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {_error_text(str(error), key, shape)}") from error


def _error_text(error: str, key: str, shape: type) -> str:
    """The error of msgspec, with the key as it is written in the file, and the keys that could stand there."""
    found = _PLACE.match(error)
    what, place = (found["what"], found["key"] or "$") if found else (error, "$")
    where = (key + place.removeprefix("$")).lstrip(".") or "the top level"
    if unknown := _UNKNOWN.match(what):
        table = _table_at(place, shape)
        allowed = ", ".join(field for field in table.__struct_fields__)
        return f"{where} has a key {unknown[1]!r} that means nothing here; remove it or use one of: {allowed}"
    return f"{where}: {what[0].lower()}{what[1:]}; see signalbox.example.toml for what it may be"


def _table_at(place: str, shape: type) -> type[msgspec.Struct]:
    nested: dict[str, type[msgspec.Struct]] = {
        ".workers": Worker,
        ".beat": Beat,
        ".watch": Watch,
        ".privacy": Privacy,
        ".logs": Limits,
    }
    return next((table for key, table in nested.items() if key in place), _File if shape is _File else App)


def _specs(path: Path, label: str, app: App, environ: Mapping[str, str]) -> Iterator[AppSpec]:
    where, folder = f"{path}: apps.{label}", path.absolute().parent
    directory = folder / app.directory
    if not directory.is_dir():
        raise ConfigurationError(f"{where}.directory: there is no folder {directory}; correct it")
    if app.minimum_running and app.minimum_running >= len(app.workers):
        raise ConfigurationError(
            f"{where}.minimum_running is {app.minimum_running}, of {len(app.workers)} workers: none could ever be"
            " restarted; it must be lower than their number"
        )
    if error := _refused_user(app.user):
        raise ConfigurationError(f"{where}.user: {error}")
    _check_patterns(where, app.privacy)
    python = str(folder / app.python if "/" in app.python else app.python)
    common: dict[str, Any] = {
        "app": app.app,
        "label": label,
        "directory": directory,
        "python": python,
        "user": app.user,
        "hide_arguments": app.privacy.arguments == "hidden",
        "redact": app.privacy.redact,
    }
    general = _resolved(f"{where}.environment", app.environment, environ)

    def fields(key: str, kind: ProcessKind, table: Worker | Beat) -> dict[str, Any]:
        """The fields of a spec: each key of the table is one of them."""
        if error := reserved_option(kind, table.options):
            raise ConfigurationError(f"{where}.{key}.options: {error}")
        own = _resolved(f"{where}.{key}.environment", table.environment, environ)
        return common | msgspec.structs.asdict(table) | {"kind": kind, "environment": general | own}

    for worker in app.workers:
        given = {**environ, **general, **worker.environment}
        if worker.pool == "custom" and not given.get(CUSTOM_POOL):
            raise ConfigurationError(
                f"{where}.workers.{worker.name}.pool is 'custom', and {CUSTOM_POOL} is not set; set it to the pool's"
                f" `package:Class` in {where}.workers.environment"
            )
        yield ProcessSpec(minimum_running=app.minimum_running, **fields(f"workers.{worker.name}", "worker", worker))
    if app.beat is not None:
        yield ProcessSpec(**fields("beat", "beat", app.beat))
    if app.watch is not None:
        yield WatchSpec(**common, environment=general, **msgspec.structs.asdict(app.watch))


def _check_patterns(where: str, privacy: Privacy) -> None:
    for pattern in privacy.redact:
        if error := refused_pattern(pattern):
            raise ConfigurationError(f"{where}.privacy.redact: the pattern {pattern!r} {error}")


def _refused_user(name: str) -> str:
    """Why processes cannot run as this user; empty when they can."""
    try:
        account = account_of(name) if name else None
    except NameServiceSilent as error:
        return str(error)
    if account is None:
        return f"there is no user {name!r} on this machine; correct it" if name else ""
    if os.geteuid() not in {0, account.uid}:
        return f"only root can run processes as {name}; run the controller as root, or leave `user` out"
    return ""


def _resolved(where: str, values: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    def value_of(reference: re.Match[str]) -> str:
        try:
            return environ[reference[1]]
        except KeyError:
            raise ConfigurationError(
                f"{where} refers to ${{{reference[1]}}}, which is not set; "
                "set it in the controller's environment or write the value itself"
            ) from None

    return {name: _REFERENCE.sub(value_of, value) for name, value in values.items()}


def _uniquely_named(path: Path, drafts: list[ProcessSpec]) -> tuple[ProcessSpec, ...]:
    """Give a name that two applications use the application's name in front; node names are unique then, too."""
    for (label, name), count in Counter((spec.label, spec.name) for spec in drafts).items():
        if count > 1:
            raise ConfigurationError(f"{path}: apps.{label}: two processes are called {name!r}; give one another name")
    uses = Counter(spec.name for spec in drafts)
    specs = tuple(
        msgspec.structs.replace(spec, name=f"{spec.label}-{spec.name}") if uses[spec.name] > 1 else spec
        for spec in drafts
    )
    for name, count in Counter(spec.name for spec in specs).items():
        if count > 1:
            raise ConfigurationError(f"{path}: two processes come to be called {name!r}; give one another name")
    return specs
