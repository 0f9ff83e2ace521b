"""Check of a configuration, `signalbox-controller --check`: each application is asked in its own environment."""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from signalbox.settings import Settings
from signalbox_controller.config.settings import Configuration
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.agent_copies import copy_agent
from signalbox_controller.launch.launcher import WITHHELD, Launcher, command_line, inheritable, withheld
from signalbox_controller.launch.user_folders import UserFolders

PROGRAM = "signalbox_agent.check"
#: Seconds that the import of an application may take.
WITHIN = 120.0


class Finding(msgspec.Struct, frozen=True):
    """Something that a person should know of the configuration."""

    #: The application and the process, as in `apps.shop.worker`.
    where: str
    text: str
    #: Whether the process cannot work like that.
    error: bool = True


class Answer(msgspec.Struct, frozen=True):
    """The output of the program; see there."""

    errors: tuple[tuple[str, str], ...]
    notes: tuple[tuple[str, str], ...]


def check(configuration: Configuration, host: str, settings: Settings, environ: Mapping[str, str]) -> list[Finding]:
    """Check all processes; each application and environment is imported once."""
    with tempfile.TemporaryDirectory(prefix="signalbox-check-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # the users of the applications have to reach the agent
        launcher = Launcher(
            host=host,
            logs=folder,
            state=folder,
            agent=copy_agent(folder / "agent"),
            socket=folder / "none",
            environ=inheritable(environ, settings),
            user_folders=UserFolders(folder, folder / "none"),
        )
        found = [finding for group in _groups(configuration) for finding in _check(group, launcher)]
    return found + [Finding(name, WITHHELD, error=False) for name in withheld(environ, settings)]


def _groups(configuration: Configuration) -> list[list[ProcessSpec]]:
    """The processes by application and environment."""

    def key(spec: ProcessSpec) -> tuple[object, ...]:
        return spec.label, spec.app, spec.python, str(spec.directory), spec.user, sorted(spec.environment.items())

    return [list(group) for _, group in groupby(sorted(configuration.processes, key=key), key=key)]


def _check(specs: Sequence[ProcessSpec], launcher: Launcher) -> Iterator[Finding]:
    spec = specs[0]
    place = f"apps.{spec.label}"
    try:
        answer, words = _ask(specs, launcher)
    except FileNotFoundError:
        yield Finding(f"{place}.python", f"there is no interpreter {spec.python!r}; correct `python`")
        return
    except OSError as error:
        yield Finding(f"{place}.python", f"{spec.python!r} cannot be run: {error.strerror}; correct `python`")
        return
    if answer is None:
        yield Finding(place, f"the import of {spec.app!r} did not come to its end: {words}")
        return
    for texts, is_error in ((answer.errors, True), (answer.notes, False)):
        for name, text in texts:
            yield Finding(f"{place}.{name}" if name else place, text, is_error)


def _ask(specs: Sequence[ProcessSpec], launcher: Launcher) -> tuple[Answer | None, str]:
    """The answer of the program; without one, the last words of the interpreter."""
    pipe = subprocess.PIPE
    process = launcher.helper(specs[0], "-m", PROGRAM, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        output, errors = process.communicate(msgspec.json.encode(_order(specs, launcher)), timeout=WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None, f"it took longer than {WITHIN:.0f} s"
    try:
        return msgspec.json.decode(b"{" + output.rpartition(b"\n{")[2], type=Answer), ""
    except msgspec.DecodeError:
        lines = errors.decode(errors="replace").strip().splitlines() or ["it wrote nothing"]
        return None, f"exit code {process.returncode}: {lines[-1]}"


def _order(specs: Sequence[ProcessSpec], launcher: Launcher) -> dict[str, object]:
    return {"app": specs[0].app, "processes": [_process(spec, launcher) for spec in specs]}


def _process(spec: ProcessSpec, launcher: Launcher) -> dict[str, object]:
    line = command_line(spec, launcher.host, launcher.state)
    start = line.index("-A", len(spec.command)) + 3  # behind the application and the name of the command
    return {"name": spec.name, "kind": spec.kind, "arguments": line[start:], "queues": spec.queues}
