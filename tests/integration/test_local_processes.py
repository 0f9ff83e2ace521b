"""The processes of a local run: never left behind, never hit by a Ctrl-C that was meant for us."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from signalbox_local.errors import DidNotStart
from signalbox_local.processes.child import Child
from signalbox_local.processes.identity import Identity
from signalbox_local.processes.waiting import ended_within
from support.eventually import HANGS

LOCAL = Path(__file__).parents[2] / "deploy" / "local"
SLEEP = [sys.executable, "-c", "import signal; print('hello', flush=True); signal.pause()"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); signal.pause()",
]


def a_run_that_is_killed(data: Path) -> int:
    """Start a child from another process that then kills itself; the child's pid."""
    script = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from signalbox_local.processes.child import Child
        child = Child("sleeper", Path(sys.argv[1]))
        child.start(sys.argv[2:])
        print(child.pid, flush=True)
        os.kill(os.getpid(), 9)
    """)
    environ = {**os.environ, "PYTHONPATH": str(LOCAL)}
    command = [sys.executable, "-c", script, str(data), *SLEEP]
    run = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=HANGS, check=False)
    assert run.returncode == -signal.SIGKILL
    return int(run.stdout)


async def test_a_child_dies_with_us_even_when_we_are_killed(tmp_path: Path) -> None:
    assert await ended_within(a_run_that_is_killed(tmp_path), HANGS)


async def test_a_child_is_out_of_reach_of_the_terminals_ctrl_c(tmp_path: Path) -> None:
    child = Child("sleeper", tmp_path)
    child.start(SLEEP)
    try:
        assert child.pid is not None
        assert os.getsid(child.pid) == child.pid
    finally:
        await child.stop()


async def test_a_deaf_child_is_killed_at_its_deadline_and_its_last_words_are_kept(tmp_path: Path) -> None:
    child = Child("deaf", tmp_path)
    child.start(STUBBORN)
    while "deaf" not in child.last_lines():
        assert not await ended_within(child.pid or 0, 0.02)
    await child.stop((signal.SIGTERM, 0.1))
    assert child.exit_code == -signal.SIGKILL
    with pytest.raises(DidNotStart, match=r"deaf broke; the last lines of .*deaf.log:\n    deaf"):
        raise child.failure("broke")


async def test_what_a_killed_run_left_is_ended_before_the_next_one_starts(tmp_path: Path) -> None:
    left = subprocess.Popen(SLEEP)
    identity = Identity.of(left.pid)
    assert identity is not None
    identity.save(tmp_path / "run" / "sleeper")
    assert await Child("sleeper", tmp_path).end_leftover((signal.SIGTERM, 0.05))
    assert left.wait(HANGS) in {-signal.SIGTERM, -signal.SIGKILL}
    assert not await Child("sleeper", tmp_path).end_leftover()


async def test_a_stranger_with_the_pid_of_a_dead_child_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(SLEEP)
    try:
        identity = Identity.of(stranger.pid)
        assert identity is not None
        Identity(stranger.pid, identity.ticks - 1, identity.boot).save(tmp_path / "run" / "sleeper")
        assert not await Child("sleeper", tmp_path).end_leftover((signal.SIGTERM, 0.0))
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()
