"""What the agent says of a task, which it puts together as text, decoded with the types that all others share."""

import inspect
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import msgspec
import pytest

from signalbox.errors import UnreadableMessage
from signalbox.messages import events as messages
from signalbox.messages.codec import decode_event
from signalbox_agent.link.backlog import Backlog
from signalbox_agent.tasks import events, whole_runs
from signalbox_agent.tasks.runs import Run
from signalbox_controller.agents import protocol

START = 1_700_000_000.25
STARTED_AT = datetime.fromtimestamp(START, UTC)
NASTY = 'a "quoted" \\ line\n\x00 \udcff ☃ 😀'
ETA = datetime(2031, 1, 2, 3, 4, 5, 6, timezone(timedelta(hours=5, minutes=30)))


def a_run(*, started: bool = True, left: int = 0) -> Run:
    run = Run(None, "id-1", "shop.orders.charge", "charge", retries=2)
    run.describe("worker@web-07", "celery", "(1, 'two')", '{"a": "☃"}')
    run.left_processes = left
    if started:
        run.begin(START, 4711, "0123456789")
    return run


class Broken:
    """What Celery knows of an exception."""

    traceback = f"Traceback: {NASTY}"


#: Each function of the agent: what it is called with, and the fields that the others must find.
CASES: dict[Callable[..., str], list[tuple[tuple[object, ...], dict[str, object]]]] = {
    events.received: [
        ((a_run(started=False), None, None, None), {"args": "(1, 'two')", "kwargs": '{"a": "☃"}', "eta": None}),
        ((a_run(started=False), ETA, "root", "parent"), {"eta": ETA, "root_id": "root", "parent_id": "parent"}),
    ],
    events.started: [((a_run(),), {"at": STARTED_AT, "pid": 4711, "args": "(1, 'two')", "acks_late": False})],
    events.succeeded: [
        ((a_run(), NASTY, 1.5), {"runtime": 1.5, "outcome": "succeeded", "started_at": STARTED_AT, "pid": 4711}),
        ((a_run(), None, None, "ignored"), {"runtime": None, "outcome": "ignored", "left_processes": 0}),
        ((a_run(left=2), None, None), {"left_processes": 2}),
    ],
    events.failed: [
        ((a_run(), "time_limit", "TimeLimitExceeded(1)"), {"outcome": "time_limit", "error": "TimeLimitExceeded(1)"}),
        ((a_run(left=2), "error", "boom"), {"left_processes": 2}),
        ((a_run(started=False), "error", "boom", Broken()), {"outcome": "error", "started_at": None, "pid": None}),
    ],
    events.retried: [((a_run(), "ConnectionError('away')", Broken()), {"error": "ConnectionError('away')"})],
    events.requeued: [
        ((a_run(),), {"started_at": STARTED_AT, "pid": 4711, "outcome": "rejected"}),
        ((a_run(started=False),), {"started_at": None, "pid": None}),
    ],
    events.dropped: [
        (
            (a_run(started=False), "cancelled", "why", "c1"),
            {"outcome": "cancelled", "error": "why", "command_id": "c1"},
        ),
        ((a_run(started=False), "expired", "too late"), {"outcome": "expired", "command_id": None}),
    ],
    events.signalled: [
        ((a_run(), "c1", "TERM", START), {"command_id": "c1", "signal": "TERM", "pid": 4711, "kill_at": STARTED_AT}),
        ((a_run(), "c1", "KILL", None), {"signal": "KILL", "kill_at": None}),
    ],
    events.cancelled: [
        (
            (a_run(), "c1", "KILL", [4711, 4712], "why", "cgroup"),
            {"command_id": "c1", "killed": (4711, 4712), "error": "why", "proof": "cgroup"},
        ),
        ((a_run(left=1), "c1", "TERM", [], "why", "search"), {"proof": "search", "left_processes": 1}),
    ],
}
CALLS = [(make, *case) for make, cases in CASES.items() for case in cases]


@pytest.mark.parametrize(("make", "arguments", "wanted"), CALLS, ids=lambda value: getattr(value, "__name__", ""))
def test_what_the_agent_says_of_a_task_is_a_message_that_all_others_read(
    make: Callable[..., str], arguments: tuple[Run, ...], wanted: dict[str, object]
) -> None:
    text = make(*arguments)
    event = decode_event(text.encode())
    assert isinstance(event, getattr(messages, f"Task{make.__name__.title()}"))
    fields = {field.name for field in msgspec.structs.fields(event)}
    assert set(json.loads(text)) - {"type"} <= fields, "a field that nobody reads"
    run = arguments[0]
    common = {"task_id": "id-1", "run": run.key, "retries": 2, "name": "charge", "celery_name": "shop.orders.charge"}
    wanted = common | {"worker": "worker@web-07", "queue": "celery", "host": "", "certainty": "seen"} | wanted
    assert {name: getattr(event, name) for name in wanted} == wanted


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("received_before", [False, True])
def test_a_whole_run_tells_what_its_events_tell(received_before: bool, late: bool) -> None:
    at, over_at, origin = START - 0.5, START + 0.25, (ETA, "root", NASTY)
    run = a_run(started=False)
    run.delivery, run.acks_late = run.key, late
    run.describe("worker@web-07", "celery", "(1, 'two')", '{"a": "☃"}')
    receipt = "" if received_before else whole_runs.receipt(run, at, *origin)
    told = [] if received_before else [events.received(run, *origin, at)]
    run.begin(START, 4711, "0123456789")
    last = events.succeeded(run, NASTY, 0.25, at=over_at)
    told += [events.started(run), last]
    line = protocol.decode(Backlog().put(last, whole_runs.fields(run, receipt)))
    assert isinstance(line, protocol.WholeRun)
    ran = protocol.event_of(line)
    assert isinstance(ran, messages.TaskRan)
    assert list(ran.events()) == [protocol.decode_event(msgspec.Raw(one.encode())) for one in told]


def test_a_whole_run_without_an_end_that_was_seen_is_unreadable() -> None:
    line = protocol.decode(Backlog().put(events.started(a_run()), whole_runs.fields(a_run(), "")))
    assert isinstance(line, protocol.WholeRun)
    with pytest.raises(UnreadableMessage):
        protocol.event_of(line)


def test_every_event_of_the_agent_is_looked_at_and_every_task_event_is_one() -> None:
    helpers = {events.instant, events.event, events.ended, events.origin_of}
    makers = {one for name, one in vars(events).items() if inspect.isfunction(one) and not name.startswith("_")}
    own = {one for one in makers if one.__module__ == events.__name__} - helpers
    assert own == set(CASES)
    kinds = {kind.__name__ for kind in get_args(messages.AnyEvent) if issubclass(kind, messages.TaskEvent)}
    assert {f"Task{make.__name__.title()}" for make in own} | {"TaskRan"} == kinds
