"""Which part is behind or away, and who vouches for the record: decided from measured ages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from signalbox_api.record.vouching import LATE, Facts, Vouch, vouch, vouching

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
WELL: dict[str, Any] = {
    "redis_age": 0.1,
    "database_age": 0.1,
    "heartbeat_age": 0.6,
    "complete_age": 0.7,
    "read_age": 0.4,
    "live_age": 0.2,
}
OLD = LATE + 1


def facts(**other: Any) -> Facts:
    return Facts(**WELL | other)


@pytest.mark.parametrize(
    ("measured", "states"),
    [
        ({}, {}),
        ({"redis_error": "refused"}, {"redis": "away"}),
        ({"redis_age": OLD}, {"redis": "away"}),
        ({"redis_age": None}, {"redis": "away"}),
        ({"database_error": "refused"}, {"database": "away", "reconciler": "unknown"}),
        ({"database_age": OLD, "heartbeat_age": OLD}, {"database": "away", "reconciler": "unknown"}),
        ({"heartbeat_age": OLD, "complete_age": OLD, "read_age": OLD}, {"reconciler": "away"}),
        ({"heartbeat_age": None, "complete_age": None, "read_age": None}, {"reconciler": "away"}),
        # It reads, so it lives: what it cannot do is write.
        ({"heartbeat_age": OLD, "complete_age": OLD}, {"reconciler": "behind"}),
        # It ended: it had read a little later than it had written.
        ({"heartbeat_age": LATE + 0.1, "complete_age": OLD, "read_age": LATE - 0.5}, {"reconciler": "away"}),
        ({"backlog_age": OLD}, {"reconciler": "behind"}),
        ({"backlog_age": LATE - 1}, {}),
        # It writes, and knows of no event: it reads another Redis, or none.
        ({"complete_age": OLD}, {"reconciler": "behind"}),
        ({"complete_age": None}, {"reconciler": "behind"}),
        # What was measured of Redis is old by now, and Redis is what is away.
        ({"redis_error": "refused", "backlog_age": OLD, "complete_age": OLD}, {"redis": "away"}),
        (
            {"redis_error": "refused", "heartbeat_age": OLD, "complete_age": OLD},
            {"redis": "away", "reconciler": "away"},
        ),
        ({"live_age": OLD}, {"live": "away"}),
        ({"live_age": None}, {"live": "away"}),
    ],
)
def test_each_part_is_well_only_while_somebody_has_seen_it_lately(
    measured: dict[str, Any], states: dict[str, str]
) -> None:
    parts = {part.name: part for part in vouching(facts(**measured), NOW)}
    assert list(parts) == ["redis", "database", "reconciler", "live"]
    assert {name: part.state for name, part in parts.items() if part.state != "ok"} == states
    for part in parts.values():
        assert bool(part.message) == (part.state != "ok")
        assert part.state != "ok" or part.since is None


@pytest.mark.parametrize(
    ("measured", "behind"),
    [
        ({}, {}),
        ({"redis_error": "refused", "redis_age": 7.0}, {"redis": 7.0}),
        ({"database_error": "refused", "database_age": 7.0}, {"database": 7.0}),
        ({"heartbeat_age": 7.0, "complete_age": 8.0, "read_age": 7.0}, {"reconciler": 7.0}),
        ({"backlog_age": 7.0}, {"reconciler": 7.0}),
        ({"complete_age": 7.0}, {"reconciler": 7.0}),
        ({"heartbeat_age": None, "complete_age": None}, {"reconciler": None}),
        # Only browsers miss something: the record is what it is.
        ({"live_age": OLD}, {}),
    ],
)
def test_each_part_that_is_behind_says_since_when(measured: dict[str, Any], behind: dict[str, float | None]) -> None:
    found = vouch(facts(**measured), NOW)
    assert found.given == (not behind)
    assert {one.part: one.since and (NOW - one.since).total_seconds() for one in found.behind} == behind
    assert all(one.message for one in found.behind)


def test_a_browser_is_told_also_of_changes_that_do_not_arrive() -> None:
    [missing] = vouch(facts(live_age=OLD), NOW, ["redis", "live"]).behind
    assert missing.part == "live"


@pytest.mark.parametrize("age", [0.0, 0.7, 3600.0])
def test_the_record_is_known_to_be_complete_up_to_a_moment_however_late_the_reconciler_is(age: float) -> None:
    assert vouch(facts(complete_age=age), NOW).as_of == NOW - timedelta(seconds=age)


@pytest.mark.parametrize(
    ("read_age", "words"),
    [
        # It came back, and has read all: what it wrote last is of before that.
        (0.2, "has yet to confirm"),
        # It was killed a moment ago.
        (LATE - 0.5, "has yet to confirm"),
        (OLD, "does not read events"),
        (None, "does not read events"),
    ],
)
def test_a_reconciler_that_has_read_events_lately_is_not_said_to_read_none(read_age: float | None, words: str) -> None:
    [behind] = vouch(facts(complete_age=OLD, read_age=read_age), NOW).behind
    assert (behind.part, words in behind.message) == ("reconciler", True)


def test_before_anybody_said_so_the_record_is_complete_up_to_no_moment() -> None:
    assert vouch(Facts(), NOW).as_of is None
    assert not vouch(Facts(), NOW).given


def test_what_was_read_earlier_is_as_of_then() -> None:
    now = vouch(facts(), NOW)
    assert now.read_at(NOW - timedelta(seconds=60)).as_of == NOW - timedelta(seconds=60)
    assert now.read_at(NOW).as_of == now.as_of
    assert Vouch().read_at(NOW).as_of is None


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        ({}, ""),
        ({"database_error": "refused"}, "the database"),
        ({"heartbeat_age": OLD}, "the reconciler"),
        ({"redis_error": "refused"}, "Redis"),
    ],
)
def test_the_part_that_the_record_waits_for_has_a_name(measured: dict[str, Any], words: str) -> None:
    assert vouch(facts(**measured), NOW).awaited == words
