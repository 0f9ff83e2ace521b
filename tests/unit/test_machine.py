"""The life of a supervised process, row by row."""

from typing import NamedTuple, get_args

import pytest

from signalbox.messages.base import ProcessState
from signalbox_controller.processes.machine import ALIVE, TABLE, Action, Input, step

SPAWN, TERM, QUIT, KILL = Action.SPAWN, Action.TERMINATE, Action.QUIT, Action.KILL_TREE
DEADLINE, READY, BACKOFF, DISARM = Action.ARM_DEADLINE, Action.ARM_READY, Action.ARM_BACKOFF, Action.DISARM

EXITS = {event for event in Input if event.name.startswith("EXITED")}

ROWS: list[tuple[ProcessState, Input, ProcessState, tuple[Action, ...]]] = [
    # Starting.
    ("stopped", Input.START, "starting", (DISARM, SPAWN, READY)),
    ("fatal", Input.START, "starting", (DISARM, SPAWN, READY)),
    ("backoff", Input.START, "starting", (DISARM, SPAWN, READY)),
    ("backoff", Input.BACKOFF_ELAPSED, "starting", (DISARM, SPAWN, READY)),
    ("starting", Input.GREETED, "starting", (READY,)),
    ("starting", Input.READY, "running", (DISARM,)),
    ("starting", Input.UNREADY, "stopping", (DISARM, KILL)),
    ("starting", Input.UNREACHABLE, "unknown", (READY,)),
    ("unknown", Input.UNREACHABLE, "unknown", (READY,)),
    ("starting", Input.EXITED_UNSUPPORTED, "fatal", (DISARM,)),
    ("starting", Input.START, "starting", ()),
    ("running", Input.START, "running", ()),
    # Stopping, with and without patience.
    ("running", Input.DRAIN, "draining", (DISARM, TERM, DEADLINE)),
    ("running", Input.HALT, "stopping", (DISARM, TERM, DEADLINE)),
    ("running", Input.KILL, "stopping", (DISARM, KILL)),
    ("draining", Input.GRACE_OVER, "stopping", (QUIT,)),
    ("draining", Input.DEADLINE, "stopping", (DISARM, KILL)),
    ("draining", Input.KILL, "stopping", (DISARM, KILL)),
    ("stopping", Input.DEADLINE, "stopping", (DISARM, KILL)),
    # Twice, and in the middle of something else.
    ("draining", Input.DRAIN, "draining", (DEADLINE,)),
    ("draining", Input.HALT, "stopping", (DEADLINE,)),
    ("stopping", Input.DRAIN, "stopping", (DEADLINE,)),
    ("stopping", Input.KILL, "stopping", (DISARM, KILL)),
    ("stopping", Input.GRACE_OVER, "stopping", ()),
    ("stopping", Input.START, "stopping", ()),
    ("starting", Input.DRAIN, "stopping", (DISARM, TERM, DEADLINE)),
    ("starting", Input.KILL, "stopping", (DISARM, KILL)),
    ("draining", Input.START, "draining", ()),
    ("draining", Input.EXITED_TO_RESTART, "starting", (DISARM, SPAWN, READY)),
    ("stopping", Input.EXITED_TO_RESTART, "starting", (DISARM, SPAWN, READY)),
    ("backoff", Input.DRAIN, "stopped", (DISARM,)),
    ("fatal", Input.KILL, "stopped", (DISARM,)),
    ("stopped", Input.DRAIN, "stopped", (DISARM,)),
    # Exits.
    ("draining", Input.EXITED, "stopped", (DISARM,)),
    ("stopping", Input.EXITED, "stopped", (DISARM,)),
    ("running", Input.EXITED_TO_RETRY, "backoff", (DISARM, BACKOFF)),
    ("starting", Input.EXITED_TO_RETRY, "backoff", (DISARM, BACKOFF)),
    ("starting", Input.EXITED_TO_WAIT, "backoff", (DISARM, BACKOFF)),
    ("stopping", Input.EXITED_TO_WAIT, "backoff", (DISARM, BACKOFF)),
    ("running", Input.EXITED_TOO_OFTEN, "fatal", (DISARM,)),
    ("running", Input.EXITED_FOR_GOOD, "stopped", (DISARM,)),
    # Told to shut down by somebody else, or by an error of its own: it has as much time as for a stop of ours.
    ("running", Input.LEAVING, "draining", (DISARM, DEADLINE)),
    ("unknown", Input.LEAVING, "draining", (DISARM, DEADLINE)),
    ("starting", Input.LEAVING, "stopping", (DISARM, DEADLINE)),
    # Its own report of a shutdown that we have ordered, or that is over its time, changes nothing.
    ("draining", Input.LEAVING, "draining", ()),
    ("stopping", Input.LEAVING, "stopping", ()),
    # It consumes, and none of its pool's processes is up: Celery starts them again and again.
    ("starting", Input.CHILDLESS, "starting", (DISARM,)),
    ("running", Input.CHILDLESS, "starting", ()),
    ("unknown", Input.CHILDLESS, "starting", (DISARM,)),
    ("draining", Input.CHILDLESS, "draining", ()),
    # Without its broker: no clock of ours runs, or a long outage would end it and its tasks.
    ("running", Input.WAITING, "starting", ()),
    ("starting", Input.WAITING, "starting", (DISARM,)),
    ("unknown", Input.WAITING, "starting", (DISARM,)),
    ("running", Input.SILENT, "unknown", ()),
    ("unknown", Input.ANSWERS, "running", (DISARM,)),
    # A beat that hangs has as long to tick again as it had to tick for the first time.
    ("running", Input.LATE, "unknown", (READY,)),
    ("starting", Input.LATE, "starting", ()),
    ("unknown", Input.UNREADY, "stopping", (DISARM, TERM, DEADLINE)),
    ("starting", Input.ANSWERS, "starting", ()),
    ("starting", Input.SILENT, "starting", ()),
    ("draining", Input.SILENT, "draining", ()),
    ("draining", Input.WAITING, "draining", ()),
    # Adopted.
    ("stopped", Input.ADOPTED, "unknown", (READY,)),
    ("unknown", Input.READY, "running", (DISARM,)),
    ("unknown", Input.GREETED, "starting", (READY,)),
    ("unknown", Input.DRAIN, "draining", (DISARM, TERM, DEADLINE)),
    ("unknown", Input.KILL, "stopping", (DISARM, KILL)),
    # Something of it cannot be ended: it is shown as stopped, or given up, only later.
    ("running", Input.OUTLIVED, "stopping", (DISARM,)),
    ("stopping", Input.OUTLIVED, "stopping", (DISARM,)),
    ("backoff", Input.OUTLIVED, "stopping", (DISARM,)),
    # Late words of an agent change nothing.
    ("draining", Input.READY, "draining", ()),
    ("stopping", Input.READY, "stopping", ()),
    ("stopped", Input.READY, "stopped", ()),
    ("running", Input.DEADLINE, "running", ()),
    ("running", Input.UNREADY, "running", ()),
    ("running", Input.GRACE_OVER, "running", ()),
]


