"""Who descends from whom, and who is gone: looked at with real processes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from signalbox_agent import proc
from signalbox_agent.proc import Who

#: Starts a child of its own, tells its pid, and ends when told to.
FAMILY = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
sys.stdin.read()
child.stdin.close()
child.wait()
"""


@pytest.fixture
def family() -> Iterator[tuple[int, int]]:
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        yield parent.pid, int(parent.stdout.readline())


@pytest.fixture(params=["as the kernel lists them", "by search"])
def descendants(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[int]], list[Who]]:
    if request.param == "by search":
        monkeypatch.setattr(proc, "_kernel_lists_children", lambda: False)
    return proc.descendants


def test_descendants_are_found_through_generations(
    family: tuple[int, int], descendants: Callable[[list[int]], list[Who]]
) -> None:
    parent, child = family
    found = {who.pid for who in descendants([os.getpid()])}
    assert {parent, child} <= found
    assert [who.pid for who in descendants([parent])] == [child]


def test_nothing_descends_from_a_process_that_is_gone() -> None:
    assert proc.descendants([2**22 + 1]) == []


def test_a_process_is_itself_and_not_another_with_its_pid(family: tuple[int, int]) -> None:
    who = proc.identify(family[1])
    assert who is not None
    assert proc.present(who)
    assert not proc.ended(who)
    earlier = who._replace(ticks=who.ticks - 1)
    assert not proc.present(earlier)
    assert proc.ended(earlier)


def test_a_zombie_has_ended_but_is_not_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    who = proc.identify(child.pid)
    assert who is not None
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, not reaped
    assert proc.ended(who)
    assert proc.present(who)
    assert who not in proc.descendants([os.getpid()])
    child.wait()
    assert not proc.present(who)


def test_a_process_whose_first_thread_has_ended_lives_while_another_runs() -> None:
    code = (
        "import ctypes, sys, threading\n"
        "started = threading.Event()\n"
        "def rest():\n"
        "    started.wait(); print(flush=True); sys.stdin.read(); import os; os._exit(0)\n"
        "threading.Thread(target=rest).start()\n"
        "started.set(); ctypes.CDLL(None).pthread_exit(None)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        who = proc.identify(process.pid)
        assert who is not None
        assert not proc.ended(who)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
        assert proc.ended(who)
