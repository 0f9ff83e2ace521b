"""What a caller is answered to a cancel, from what the record and the hosts say."""

from datetime import UTC, datetime
from typing import Any

import pytest

from signalbox.client.results import CancelResult
from signalbox.messages.verdicts import Verdict
from signalbox.messages.views import TaskView
from signalbox_api.answers.cancel import Case, Decision, from_hosts, from_record, is_uuid
from signalbox_api.record.views import KnownTask

TASK_ID = "8f8b3c1e-5a64-4d0c-9a52-0d6c3f4a7f10"
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
DONE = "Task charge has been cancelled and marked as failed"


def task(**fields: Any) -> KnownTask:
    shown: dict[str, Any] = {
        **dict.fromkeys(TaskView.__struct_fields__),
        "task_id": TASK_ID,
        "name": "charge",
        "celery_name": "shop.charge",
        "status": "running",
        "confirmed": True,
        "queue": "celery",
        "host": "web-01",
        "worker": "worker@web-01",
        "attempt": 1,
        "created_at": NOW,
        "args": "()",
        "kwargs": "{}",
        **fields,
    }
    return KnownTask(task=TaskView(**shown), cancel_command_id="the first command")


PENDING = task(status="pending", host=None)
RUNNING = task()
#: As Celery's own events told it: nobody can say on which host.
TOLD = task(status="pending", host=None, worker="celery@web-09", confirmed=False)
COMPLETED = task(status="completed", outcome="succeeded", finished_at=NOW)
FAILED = task(status="failed", outcome="error", error="ValueError: no such order", finished_at=NOW)
LOST = task(status="failed", outcome="worker_lost", error="host away", finished_at=NOW, confirmed=False)
CANCELLED = task(status="failed", outcome="cancelled", error="Task cancelled manually", finished_at=NOW)


def heard(verdict: Any, **fields: Any) -> CancelResult:
    return CancelResult(task_id=TASK_ID, command_id="a command", verdict=verdict, **fields)


def decide(known: KnownTask | None, result: CancelResult, *, record_up: bool = True, **case: Any) -> Decision:
    return from_hosts(Case(task_id=TASK_ID, known=known, record_up=record_up, **case), result)


@pytest.mark.parametrize(
    ("known", "http", "message"),
    [
        (COMPLETED, 409, "Task charge already finished: completed at 2026-03-01 12:30:00 UTC"),
        (FAILED, 409, "Task charge already finished: failed: ValueError: no such order"),
        (CANCELLED, 200, DONE),
    ],
)
def test_a_task_that_is_over_is_answered_from_the_record(known: KnownTask, http: int, message: str) -> None:
    decision = from_record(Case(task_id=TASK_ID, known=known, record_up=True))
    assert decision is not None
    assert (decision.http, decision.answer.message) == (http, message)


def test_a_second_cancel_is_told_of_the_command_that_did_it() -> None:
    decision = from_record(Case(task_id=TASK_ID, known=CANCELLED, record_up=True))
    assert decision is not None
    assert (decision.answer.command_id, decision.answer.verified) == ("the first command", True)


@pytest.mark.parametrize("known", [None, PENDING, RUNNING, LOST])
def test_the_hosts_are_asked_where_the_record_cannot_be_sure(known: KnownTask | None) -> None:
    assert from_record(Case(task_id=TASK_ID, known=known, record_up=True)) is None


