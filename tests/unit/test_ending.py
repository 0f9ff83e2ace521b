"""Which tasks are acknowledged when their worker is ended, and which results are stored for them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from signalbox_agent.broker.ending import Ending, is_done
from signalbox_agent.cancel.results import ResultWriter
from signalbox_agent.child.slot_state import INTERRUPTED, OVER, RUNNING, UNWOUND
from signalbox_agent.child.slots import Slots
from signalbox_agent.tasks.runs import Run

PID = 4711


class Request:
    """As much of Celery's as an ending needs."""

    def __init__(self, *, acknowledged: bool) -> None:
        self.id, self.acknowledged, self.store_errors = "x", acknowledged, True
        self._already_cancelled, self._context = True, None
        self.stored: list[str] = []
        self.task = SimpleNamespace(
            backend=SimpleNamespace(mark_as_revoked=lambda _, why, **__: self.stored.append(why))
        )

    def acknowledge(self) -> None:
        self.acknowledged = True


@pytest.mark.parametrize(
    ("early", "redeliver", "done", "acknowledged", "stored"),
    [
        (True, False, False, True, ["stopped"]),
        (True, True, False, True, ["stopped"]),
        (False, False, False, True, ["stopped"]),
        # It is to run again, unless its work is done.
        (False, True, False, False, []),
        (False, True, True, True, []),
        # It has a result of its own.
        (False, False, True, True, []),
        (True, False, True, True, []),
    ],
)
def test_a_cold_shutdown(*, early: bool, redeliver: bool, done: bool, acknowledged: bool, stored: list[str]) -> None:
    request, ending, results = Request(acknowledged=early), Ending(), ResultWriter()
    results.at_once = True
    ending.begin("stopped", redeliver=redeliver)
    ending.apply_to(request, results, done=done)
    assert (request.acknowledged, request.stored) == (acknowledged, stored)


@pytest.mark.parametrize(
    ("redeliver", "done", "acknowledged"), [(False, False, True), (True, False, False), (True, True, True)]
)
def test_before_a_kill(*, redeliver: bool, done: bool, acknowledged: bool) -> None:
    request, ending = Request(acknowledged=False), Ending()
    ending.begin("stopped", redeliver=redeliver)
    ending.keep_from_returning(request, done=done)
    assert request.acknowledged is acknowledged


@pytest.mark.parametrize(
    ("word", "done"),
    [
        *[(word, True) for word in ("SUCCESS", "FAILURE", "RETRY", "IGNORED")],
        *[(word, False) for word in (RUNNING, OVER, INTERRUPTED, UNWOUND, "REJECTED")],
    ],
)
def test_the_slot_of_its_child_says_whether_its_work_is_done(tmp_path: Path, word: str, *, done: bool) -> None:
    (tmp_path / str(PID)).write_text(f"{word} x\n")
    request: Any = None
    for task_id, expected in (("x", done), ("another", False)):
        run = Run(request, task_id, "a", "a")
        run.pid = PID
        assert is_done(Slots(str(tmp_path)), run) is expected
