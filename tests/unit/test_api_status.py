"""One word for many processes, and for many hosts' answers."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from signalbox.client.results import ProcessesResult
from signalbox.messages.receipts import ProcessReport
from signalbox.messages.views import HostView, ProcessView, TaskView
from signalbox_api.answers.processes import Order, Verb, outcome
from signalbox_api.record.fleet import silenced
from signalbox_api.record.status import celery_status, overall, task_status
from signalbox_api.record.views import Fleet
from signalbox_api.record.vouching import Behind, Vouch

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LONG_AGO = datetime(2025, 3, 1, tzinfo=UTC)


def process(host: str, kind: Any, state: Any) -> ProcessView:
    usual = {"node": "", "message": "", "name": kind, "configured": True, "outdated": ""}
    shown: dict[str, Any] = {**dict.fromkeys(ProcessView.__struct_fields__), **usual}
    return ProcessView(**{**shown, "host": host, "kind": kind, "state": state, "desired": "running"})


def host(name: str, state: Any = "online") -> HostView:
    return HostView(name=name, state=state, seen_at=NOW, proof="search", proof_detail="no cgroups")


@pytest.mark.parametrize(
    ("states", "word"),
    [
        (["running", "running"], "running"),
        (["running", "starting"], "degraded"),
        (["running", "stopped"], "degraded"),
        (["running", "unknown"], "degraded"),
        (["stopping"], "degraded"),
        (["stopped", "fatal"], "stopped"),
        (["stopped", "unknown"], "unknown"),
        (["unknown"], "unknown"),
    ],
)
def test_running_is_said_only_when_everything_runs(states: list[Any], word: str) -> None:
    assert overall(states, "stopped") == word


def test_workers_and_beat_have_a_word_of_their_own() -> None:
    status = celery_status([host("a")], [process("a", "worker", "running"), process("a", "beat", "stopped")])
    assert (status.celery, status.worker, status.beat) == ("degraded", "running", "stopped")
    assert [one.kind for one in status.hosts[0].processes] == ["worker", "beat"]


def test_the_processes_of_a_silent_host_are_unknown_whatever_they_last_were() -> None:
    status = celery_status([host("a", "unknown")], [process("a", "worker", "running")])
    assert (status.celery, status.worker) == ("unknown", "unknown")


def test_each_host_has_a_word_of_its_own() -> None:
    hosts = [host("a"), host("b"), host("c", "unknown"), host("d")]
    running, stopped = (process("a", "worker", state) for state in ("running", "stopped"))
    processes = [
        msgspec.structs.replace(one, host=name)
        for name, one in (("a", running), ("b", running), ("b", stopped), ("c", running))
    ]
    assert [one.celery for one in celery_status(hosts, processes).hosts] == [
        "running",
        "degraded",
        "unknown",
        "stopped",
    ]


def test_a_beat_on_standby_is_nothing_amiss_on_its_host() -> None:
    standby = msgspec.structs.replace(process("a", "beat", "stopped"), standby=True)
    status = celery_status([host("a")], [process("a", "worker", "running"), standby])
    assert status.hosts[0].celery == "running"


def test_a_worker_of_others_that_has_ended_is_nothing_amiss_and_one_that_runs_counts() -> None:
    gone = msgspec.structs.replace(process("a", "worker", "stopped"), guest=True)
    status = celery_status([host("a")], [process("a", "worker", "running"), gone])
    assert (status.celery, status.hosts[0].celery) == ("running", "running")
    there = msgspec.structs.replace(gone, state="running")
    status = celery_status([host("a")], [process("a", "worker", "stopped"), there])
    assert (status.celery, status.hosts[0].celery) == ("degraded", "degraded")


def test_a_process_that_is_no_longer_configured_counts_while_it_runs() -> None:
    there = msgspec.structs.replace(process("a", "worker", "running"), name="former", configured=False)
    status = celery_status([host("a")], [process("a", "worker", "stopped"), there])
    assert (status.celery, status.worker, status.hosts[0].celery) == ("degraded", "degraded", "degraded")
    gone = msgspec.structs.replace(there, state="stopped")
    assert celery_status([host("a")], [process("a", "worker", "running"), gone]).celery == "running"


def test_a_controller_that_left_nothing_running_is_nothing_amiss_for_the_others() -> None:
    hosts = [host("a"), host("b", "offline")]
    left = process("b", "worker", "stopped")
    status = celery_status(hosts, [process("a", "worker", "running"), left])
    assert (status.celery, [one.celery for one in status.hosts]) == ("running", ["running", "stopped"])
    assert celery_status(hosts[1:], [left]).celery == "stopped"


def test_what_a_controller_left_running_is_unknown() -> None:
    status = celery_status([host("a", "offline")], [process("a", "worker", "running")])
    assert (status.celery, status.hosts[0].processes[0].state) == ("unknown", "unknown")


def test_where_no_host_ever_reported_nothing_is_known() -> None:
    assert celery_status([], []).celery == "unknown"


AWAY = Behind(part="reconciler", since=NOW, message="The reconciler is away")


@pytest.mark.parametrize("state", ["online", "unknown", "offline"])
def test_while_nobody_vouches_for_the_record_nothing_is_green_and_nothing_is_stopped(state: Any) -> None:
    processes = [process("a", "worker", "running"), process("a", "beat", "stopped")]
    status = celery_status([host("a", state)], processes, Vouch(as_of=NOW, behind=(AWAY,)), {"a": NOW})
    assert (status.celery, status.worker, status.beat) == ("unknown", "unknown", "unknown")
    assert (status.as_of, status.behind) == (NOW, (AWAY,))
    [shown] = status.hosts
    assert (shown.state, shown.celery, shown.confirmed_at) == ("unknown", "unknown", NOW)
    assert [(one.state, one.last_state, one.confirmed_at) for one in shown.processes] == [
        ("unknown", "running", NOW),
        ("unknown", "stopped", NOW),
    ]


def test_while_somebody_vouches_for_it_a_state_is_what_the_record_says() -> None:
    status = celery_status([host("a")], [process("a", "worker", "running")], Vouch(as_of=NOW), {"a": NOW})
    [[one]] = [shown.processes for shown in status.hosts]
    assert (one.state, one.last_state, one.confirmed_at) == ("running", "running", NOW)
    assert (status.celery, status.behind) == ("running", ())


@pytest.mark.parametrize(
    ("state", "heartbeat_age", "shown", "age"),
    [
        ("online", None, "online", 1.0),
        ("online", 2.0, "online", 2.0),
        # Its last reports were recorded late, by a reconciler that caught up.
        ("online", 60.0, "unknown", 60.0),
        ("offline", 60.0, "offline", 60.0),
    ],
)
def test_a_host_is_no_younger_than_its_last_heartbeat_on_the_bus(
    state: Any, heartbeat_age: float | None, shown: str, age: float
) -> None:
    fleet = Fleet(hosts=[host("a", state)], processes=[], report_ages={"a": 1.0})
    found = silenced(fleet, {} if heartbeat_age is None else {"a": heartbeat_age})
    assert ([one.state for one in found.hosts], found.report_ages) == ([shown], {"a": age})


@pytest.mark.parametrize(
    ("finished_at", "confirmed", "behind", "shown", "at"),
    [
        (None, True, (), True, NOW),
        (None, True, (AWAY,), False, NOW),
        (None, False, (), False, NOW),
        (LONG_AGO, True, (AWAY,), True, LONG_AGO),
        (LONG_AGO, False, (), False, LONG_AGO),
    ],
)
def test_a_task_that_is_not_over_is_confirmed_only_while_somebody_vouches_for_the_record(
    finished_at: Any, confirmed: bool, behind: Any, shown: bool, at: datetime
) -> None:
    fields: dict[str, Any] = dict.fromkeys(TaskView.__struct_fields__)
    task = TaskView(**fields | {"finished_at": finished_at, "confirmed": confirmed, "host": "a"})
    status = task_status(task, Vouch(as_of=NOW, behind=behind))
    assert (status.confirmed, status.confirmed_at) == (shown, at)
    silent = task_status(task, Vouch(as_of=NOW, behind=behind), {"a": LONG_AGO, "b": NOW})
    assert (silent.confirmed, silent.confirmed_at) == (shown, LONG_AGO)


def heard(verdict: Any, **fields: Any) -> ProcessesResult:
    return ProcessesResult(command_id="a command", verdict=verdict, **fields)


SEARCHED = ProcessReport(name="worker", kind="worker", state="stopped", host="web-01", proof="search")
STUCK = ProcessReport(name="worker", kind="worker", state="stopping", host="web-01", message="pid 7 in state D")


@pytest.mark.parametrize(
    ("verb", "result", "http", "words"),
    [
        (
            *("stop", heard("stopped", recorded=True, tasks_killed=2), 200),
            "Celery has been stopped; 2 running tasks were marked as failed",
        ),
        (
            *("stop", heard("stopped", recorded=True, tasks_killed=1), 200),
            "Celery has been stopped; 1 running task was marked as failed",
        ),
        (
            *("stop", heard("stopped", recorded=True, processes=(SEARCHED,), proof="search"), 200),
            "were marked as failed; processes that left their tasks' families cannot be found on web-01",
        ),
        ("start", heard("started", recorded=True), 200, "Celery has been started"),
        ("restart", heard("started", recorded=True), 200, "Celery has been restarted"),
        ("start", heard("started"), 200, "Celery has been started; the record will follow shortly"),
        ("stop", heard("incomplete", processes=(STUCK,)), 502, "worker on web-01 is stopping (pid 7 in state D)"),
        ("stop", heard("started", processes=(STUCK,)), 502, "Not everything has been stopped: worker on web-01"),
        ("stop", heard("unknown"), 404, "No controller has any process to stop"),
        ("stop", heard("refused", detail="expired"), 502, "A controller refused to stop: expired"),
        ("stop", heard(None, silent=frozenset({"web-02"})), 202, "no answer has come yet from web-02"),
        ("start", heard(None), 202, "no controller is connected"),
        (
            *("stop", heard(None, silent=frozenset({"a", "b"}), away=frozenset({"b"})), 202),
            "no answer has come yet from a; nothing is heard from b: stop it again when it is back",
        ),
    ],
)
def test_a_stop_or_start_is_answered_in_words(verb: Verb, result: ProcessesResult, http: int, words: str) -> None:
    status, answer = outcome(Order(verb=verb, chosen=False), result)
    assert status == http
    assert words in answer.message
    assert answer.verified == (http == 200)
    assert answer.proof == result.proof


def test_a_stop_while_the_reconciler_is_away_says_what_is_not_recorded() -> None:
    _, answer = outcome(Order(verb="stop", chosen=False, awaited="the reconciler"), heard("stopped", tasks_killed=1))
    assert (answer.verified, answer.recorded) == (True, False)
    assert answer.message == (
        "Celery has been stopped; 1 running task ended with them; the record will follow when the reconciler is back"
    )


def test_an_answer_does_not_claim_that_all_of_celery_was_stopped_when_some_was() -> None:
    _, answer = outcome(Order(verb="stop", chosen=True, awaited="the database"), heard("stopped", tasks_killed=3))
    assert answer.message == (
        "The chosen processes have been stopped; 3 running tasks ended with them;"
        " the record will follow when the database is back"
    )
