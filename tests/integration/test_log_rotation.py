"""The logs of Celery's processes stay small, and lose no line to that."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from signalbox_controller.logs.logfile import Limits, LogFile
from support.eventually import HANGS, eventually
from support.host import SHOP, a_host
from support.stores.server import Redis

LIMITS = Limits(max_bytes=65_536, keep=1000)
#: How often the log is cut.
CUTS = 40
#: Writes numbered lines of many lengths as fast as it can, in single writes, as loggers do, until its input ends.
WRITER = """
import itertools, os, select
for n in itertools.count():
    os.write(1, b"%d %s\\n" % (n, b"x" * (1 + n * 37 % 199)))
    if n % 100 == 0 and select.select([0], [], [], 0)[0]:
        break
"""


def lines_of(log: LogFile) -> list[bytes]:
    """Every line that can be read, the oldest first."""
    archives = sorted(log.path.parent.glob(f"{log.path.name}.*"), key=lambda path: -int(path.suffix[1:]))
    return [line for path in (*archives, log.path) for line in path.read_bytes().replace(b"\0", b"").splitlines()]


def written(number: int) -> bytes:
    """What the writer writes in this line."""
    return b"%d %s" % (number, b"x" * (1 + number * 37 % 199))


def whole(line: bytes) -> bool:
    number = line.partition(b" ")[0]
    return number.isdigit() and line == written(int(number))


@pytest.mark.parametrize("folder", ["on disk", "in memory"])
def test_a_log_that_is_cut_while_it_is_written_to_loses_no_line(folder: str, tmp_path: Path) -> None:
    place = tmp_path if folder == "on disk" else Path("/dev/shm") / tmp_path.name
    place.mkdir(exist_ok=True)
    log, cuts = LogFile(place / "worker.log", LIMITS), 0
    with log.path.open("ab") as file:
        writer = subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=file)
    while cuts < CUTS:
        if log.full:
            log.trim()
            cuts += 1
        time.sleep(0.001)
    writer.communicate(timeout=HANGS)
    if log.full:  # on a busy machine it writes faster than we look
        log.trim()
    try:
        numbers = sorted({int(line.split()[0]) for line in lines_of(log) if whole(line)})
        last = numbers[-1]
        assert numbers == list(range(last + 1))
        assert log.path.stat().st_blocks * 512 < 10 * LIMITS.max_bytes
        with log.path.open("ab") as file:
            file.write(b"the end\n")
        assert log.last_lines(0).endswith("the end")
    finally:
        if folder == "in memory":
            for path in place.iterdir():
                path.unlink()
            place.rmdir()


def test_only_so_many_archives_are_kept(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "worker.log", Limits(max_bytes=65_536, keep=2))
    for number in range(4):
        with log.path.open("ab") as file:
            file.write(b"%d\n" % number * 100_000)
        log.trim()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["worker.log", "worker.log.1", "worker.log.2"]
    assert (tmp_path / "worker.log.1").read_bytes().endswith(b"3\n")


def test_the_last_lines_of_a_launch_are_its_own_also_when_its_log_was_cut_meanwhile(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "worker.log", LIMITS)
    with log.path.open("ab") as file:
        file.write(b"of the one before\n" * 10_000)
        file.flush()
        here = log.position()
        log.trim()
        assert log.position() == here
        assert not log.last_lines(here)
        file.write(b"mine\n")
    assert log.last_lines(here) == "mine"


async def test_a_worker_that_prints_much_keeps_a_small_log(tmp_path: Path, valkey: Redis) -> None:
    talkative = "[logs]\nmax_bytes = 65536\nkeep = 2\n" + SHOP
    async with a_host(tmp_path / "host", valkey, talkative) as host:
        logs = host.data / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        (logs / "worker.log").write_bytes(b"of long ago\n" * 20_000)

        async def cut() -> bool:
            return (logs / "worker.log.1").exists() and (logs / "worker.log").stat().st_size < 65_536

        await eventually(cut, "a smaller log")
        await host.process_is("worker", "running")

        async def told() -> bool:
            return b"worker@web-01 ready" in (logs / "worker.log").read_bytes()

        await eventually(told, "what it says after that")
        assert (logs / "worker.log").stat().st_size < 65_536


def test_the_last_lines_are_whole_lines_and_the_last_one_is_always_there(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "worker.log", LIMITS)
    log.path.write_text("".join(f"{number} {'word ' * 40}end\n" for number in range(20)), encoding="utf-8")
    words = log.last_lines(0).split(" | ")
    assert [line.split()[0] for line in words] == ["18", "19"]
    assert all(line.endswith("word end") for line in words)
    log.path.write_text("before\n" + "x" * 10_000 + "the end\n", encoding="utf-8")
    assert log.last_lines(0).startswith("xxx")
    assert log.last_lines(0).endswith("xthe end")
