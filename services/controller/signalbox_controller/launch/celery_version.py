"""The version of Celery that an application's interpreter has: asked before a launch, as agents need 5.3 to 5.7."""

import logging
import tempfile
from pathlib import Path
from subprocess import DEVNULL

from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.launcher import Launcher
from signalbox_controller.linux.helper import wait_for
from signalbox_controller.linux.reaper import Reaper

log = logging.getLogger(__name__)

#: The oldest and the newest version that the agent is tested with.
OLDEST, NEWEST = (5, 3), (5, 7)
SUPPORTED = "Celery 5.3 to 5.7"
#: Seconds that the interpreter may take to answer.
WITHIN = 10.0

_QUESTION = "from importlib.metadata import version; print('celery', version('celery'))"

#: What decides which Celery a process imports.
Environment = tuple[str, Path, frozenset[tuple[str, str]]]


class CeleryVersions:
    """Asks interpreters in the environments of their processes, and remembers where Celery is supported."""

    def __init__(self) -> None:
        self._supported: set[Environment] = set()

    def knows(self, spec: ProcessSpec) -> bool:
        """Whether its interpreter has been asked in its environment, and its Celery is supported."""
        return _environment(spec) in self._supported

    async def refusal(self, spec: ProcessSpec, launcher: Launcher, reaper: Reaper) -> str:
        """Why the process must not be launched; empty when it may, also where the version cannot be had."""
        interpreter = str(spec.python)
        version = await _ask(spec, launcher, reaper)
        if (refusal := refusal_of(version, interpreter)) or not version:
            return refusal
        self._supported.add(_environment(spec))
        if _numbers(version)[:2] > NEWEST:
            log.warning("%s has Celery %s; Signalbox is tested with %s", interpreter, version, SUPPORTED)
        return ""


def refusal_of(version: str, interpreter: str) -> str:
    """Why this version of Celery is refused; empty when it is not, or is not known."""
    if not _numbers(version) or _numbers(version)[:2] >= OLDEST:
        return ""
    return f"not launched: {interpreter} has Celery {version}, Signalbox supports {SUPPORTED}; update Celery"


def _numbers(version: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in version.split(".")[:2])
    except ValueError:
        return ()


def _environment(spec: ProcessSpec) -> Environment:
    return spec.python, spec.directory, frozenset(spec.environment.items())


async def _ask(spec: ProcessSpec, launcher: Launcher, reaper: Reaper) -> str:
    """The version; empty when the interpreter does not answer, or has no Celery of which it knows."""
    try:
        with tempfile.TemporaryFile() as output:
            helper = launcher.helper(spec, "-c", _QUESTION, stdin=DEVNULL, stdout=output, stderr=DEVNULL)
            await wait_for(helper, reaper, WITHIN)
            output.seek(0)
            answers = [line.split() for line in output.read().decode(errors="replace").splitlines()]
    except OSError:  # the launch will say why
        return ""
    return next((words[1] for words in answers if len(words) == 2 and words[0] == "celery"), "")
