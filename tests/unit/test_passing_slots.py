"""Slots of a pool are passed on in a loop, and none gets lost on the way."""

from collections import deque
from collections.abc import Callable

import pytest
from kombu.asynchronous.semaphore import LaxBoundedSemaphore

from signalbox_agent.hooks.slot_passing import BURST, SlotPassing

MANY = 3 * BURST + 1


class Pool:
    """One slot, which is taken, and the turns of a loop."""

    def __init__(self) -> None:
        self.semaphore = LaxBoundedSemaphore(1)
        self.turns: deque[Callable[[], None]] = deque()
        self.passing = SlotPassing(self.semaphore.release, self.turns.append)
        self.semaphore.release = self.passing.release  # type: ignore[method-assign]
        self.semaphore.acquire(lambda: None)

    def turn(self) -> None:
        """All turns that are to come."""
        while self.turns:
            self.turns.popleft()()

    def is_free(self) -> bool:
        """Whether the one slot can be had again."""
        return bool(self.semaphore.value == 1)


@pytest.fixture
def pool() -> Pool:
    return Pool()


def test_hundreds_that_are_refused_are_passed_by(pool: Pool) -> None:
    refused: list[int] = []

    def refuse(number: int) -> None:
        refused.append(number)
        pool.semaphore.release()

    for number in range(MANY):
        pool.semaphore.acquire(refuse, number)
    pool.semaphore.release()
    assert len(refused) == BURST, "all in one turn"
    pool.turn()
    assert refused == list(range(MANY))
    assert pool.is_free()


def test_a_slot_is_not_lost_with_a_task_that_cannot_be_handed_over(pool: Pool) -> None:
    def fail() -> None:
        pool.semaphore.release()
        raise ConnectionResetError

    pool.semaphore.acquire(fail)
    with pytest.raises(ConnectionResetError):  # Celery has to hear of it
        pool.semaphore.release()
    pool.turn()
    assert pool.is_free()


def test_a_loop_that_broke_off_before_its_next_turn_goes_on_when_it_turns_again(pool: Pool) -> None:
    for _ in range(MANY):
        pool.semaphore.acquire(pool.semaphore.release)
    pool.semaphore.release()
    pool.turns.clear()
    pool.passing.resume()
    pool.turn()
    assert pool.is_free()
