"""The version of Celery, asked before a launch: what is too old is refused in one sentence."""

from pathlib import Path

import pytest

from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.celery_version import CeleryVersions, refusal_of
from signalbox_controller.launch.launcher import Launcher


@pytest.mark.parametrize("version", ["5.3.1", "5.4.0", "5.5.0rc1", "5.7.0", "5.9.0", "6.0", "", "unknown"])
def test_what_may_work_is_launched(version: str) -> None:
    assert refusal_of(version, "python") == ""


@pytest.mark.parametrize("version", ["5.2.7", "4.4.7"])
def test_what_is_too_old_is_refused(version: str) -> None:
    said = f"not launched: python has Celery {version}, Signalbox supports Celery 5.3 to 5.7; update Celery"
    assert refusal_of(version, "python") == said


@pytest.mark.parametrize(
    ("script", "refused"),
    [("echo some noise; echo celery 5.2.7", True), ("echo celery 5.7.0", False), ("exit 1", False)],
)
async def test_the_interpreter_itself_is_asked(tmp_path: Path, script: str, refused: bool) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    spec = ProcessSpec(
        name="worker",
        kind="worker",
        app="shop",
        label="shop",
        directory=tmp_path,
        python=str(python),
        environment={},
        options=(),
        stop_timeout=30.0,
    )
    launcher = Launcher(host="h", logs=tmp_path, state=tmp_path, agent=tmp_path, socket=tmp_path, environ={})
    versions = CeleryVersions()
    assert ("5.2.7" in await versions.refusal(spec, launcher)) == refused
    assert ("5.2.7" in await versions.refusal(spec, launcher)) == refused
