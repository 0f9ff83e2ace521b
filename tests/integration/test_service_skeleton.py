"""How every service ends: in order, whatever signals come in the meantime."""

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
