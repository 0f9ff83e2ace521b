"""When a beat counts as late: by its own promise, in our own turns, and never because it sleeps for long."""

from signalbox_controller.agents.liveness import GRACE, UNANSWERED, Liveness, Ticks


async def test_a_beat_that_sleeps_for_long_is_not_late() -> None:
    ticks = Ticks()
    assert not ticks.overdue, "before its first tick it has promised nothing"
    ticks.take(3600.0)
    assert not ticks.overdue


async def test_a_beat_that_does_not_keep_its_promise_is_overdue_until_it_ticks_again() -> None:
    ticks = Ticks()
    ticks.take(-1.0 - GRACE)
    assert ticks.overdue
    ticks.take(3600.0)
    assert not ticks.overdue


async def test_a_tick_that_comes_a_little_late_in_each_turn_is_not_missed_in_any() -> None:
    ticks = Ticks()
    for _ in range(UNANSWERED * 2):
        ticks.take(-1.0 - GRACE)
        assert ticks.overdue
        assert not ticks.missed()
    assert ticks.missed()


def test_several_turns_have_to_pass_without_a_sign_of_life_and_one_sign_ends_the_silence() -> None:
    liveness = Liveness()
    assert [liveness.missed() for _ in range(UNANSWERED + 2)] == [False] * UNANSWERED + [True, False]
    assert liveness.answered()
    assert not liveness.answered()
    assert not liveness.missed()


async def test_a_beat_whose_agent_promises_nothing_is_never_overdue() -> None:
    ticks = Ticks()
    ticks.take(-1.0 - GRACE)
    ticks.take(None)
    assert not ticks.overdue


async def test_a_beat_that_sends_has_time_for_it() -> None:
    ticks = Ticks()
    ticks.take(-1.0 - GRACE)
    ticks.expect(20.0)
    assert not ticks.overdue
