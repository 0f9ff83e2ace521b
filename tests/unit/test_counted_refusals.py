"""Refusals become lines of the trail: the first at once, those that repeat it as one, and never more than so many."""

from datetime import UTC, datetime, timedelta

from signalbox_api.auth.refusals import KINDS, WINDOW, Refusals, Refused

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def refused(address: str = "10.0.0.1", who: str = "user:alice") -> Refused:
    return Refused("refusal", who, address, "GET /scheduler/tasks/", 403)


def test_the_first_is_a_line_at_once_with_all_that_is_known() -> None:
    refusals = Refusals()
    refusals.note(refused(), "You may not", at(0))
    [line] = refusals.due(at(1))
    assert (line.kind, line.who, line.address, line.about, line.outcome) == (
        *("refusal", "user:alice", "10.0.0.1"),
        *("GET /scheduler/tasks/", "refused"),
    )
    assert line.details == {"status": 403, "message": "You may not", "times": 1, "first": at(0), "last": at(0)}


def test_what_repeats_is_one_line_after_a_minute() -> None:
    refusals = Refusals()
    refusals.note(refused(), "no", at(0))
    assert len(list(refusals.due(at(1)))) == 1
    for second in range(2, 50):
        refusals.note(refused(), "no", at(second))
        assert list(refusals.due(at(second))) == []
    [line] = refusals.due(at(1) + WINDOW)
    assert (line.details["times"], line.details["first"], line.details["last"]) == (48, at(2), at(49))
    assert list(refusals.due(at(1) + 2 * WINDOW)) == []


def test_each_source_each_user_and_each_route_is_a_kind_of_its_own() -> None:
    refusals = Refusals()
    kinds = [refused(), refused("10.0.0.2"), refused(who="token:x"), refused()._replace(about="GET /metrics")]
    for kind in (*kinds, *kinds):
        refusals.note(kind, "no", at(0))
    assert [line.details["times"] for line in refusals.due(at(1))] == [2] * 4


def test_a_flood_from_everywhere_is_a_bounded_number_of_lines_that_counts_all() -> None:
    refusals = Refusals()
    for number in range(10_000):
        refusals.note(refused(f"10.0.{number // 256}.{number % 256}"), "no", at(0))
    lines = list(refusals.due(at(1)))
    assert len(lines) == KINDS + 1
    assert sum(int(str(line.details["times"])) for line in lines) == 10_000
    assert {line.address for line in lines} >= {"10.0.0.0", "several"}


def test_what_has_ended_is_forgotten() -> None:
    refusals = Refusals()
    for number in range(KINDS):
        refusals.note(refused(f"10.0.0.{number}"), "no", at(0))
    list(refusals.due(at(1)))
    list(refusals.due(at(1) + WINDOW))
    refusals.note(refused("10.0.1.1"), "no", at(70))
    [line] = refusals.due(at(71))
    assert line.address == "10.0.1.1"


def test_at_the_end_nothing_is_left_uncounted() -> None:
    refusals = Refusals()
    refusals.note(refused(), "no", at(0))
    list(refusals.due(at(1)))
    refusals.note(refused(), "no", at(2))
    [line] = refusals.rest()
    assert line.details["times"] == 1
    assert list(refusals.rest()) == []
