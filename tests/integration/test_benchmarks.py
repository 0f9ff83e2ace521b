"""`make bench` in a very short form: every row is reported, and nothing is left behind. It asserts no time."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from bench.parts import idle
from support.eventually import HANGS, eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder with a short path, as those of sockets are limited (unix(7))."""
    with TemporaryDirectory(prefix="bench-") as folder:
        yield Path(folder)


async def bench(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    """A run whose temporary files are in this folder."""
    path = os.pathsep.join(str(ROOT / part) for part in ("benchmarks", "deploy/local", "tests"))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench", "--only", "idle", "--rounds", "1", "--without-flower", *arguments),
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


def left_by(folder: Path) -> Iterator[str]:
    """The processes of a run that are still there."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("TMPDIR") == str(folder):
                yield f"{process.pid} {' '.join(process.cmdline())}"


async def test_a_run_reports_every_row_and_leaves_nothing_behind(tmp_path: Path, temporary: Path) -> None:
    report = tmp_path / "report.md"
    run = await bench(temporary, "--seconds", "0.5", "--write", str(report))
    async with asyncio.timeout(2 * HANGS):
        printed, told = (text.decode() for text in await run.communicate())
    assert run.returncode == 0, told
    written = report.read_text(encoding="utf-8")
    for row in idle.ROWS:  # a share is a difference, which may be below 0 by chance
        line = rf"^\| {re.escape(row.what)} \| -?[\d.,e-]+ {re.escape(row.unit)} \| – "
        assert re.search(line, written, re.MULTILINE), row.what
    assert "Flower was not measured: not asked for." in written
    assert "| Valkey" in written or "| Redis" in written
    assert str(temporary) not in written
    assert "[1/1] idle: Cost of idleness" in told
    together = re.search(r"agent of a worker \| ([\d.]+) MB", printed)
    assert together, printed
    assert 5.0 < float(together[1]) < 60.0, "an idle host takes too much memory, or it was not measured"
    assert os.listdir(temporary) == []  # noqa: PTH208 - its Path would want a thread
    assert list(left_by(temporary)) == []


async def test_a_run_that_is_ended_takes_everything_with_it(tmp_path: Path, temporary: Path) -> None:
    report = tmp_path / "report.md"
    run = await bench(temporary, "--seconds", "600", "--write", str(report))
    assert run.stderr is not None
    async with asyncio.timeout(2 * HANGS):
        while b"round 1" not in (line := await run.stderr.readline()):
            assert line, "it ended before it had measured anything"
    run.send_signal(signal.SIGTERM)
    async with asyncio.timeout(HANGS):
        _, told = await run.communicate()
    assert run.returncode == 130
    assert b"no report was written" in told
    assert not report.exists()
    assert os.listdir(temporary) == []  # noqa: PTH208 - likewise

    async def nothing_runs() -> bool:
        assert not (left := list(left_by(temporary))), left
        return True

    await eventually(nothing_runs, "everything that it has started has ended")
