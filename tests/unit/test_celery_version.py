"""The version of Celery, asked before a launch: what is too old is refused in one sentence."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.celery_version import CeleryVersions, refusal_of
from signalbox_controller.launch.launcher import Launcher
from signalbox_controller.linux.reaper import Reaper


@pytest.mark.parametrize("version", ["5.3.1", "5.4.0", "5.5.0rc1", "5.7.0", "5.9.0", "6.0", "", "unknown"])
def test_what_may_work_is_launched(version: str) -> None:
    assert refusal_of(version, "python") == ""


@pytest.mark.parametrize("version", ["5.2.7", "4.4.7"])
def test_what_is_too_old_is_refused(version: str) -> None:
    said = f"not launched: python has Celery {version}, Signalbox supports Celery 5.3 to 5.7; update Celery"
    assert refusal_of(version, "python") == said


@pytest.fixture
async def reaper() -> AsyncIterator[Reaper]:
    """The controller's: it reaps every child that nobody claims."""
    reaper, loop = Reaper(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, reaper.reap)
    yield reaper
    loop.remove_signal_handler(signal.SIGCHLD)


@pytest.fixture
def launcher(tmp_path: Path) -> Launcher:
    return Launcher(host="h", logs=tmp_path, state=tmp_path, agent=tmp_path, socket=tmp_path, environ={})


def a_spec(folder: Path, script: str, **environment: str) -> ProcessSpec:
    """A worker whose interpreter is this script."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return ProcessSpec(
        name="worker",
        kind="worker",
        app="shop",
        label="shop",
        directory=folder,
        python=str(python),
        environment=environment,
        options=(),
        stop_timeout=30.0,
    )


@pytest.mark.parametrize(
    ("script", "refused"),
    [("echo some noise; echo celery 5.2.7", True), ("echo celery 5.7.0", False), ("exit 1", False)],
)
async def test_the_interpreter_itself_is_asked(
    tmp_path: Path, launcher: Launcher, reaper: Reaper, script: str, refused: bool
) -> None:
    spec, versions = a_spec(tmp_path, script), CeleryVersions()
    assert ("5.2.7" in await versions.refusal(spec, launcher, reaper)) == refused
    assert ("5.2.7" in await versions.refusal(spec, launcher, reaper)) == refused


async def test_the_same_interpreter_is_asked_again_in_another_environment(
    tmp_path: Path, launcher: Launcher, reaper: Reaper
) -> None:
    versions = CeleryVersions()
    new, old = (a_spec(tmp_path, "echo celery $CELERY", CELERY=version) for version in ("5.7.0", "5.2.7"))
    assert await versions.refusal(new, launcher, reaper) == ""
    assert versions.knows(new)
    assert not versions.knows(old)
    assert "5.2.7" in await versions.refusal(old, launcher, reaper)
