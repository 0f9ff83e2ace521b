"""The version of Celery that an application's interpreter has: asked before a launch, as agents need 5.3 to 5.7."""

import asyncio
import contextlib
import logging

from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.launcher import Launcher

log = logging.getLogger(__name__)

#: The oldest and the newest version that the agent is tested with.
OLDEST, NEWEST = (5, 3), (5, 7)
SUPPORTED = "Celery 5.3 to 5.7"
#: Seconds that the interpreter may take to answer.
WITHIN = 10.0

_QUESTION = "from importlib.metadata import version; print('celery', version('celery'))"


class CeleryVersions:
    """Asks interpreters, and remembers those whose Celery is supported."""

    def __init__(self) -> None:
        self._supported: set[str] = set()

    def knows(self, spec: ProcessSpec) -> bool:
        """Whether the interpreter has been asked, and its Celery is supported."""
        return str(spec.python) in self._supported

    async def refusal(self, spec: ProcessSpec, launcher: Launcher) -> str:
        """Why the process must not be launched; empty when it may, also where the version cannot be had."""
        interpreter = str(spec.python)
        version = await _ask(spec, launcher)
        if (refusal := refusal_of(version, interpreter)) or not version:
            return refusal
        self._supported.add(interpreter)
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


async def _ask(spec: ProcessSpec, launcher: Launcher) -> str:
    """The version; empty when the interpreter does not answer, or has no Celery of which it knows."""
    try:
        process = await asyncio.create_subprocess_exec(
            spec.python,
            "-c",
            _QUESTION,
            cwd=spec.directory,
            env=launcher.helper_environment(spec),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:  # the launch will say why
        return ""
    try:
        async with asyncio.timeout(WITHIN):
            output, _ = await process.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return ""
    answers = [line.split() for line in output.decode(errors="replace").splitlines()]
    return next((words[1] for words in answers if len(words) == 2 and words[0] == "celery"), "")
