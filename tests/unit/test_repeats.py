"""Which heartbeats say nothing new, and how long that is remembered."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from signalbox.messages.events import EventNumbers, HostLeft, HostSeen, ProcessChanged
from signalbox_reconciler.fold.repeats import Repeats, split
from support.history import HOST, after


def worker(seconds: float, **other: Any) -> ProcessChanged:
    state: dict[str, Any] = {"state": "running", "desired": "running", "since": after(0)} | other
    return ProcessChanged(at=after(seconds), host=HOST, name="worker", kind="worker", **state)


def beat(seconds: float, *processes: ProcessChanged, last: int = 7, host: str = HOST, **other: Any) -> HostSeen:
    numbers = EventNumbers(epoch="e", last=last)
    return HostSeen(at=after(seconds), host=host, processes=processes or (worker(seconds),), numbers=numbers, **other)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repeats(clock: Clock) -> Repeats:
    memory = Repeats(30.0, clock)
    memory.remember(beat(1))
    memory.remember_complete(beat(1))
    return memory


def test_a_heartbeat_repeats_the_last_one_whatever_its_time_its_tasks_and_its_numbers(repeats: Repeats) -> None:
    assert repeats.repeated(beat(3, last=9, running=(("t1", "r1"),), clock_ahead=None))


@pytest.mark.parametrize(
    "said",
    [
        beat(3, worker(3, state="stopping")),
        beat(3, worker(3, message="it flaps")),
        beat(3, worker(3, since=after(2))),
        beat(3, worker(3), msgspec.structs.replace(worker(3), name="other")),
        beat(3, proof="cgroup"),
        beat(3, proof_detail="of another reason"),
        beat(3, clock_ahead=0.3),
        beat(3, host="web-08"),
    ],
)
def test_a_heartbeat_with_anything_else_is_new(repeats: Repeats, said: HostSeen) -> None:
    assert not repeats.repeated(said)


def test_a_host_of_which_something_else_is_told_is_written_in_full(repeats: Repeats) -> None:
    for told in (worker(2, state="stopping"), HostLeft(at=after(2), host=HOST)):
        repeats.remember(beat(1))
        repeats.forget([told])
        assert not repeats.repeated(beat(3))


def test_the_events_of_a_host_are_complete_up_to_the_number_that_was_confirmed(repeats: Repeats) -> None:
    assert repeats.complete(beat(3))
    assert not repeats.complete(beat(3, last=8))
    repeats.remember(beat(3))
    assert not repeats.complete(beat(5))


def test_every_host_is_written_in_full_once_in_a_while(repeats: Repeats, clock: Clock) -> None:
    clock.now += 29.0
    assert repeats.repeated(beat(30))
    clock.now += 2.0
    assert not repeats.repeated(beat(32))


def test_hosts_that_went_without_a_word_are_not_remembered(repeats: Repeats, clock: Clock) -> None:
    for number in range(100):
        clock.now += 10.0
        repeats.remember(beat(1, host=f"pod-{number}"))
    assert len(repeats) == 3


def hosts_of(seen: Sequence[HostSeen]) -> list[str]:
    return [one.host for one in seen]


def test_a_batch_is_split_by_hosts_and_the_latest_repetition_is_kept(repeats: Repeats) -> None:
    changed, other = worker(2), beat(2, host="web-08")
    repeated, others = split([beat(5), changed, other, beat(3)], repeats)
    assert [one.at for one in repeated] == [after(5)]
    assert others == [changed, other]


def test_a_host_that_says_something_new_in_a_batch_is_new_in_all_of_it(repeats: Repeats) -> None:
    batch = [beat(5), beat(3, worker(3, state="stopping")), beat(7)]
    assert split(batch, repeats) == ([], batch)
