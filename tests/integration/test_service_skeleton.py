"""How every service ends: in order, whatever signals come in the meantime; and loudly when one of its loops dies."""

import signal
import subprocess
import sys

import pytest

from support.eventually import HANGS

#: Says when it is ready and when it begins to leave, then leaves when a line comes in.
SERVICE = """
import asyncio, sys
from contextlib import asynccontextmanager
from signalbox.service import run

@asynccontextmanager
async def service():
    print("ready", flush=True)
    yield
    print("leaving", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print("left", flush=True)

asyncio.run(run(service()))
"""


def a_service_that_leaves() -> subprocess.Popen[str]:
    """A service that got its SIGTERM and is on its way out."""
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert service.stdout is not None
    assert service.stdout.readline() == "ready\n"
    service.send_signal(signal.SIGTERM)
    assert service.stdout.readline() == "leaving\n"
    return service


def test_a_second_term_does_not_keep_a_service_from_leaving_in_order() -> None:
    service = a_service_that_leaves()
    service.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        service.wait(0.2)
    assert service.communicate("now\n", timeout=HANGS) == ("left\n", "")
    assert service.returncode == 0


def test_a_ctrl_c_ends_a_service_that_takes_too_long_to_leave() -> None:
    service = a_service_that_leaves()
    service.send_signal(signal.SIGINT)
    _, said = service.communicate("now\n", timeout=HANGS)
    assert service.returncode != 0
    assert "KeyboardInterrupt" in said


#: Two loops, the second of which ends in its own way; then a body that leaves as it is told.
LOOPS = """
import asyncio, logging
from contextlib import asynccontextmanager
from signalbox import service
from signalbox.errors import SettingsError

service.END_WITHIN = 0.2

async def works():
    try:
        await asyncio.Event().wait()
    finally:
        print("the other loop was ended", flush=True)

async def raises():
    raise ValueError("a poisoned value")

async def gives_up():
    raise SettingsError("there is no such place")

async def returns():
    pass

async def is_cancelled():
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future

async def inside():
    await service.run_all(works, raises)

async def swallows():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

@asynccontextmanager
async def a_service():
    async with service.background({loops}):
        yield

def main():
    service.configure_logging("info")
    asyncio.run(service.run(a_service()))

raise SystemExit(service.exit_code("a-service", main))
"""


@pytest.mark.parametrize(
    ("loop", "words"),
    [
        ("raises", "raises has died, so the service ends: ValueError: a poisoned value"),
        ("gives_up", "gives_up has died, so the service ends: SettingsError: there is no such place"),
        ("returns", "returns has died, so the service ends: LoopDied: returns returned"),
        ("is_cancelled", "is_cancelled has died, so the service ends: CancelledError"),
        ("inside", "raises has died, so the service ends: ValueError: a poisoned value"),
    ],
)
def test_a_loop_that_dies_ends_its_service_with_a_word_in_the_log(loop: str, words: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOOPS.replace("{loops}", f"works, {loop}")],
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    assert ended.returncode > 0
    assert words in ended.stderr
    assert "the other loop was ended" in ended.stdout


def test_a_service_that_does_not_end_in_order_after_a_death_ends_all_the_same() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOOPS.replace("{loops}", "swallows, raises")],
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    assert ended.returncode == 1
    assert "did not end in order" in ended.stderr