@pytest.mark.parametrize(
    ("known", "result", "http", "words"),
    [
        (RUNNING, heard("cancelled", recorded=True), 200, DONE),
        (PENDING, heard("dropped", recorded=True), 200, DONE),
        (RUNNING, heard("cancelled"), 200, "it no longer runs. The record will follow shortly"),
        (PENDING, heard("dropped"), 200, "it will not run. The record will follow shortly"),
        (None, heard("cancelled", recorded=True, task_name="charge"), 200, DONE),
        (None, heard("unknown"), 404, f"No task {TASK_ID} is known"),
        (None, heard("unknown"), 404, "from a broker's queue within the next 7 days, every worker refuses it"),
        (None, heard(None), 202, f"No controller is connected, and the record knows no task {TASK_ID}; should it turn"),
        (CANCELLED, heard(None), 200, DONE),
        (PENDING, heard("unknown"), 200, "it will not run"),
        (TOLD, heard("unknown"), 202, "is with celery@web-09, which has no agent of Signalbox: nothing proves"),
        (CANCELLED, heard("unknown"), 200, DONE),
        (COMPLETED, heard("unknown"), 409, "already finished: completed at"),
        (LOST, heard("unknown"), 409, "already finished: failed: host away"),
        (RUNNING, heard("unknown"), 202, "the record shows it as running"),
        (COMPLETED, heard("finished"), 409, "already finished: completed at"),
        (RUNNING, heard("finished", detail="it returned"), 409, "Task charge already finished: it returned"),
        (RUNNING, heard("unsupported", detail="a pool of threads"), 409, "cannot be cancelled: a pool of threads"),
        (RUNNING, heard("alive", detail="pid 7 in state D"), 502, "was not ended and still runs: pid 7 in state D"),
        (RUNNING, heard("refused", detail="it had expired"), 502, "refused to cancel task charge: it had expired"),
        (RUNNING, heard("unproven", detail="no answer from pid 4"), 202, "not proven: no answer from pid 4"),
        (RUNNING, heard(None, silent=frozenset({"web-01"})), 202, "no answer has come yet from web-01"),
        (RUNNING, heard(None), 202, "no controller is connected"),
    ],
)
def test_what_the_hosts_say_is_answered_in_words(
    known: KnownTask | None, result: CancelResult, http: int, words: str
) -> None:
    decision = decide(known, result)
    assert decision.http == http
    assert words in decision.answer.message
    assert decision.answer.status == {200: "success", 202: "accepted"}.get(http, "error")
    assert decision.answer.verified == (http == 200)


@pytest.mark.parametrize(
    ("known", "verdict", "process"),
    [
        (RUNNING, "unsupported", "worker"),
        (RUNNING, "alive", "worker"),
        (RUNNING, "unproven", None),
        (RUNNING, "cancelled", None),
        (None, "unsupported", None),
    ],
)
def test_where_a_task_cannot_be_ended_the_stop_of_its_process_is_offered(
    known: KnownTask | None, verdict: Verdict, process: str | None
) -> None:
    instead = decide(known, heard(verdict)).answer.instead
    assert (instead.process if instead else None) == process


@pytest.mark.parametrize(
    ("result", "http", "words"),
    [
        (
            heard("cancelled", task_name="charge"),
            200,
            "has been cancelled; it no longer runs. The record",
        ),
        (heard("cancelled", task_name="charge"), 200, "will follow when the database is back"),
        (heard("unknown"), 202, "the record cannot be asked now"),
        (heard("finished", task_name="charge"), 409, "Task charge already finished"),
    ],
)
def test_without_the_database_the_hosts_word_counts(result: CancelResult, http: int, words: str) -> None:
    decision = decide(None, result, record_up=False, awaited="the database")
    assert (decision.http, decision.answer.recorded) == (http, False)
    assert words in decision.answer.message


@pytest.mark.parametrize(
    ("known", "result", "http", "words"),
    [
        (RUNNING, heard("cancelled"), 200, "it no longer runs. The record will follow when the reconciler is back"),
        (PENDING, heard("unknown"), 200, "it will not run. The record will follow when the reconciler is back"),
        (None, heard("unknown"), 202, "and the record waits for the reconciler; should it turn up"),
    ],
)
def test_while_the_reconciler_is_away_the_answer_says_what_is_not_recorded(
    known: KnownTask | None, result: CancelResult, http: int, words: str
) -> None:
    decision = decide(known, result, awaited="the reconciler")
    assert (decision.http, decision.answer.recorded) == (http, False)
    assert words in decision.answer.message


@pytest.mark.parametrize("known", [RUNNING, task(status="pending")])
def test_nothing_is_proven_while_the_tasks_own_host_is_away(known: KnownTask) -> None:
    decision = decide(known, heard("unknown"), host_present=False)
    assert decision.http == 202
    assert "web-01, which does not answer" in decision.answer.message


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(604800.0, "7 days"), (86400.0, "1 day"), (5400.0, "90 minutes"), (7200.0, "2 hours"), (1.5, "2 seconds")],
)
def test_how_long_a_task_is_refused_is_told_in_the_largest_unit_that_is_exact(seconds: float, words: str) -> None:
    assert f"within the next {words}," in decide(None, heard("unknown"), refused_for=seconds).answer.message


@pytest.mark.parametrize(
    ("text", "uuid"),
    [
        (TASK_ID, True),
        (TASK_ID.upper(), True),
        ("order-17:charge", False),
        ("{" + TASK_ID + "}", False),
        (TASK_ID.replace("-", ""), False),
        ("not an id", False),
        ("", False),
    ],
)
def test_ids_that_celery_makes_are_told_from_others(text: str, uuid: bool) -> None:
    assert is_uuid(text) == uuid
