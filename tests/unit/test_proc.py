"""Every function that reads `/proc`, asked of the same real processes: living, undead, zombie, gone, another's pid."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest

from signalbox_agent import proc
from signalbox_agent.proc import Proc
from signalbox_controller.linux.procfs import bearing, code_of
from support.apps import undead

VARIABLE = "SIGNALBOX_TEST_OF_PROC"
VALUE = f"{os.getpid()}"


class Expected(NamedTuple):
    """What is true of a process."""

    identified: bool
    present: bool
    ended: bool
    child: bool
    descendant: bool
    variable: str | None
    code: int | None


ALIVE = Expected(True, True, ended=False, child=True, descendant=True, variable=VALUE, code=None)
CASES = {
    "living": ALIVE,
    # Its first thread has ended, another one works: all is as with any other process that lives.
    "undead": ALIVE,
    "zombie": Expected(True, True, ended=True, child=True, descendant=False, variable=None, code=3),
    "gone": Expected(False, False, ended=True, child=False, descendant=False, variable=None, code=None),
    # The pid belongs to a living process that was started at another time.
    "another": Expected(False, False, ended=True, child=True, descendant=False, variable=VALUE, code=None),
}


class Case(NamedTuple):
    """One process, and what is to be found."""

    proc: Proc
    expected: Expected


def launched(name: str) -> "subprocess.Popen[bytes]":
    if name == "undead":
        return undead.launch(environ={VARIABLE: VALUE})
    code = "print(flush=True)\n" + (
        "raise SystemExit(3)" if name in {"zombie", "gone"} else "import time; time.sleep(60)"
    )
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, env={**os.environ, VARIABLE: VALUE}, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # for a moment after exec(2) the kernel shows no environment
    return process


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    name = str(request.param)
    with launched(name) as process:
        found = proc.identify(process.pid)
        assert found is not None
        if name in {"zombie", "gone"}:
            os.waitid(os.P_PID, process.pid, os.WEXITED | (os.WNOWAIT if name == "zombie" else 0))
        yield Case(replace(found, started=found.started - (name == "another")), CASES[name])
        process.kill()


@pytest.fixture(params=["as the kernel lists them", "by search"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "by search":
        monkeypatch.setattr(proc, "_kernel_lists_children", lambda: False)
    return str(request.param)


def test_a_process_is_itself_and_not_another_with_its_pid(case: Case) -> None:
    assert (proc.identify(case.proc.pid) == case.proc) == case.expected.identified
    seen = proc.stat(case.proc.pid)
    assert (seen is not None and seen.proc == case.proc) == case.expected.identified


def test_it_is_present_until_it_is_reaped(case: Case) -> None:
    assert proc.present(case.proc) == case.expected.present


def test_it_has_ended_when_no_thread_of_it_is_left(case: Case) -> None:
    assert proc.ended(case.proc) == case.expected.ended


@pytest.mark.usefixtures("way")
def test_its_parent_has_it_as_a_child_until_it_is_reaped(case: Case) -> None:
    assert (case.proc.pid in proc.children(os.getpid())) == case.expected.child


@pytest.mark.usefixtures("way")
def test_it_is_a_descendant_until_it_has_ended(case: Case) -> None:
    assert (case.proc in proc.descendants([os.getpid()])) == case.expected.descendant


def test_its_pid_is_among_all_pids_until_it_is_reaped(case: Case) -> None:
    assert (case.proc.pid in list(proc.pids())) == case.expected.child


def test_its_environment_is_read_as_long_as_a_thread_of_it_lives(case: Case) -> None:
    assert proc.variable(case.proc.pid, VARIABLE.encode()) == case.expected.variable
    assert proc.variable(case.proc.pid, b"SIGNALBOX_UNSET") is None
    assert (case.proc in bearing(VARIABLE.encode(), VALUE)) == case.expected.descendant


def test_its_exit_code_is_known_once_it_has_ended_and_until_it_is_reaped(case: Case) -> None:
    assert code_of(case.proc) == case.expected.code


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


@pytest.mark.usefixtures("way")
def test_descendants_are_found_through_generations(family: tuple[int, int]) -> None:
    parent, child = family
    found = [who.pid for who in proc.descendants([os.getpid()])]
    assert found.index(parent) < found.index(child)
    assert [who.pid for who in proc.descendants([parent])] == [child]


def test_nothing_descends_from_a_process_that_is_gone() -> None:
    assert proc.descendants([2**22 + 1]) == []