@pytest.mark.parametrize(("state", "event", "then", "actions"), ROWS, ids=lambda value: getattr(value, "name", None))
def test_row(state: ProcessState, event: Input, then: ProcessState, actions: tuple[Action, ...]) -> None:
    transition = step(state, event)
    assert (transition.state, transition.actions) == (then, actions)


def test_every_state_has_its_rows() -> None:
    assert set(TABLE) == set(get_args(ProcessState))


@pytest.mark.parametrize("state", sorted(ALIVE))
def test_no_second_process_is_ever_launched_beside_a_living_one(state: ProcessState) -> None:
    for event in set(Input) - EXITS:
        assert SPAWN not in step(state, event).actions


@pytest.mark.parametrize("state", sorted(ALIVE))
def test_every_living_process_can_be_killed_and_every_exit_is_taken_note_of(state: ProcessState) -> None:
    assert KILL in step(state, Input.KILL).actions
    for event in EXITS:
        after = step(state, event)
        assert after.state not in ALIVE or SPAWN in after.actions


def test_a_process_that_is_told_to_stop_always_has_a_deadline() -> None:
    for state in sorted(ALIVE):
        for event in (Input.DRAIN, Input.HALT):
            assert DEADLINE in step(state, event).actions


#: What a process waits for that lies outside of it, and that is reported when it is over; none of it is ended for that.
WAITS = {Input.WAITING, Input.CHILDLESS, Input.SILENT}
#: The inputs that a clock gives.
CLOCKS = {
    DEADLINE: {Input.GRACE_OVER, Input.DEADLINE},
    READY: {Input.UNREADY, Input.UNREACHABLE},
    BACKOFF: {Input.BACKOFF_ELAPSED},
}


class Place(NamedTuple):
    """A state, and what leads out of it: the clocks that run, a KILL that was sent, or a wait."""

    state: ProcessState
    clocks: frozenset[Action] = frozenset()
    killed: bool = False
    waits: bool = False

    def after(self, event: Input) -> "Place":
        state, actions = step(self.state, event).state, step(self.state, event).actions
        clocks = frozenset() if DISARM in actions else self.clocks
        return Place(
            state,
            clocks | (CLOCKS.keys() & set(actions)),
            state in ALIVE and SPAWN not in actions and (self.killed or KILL in actions or event is Input.OUTLIVED),
            state in {"starting", "unknown"} and (event in WAITS or (self.waits and state == self.state)),
        )

    def can_be_left(self) -> bool:
        return self.state in {"stopped", "running", "fatal"} or self.killed or self.waits or bool(self.clocks)


def places() -> set[Place]:
    """All that can be reached."""
    found, fresh = set[Place](), {Place("stopped")}
    while fresh:
        found |= fresh
        fresh = {place.after(event) for place in fresh for event in Input if happens(place, event)} - found
    return found


def happens(place: Place, event: Input) -> bool:
    """Whether this can come to pass there: a clock gives its inputs only while it runs."""
    by_clock = [clock for clock, inputs in CLOCKS.items() if event in inputs]
    return not by_clock or by_clock[0] in place.clocks


def test_nothing_stays_for_ever_in_a_state_that_is_to_pass() -> None:
    assert [place for place in sorted(places(), key=str) if not place.can_be_left()] == []


def test_a_process_that_leaves_for_whatever_reason_is_killed_in_the_end() -> None:
    leaving = [place for place in places() if place.state in {"draining", "stopping"}]
    assert leaving
    assert [place for place in leaving if not place.killed and DEADLINE not in place.clocks] == []
