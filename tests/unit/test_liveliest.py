"""Which run a task shows, as a table: of all runs of its id on all hosts the liveliest one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from signalbox_reconciler.fold.liveliest import Run, liveliest
from signalbox_reconciler.fold.rows import LogRow, Phase, WaitRow
from signalbox_reconciler.fold.run_keys import padded, parse

START = datetime(2026, 3, 1, tzinfo=UTC)


def a_run(name: str, began: int, phase: Phase = Phase.STARTED, *, over: int = 0, **fields: Any) -> LogRow:
    """A run that began, and ended, so many milliseconds after the start of time."""
    retries = fields.setdefault("retries", 0)
    fields.setdefault("run", f"{retries:04d}.{began:013d}.{name}.100")
    ended = START + timedelta(milliseconds=over) if over else None
    status = "running" if phase == Phase.STARTED else "failed"
    heading: dict[str, Any] = {"task_id": "t", "precedence": 0, "host": None, "worker": name, "status": status}
    return LogRow(**heading, phase=phase, finished_at=ended, **fields)


def over(name: str, began: int, ended: int, **fields: Any) -> LogRow:
    return a_run(name, began, Phase.FINISHED, over=ended, **fields)


def again(name: str, began: int, ended: int, **fields: Any) -> LogRow:
    """A run that gave its task back, or will be tried again."""
    return a_run(name, began, Phase.WAITING, over=ended, **fields)


def discarded(name: str, run: str) -> LogRow:
    """A delivery that was given up, late."""
    return over(name, 0, 1000, run=run, delivery=run, outcome="discarded")


def waits(name: str, received: int, mark: str = "w1", retries: int = 0) -> WaitRow:
    """A delivery that waits."""
    run = f"{retries:04d}.{received:013d}.{name}.{mark}"
    return _wait(name, run, retries)


def waits_unnamed(name: str, run: str = "0000", retries: int = 0) -> WaitRow:
    """A delivery of which an older agent reports."""
    return _wait(name, run, retries)


def _wait(name: str, run: str, retries: int) -> WaitRow:
    heading: dict[str, Any] = {"task_id": "t", "precedence": 0, "host": None, "status": "pending"}
    return WaitRow(**heading, run=run, phase=Phase.RECEIVED, retries=retries, worker=name)


TABLE: list[tuple[str, list[Run], str]] = [
    ("it runs", [a_run("a", 10)], "a"),
    ("a second one ended at once", [a_run("a", 10), over("b", 20, 21)], "a"),
    ("a second one waits", [a_run("a", 10), waits("b", 20)], "a"),
    ("the retry of a second one waits", [a_run("a", 10), again("b", 20, 21), waits("c", 30, retries=1)], "a"),
    ("both run: the later one", [a_run("a", 10), a_run("b", 20)], "b"),
    ("of one nobody is sure that it runs", [a_run("a", 10), a_run("b", 20, confirmed=False)], "a"),
    ("ended, and its id was sent again", [over("a", 10, 15), waits("b", 20)], "b"),
    ("ended after its id was sent again", [over("a", 10, 25), waits("b", 20)], "b"),
    ("two wait: the later one", [waits("a", 10), waits("b", 20)], "b"),
    ("one of two that waited has ended", [over("a", 30, 35, delivery="0000.10.a.w1"), waits("b", 20)], "b"),
    ("both have ended: the later end", [over("a", 10, 40), over("b", 20, 30)], "a"),
    ("a lost one and a later end", [over("a", 10, 15, confirmed=False), over("b", 20, 30)], "b"),
    ("it waits for its retry", [again("a", 10, 15)], "a"),
    ("its retry ended", [again("a", 10, 15), over("b", 5, 6, retries=1)], "b"),
    ("given back, and run again", [again("a", 10, 15), over("b", 20, 30)], "b"),
    ("given back and run again in one millisecond", [again("a", 10, 10), over("b", 10, 11)], "b"),
    ("the retry 10,000 is later than 9,999", [again("a", 10, 15, retries=9999), again("b", 5, 6, retries=10000)], "b"),
    ("a time of 14 digits", [again("a", 9_999_999_999_999, 15), again("b", 10_000_000_000_000, 16)], "b"),
    # What waited in a worker that died, or lost its broker, comes again.
    ("redelivered, and ended", [waits("a", 10), over("b", 30, 35, delivery="0000.20.b.r1")], "b"),
    ("redelivered, and waits", [waits("a", 10), waits("b", 20, "r1")], "b"),
    ("sent again, and ended", [waits("a", 10), over("b", 30, 35, delivery="0000.20.b.w1")], "a"),
    (
        "another message was redelivered, and ended",
        [waits("a", 10, "w1.m1"), over("b", 30, 35, delivery="0000.20.b.r1.m2")],
        "a",
    ),
    ("the redelivered one was redelivered", [waits("a", 10, "r1"), over("b", 30, 35, delivery="0000.20.b.r1")], "b"),
    # Nobody found it, and it was given up; its events may have been on their way.
    ("discarded, and it had run", [discarded("a", "0000.10.a.w1"), over("b", 20, 30, delivery="0000.10.a.w1")], "b"),
    (
        "discarded, and its message ran by another delivery",
        [discarded("a", "0000.10.a.w1.m"), over("b", 20, 30, delivery="0000.15.b.w2.m")],
        "b",
    ),
    (
        "discarded, and another message of its id ran",
        [discarded("a", "0000.10.a.w1.m"), over("b", 20, 30, delivery="0000.15.b.w2.n")],
        "a",
    ),
    (
        "discarded, and nobody saw how the run of its message ended",
        [discarded("a", "0000.10.a.w1.m"), over("b", 20, 30, delivery="0000.15.b.w2.m", confirmed=False)],
        "a",
    ),
    ("discarded, and sent again", [discarded("a", "0000.10.a.w1"), over("b", 20, 30, delivery="0000.15.b.w2")], "a"),
    ("its retry was discarded", [again("a", 10, 15), discarded("b", "0001.0000000000050")], "b"),
    (
        "its retry was discarded, and had run",
        [again("a", 10, 15), discarded("b", "0001.0000000000050"), over("c", 20, 30, retries=1)],
        "c",
    ),
    ("given back, and discarded", [again("a", 10, 15), discarded("b", "0000.0000000000050")], "b"),
    ("unnamed, discarded, and it had run", [discarded("a", "0000"), over("b", 20, 30)], "b"),
    # Older agents tell deliveries apart by the count of retries alone.
    ("unnamed, and ended", [waits_unnamed("a"), over("b", 10, 15)], "b"),
    ("unnamed, and its retry waits", [again("a", 10, 15), waits_unnamed("b", "0001", 1)], "b"),
    ("unnamed, redelivered, waits", [over("a", 10, 15), waits_unnamed("b", "0000.0000000000020")], "b"),
    ("as Celery's events tell it", [waits_unnamed("a"), over("b", 0, 15, run="0000.0000000000000.events.0")], "b"),
]


@pytest.mark.parametrize(("runs", "shown"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_task_shows_the_liveliest_of_its_runs(runs: list[Run], shown: str) -> None:
    assert liveliest(runs).worker == shown
    assert liveliest(runs[::-1]).worker == shown


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("0000", "0000.1"),
        ("0000.9999999999999.a.1", "0000.10000000000000.a.1"),
        ("9999.1700000000000.a.1", "10000"),
        ("9999", "10000.0"),
        ("99999.5.a.1", "100000"),
        ("1", "0002"),
        (f"{10**30}", f"{10**30 + 1}"),
    ],
)
def test_keys_are_ordered_as_numbers_however_long_they_are(earlier: str, later: str) -> None:
    assert parse(earlier).order < parse(later).order
    assert padded(earlier) <= padded(later)


@pytest.mark.parametrize("key", ["", ".", "x.y", "0000.-1.a.b", "٣.٣", "0000.1e5.a.1", f"{'9' * 200}.1", "1.2.3.w.5"])
def test_a_key_may_be_any_text(key: str) -> None:
    parsed = parse(key)
    assert (parsed.started, parsed.identified) == (False, False)
    assert len(padded(key)) == 26
