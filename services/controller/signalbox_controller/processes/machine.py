"""The state machine of a supervised process, as a table: state and input → state and actions.

Pure: nothing here touches a process or a clock, so the whole can be read, and tested, row by row.
"""

from enum import StrEnum
from typing import Final

import msgspec

from signalbox.messages.base import ProcessState


class Input(StrEnum):
    """What can happen to a process; the text completes "because …"."""

    START = "a start was asked for"
    #: Stop, and let running tasks finish.
    DRAIN = "a stop was asked for"
    #: Stop where there is nothing to let finish: beat, or a worker that was not ready yet.
    HALT = "a stop was asked for at once"
    #: Stop without waiting for anything.
    KILL = "a kill was asked for"
    #: A controller that came back found it alive.
    ADOPTED = "it was found running"
    #: Its agent speaks to us, and it does not consume (or tick) yet.
    GREETED = "its agent greeted us"
    READY = "it consumes"
    #: It consumes, and no process of its pool is up, which Celery starts again and again.
    CHILDLESS = "no process of its pool is up"
    #: It was ready, and its broker is away: it takes nothing, and what it runs goes on.
    WAITING = "it lost its broker"
    #: It is connected and answers nothing: stopped by a signal, or stuck.
    SILENT = "it does not answer"
    #: It is a beat whose scheduler hangs.
    LATE = "it does not tick as it has promised"
    ANSWERS = "it answers again"
    #: Its agent reports that it began to shut down, for whatever reason.
    LEAVING = "it is shutting down"
    #: The time in which its tasks may finish is over; what is left is for ending them in order.
    GRACE_OVER = "the time for its tasks ran out"
    DEADLINE = "its time to stop ran out"
    UNREADY = "it did not begin to consume, or to tick again, in time"
    #: The same of one whose agent cannot be reached; it may do its work.
    UNREACHABLE = "it may be working, and its agent cannot be reached"
    BACKOFF_ELAPSED = "its pause is over"
    #: Gone, as it was asked to.
    EXITED = "it exited"
    #: Gone as asked, and a start has been asked for since.
    EXITED_TO_RESTART = "it exited to be started again"
    #: Gone unasked; another try after a pause.
    EXITED_TO_RETRY = "it failed"
    #: Gone for a reason that lies outside of it, such as a broker that is away; another try after a pause.
    EXITED_TO_WAIT = "it could not begin"
    #: Gone unasked, too often.
    EXITED_TOO_OFTEN = "it keeps failing"
    #: Gone unasked, and its restart policy leaves it.
    EXITED_FOR_GOOD = "it ended by itself"
    #: Not launched at all.
    EXITED_UNSUPPORTED = "its Celery is not supported"
    #: Gone, or about to be shown as such, and not all of it.
    OUTLIVED = "something of it outlived KILL"


class Action(StrEnum):
    """What the supervisor does about a transition, in the order given."""

    SPAWN = "launch it"
    TERMINATE = "TERM to the main process"
    QUIT = "QUIT to the main process"
    KILL_TREE = "KILL to it and to all that descends from it"
    ARM_DEADLINE = "start the clocks after which its tasks are ended, and it is killed"
    ARM_READY = "start the clock by which it has to consume, or to tick"
    ARM_BACKOFF = "start the pause before the next try"
    DISARM = "stop every clock"


class Transition(msgspec.Struct, frozen=True):
    """Where an input leads, and what has to be done for it."""

    state: ProcessState
    actions: tuple[Action, ...] = ()


def _to(state: ProcessState, *actions: Action) -> Transition:
    return Transition(state, actions)


_SPAWN = _to("starting", Action.DISARM, Action.SPAWN, Action.ARM_READY)
_DRAIN = _to("draining", Action.DISARM, Action.TERMINATE, Action.ARM_DEADLINE)
_HALT = _to("stopping", Action.DISARM, Action.TERMINATE, Action.ARM_DEADLINE)
#: It does by itself what a stop asks for, and has as much time for it.
_DRAINING = _to("draining", Action.DISARM, Action.ARM_DEADLINE)
_HALTING = _to("stopping", Action.DISARM, Action.ARM_DEADLINE)
_KILL = _to("stopping", Action.DISARM, Action.KILL_TREE)
_DOWN = _to("stopped", Action.DISARM)
_RETRY = _to("backoff", Action.DISARM, Action.ARM_BACKOFF)
_GIVE_UP = _to("fatal", Action.DISARM)
_LINGERS = _to("stopping", Action.DISARM)

#: However it comes, an exit leads out of every state in which there is a process.
EXITS: Final = {
    Input.EXITED: _DOWN,
    Input.EXITED_TO_RESTART: _SPAWN,
    Input.EXITED_TO_RETRY: _RETRY,
    Input.EXITED_TO_WAIT: _RETRY,
    Input.EXITED_TOO_OFTEN: _GIVE_UP,
    Input.EXITED_FOR_GOOD: _DOWN,
    Input.EXITED_UNSUPPORTED: _GIVE_UP,
    Input.OUTLIVED: _LINGERS,
}

#: Where there is no process, a stop only takes back what was planned.
_ABSENT: Final = {
    Input.START: _SPAWN,
    Input.DRAIN: _DOWN,
    Input.HALT: _DOWN,
    Input.KILL: _DOWN,
    Input.OUTLIVED: _LINGERS,
}

TABLE: Final[dict[ProcessState, dict[Input, Transition]]] = {
    "stopped": {**_ABSENT, Input.ADOPTED: _to("unknown", Action.ARM_READY)},
    "fatal": _ABSENT,
    "backoff": {**_ABSENT, Input.BACKOFF_ELAPSED: _SPAWN},
    "starting": {
        **EXITS,
        # Importing the application is not the same as reaching its broker: each has its time.
        Input.GREETED: _to("starting", Action.ARM_READY),
        Input.READY: _to("running", Action.DISARM),
        Input.WAITING: _to("starting", Action.DISARM),
        Input.UNREADY: _KILL,
        Input.UNREACHABLE: _to("unknown", Action.ARM_READY),
        Input.DRAIN: _HALT,
        Input.HALT: _HALT,
        Input.KILL: _KILL,
        Input.CHILDLESS: _to("starting", Action.DISARM),
        Input.LEAVING: _HALTING,
    },
    "running": {
        **EXITS,
        Input.WAITING: _to("starting"),
        Input.CHILDLESS: _to("starting"),
        Input.SILENT: _to("unknown"),
        Input.LATE: _to("unknown", Action.ARM_READY),
        Input.DRAIN: _DRAIN,
        Input.HALT: _HALT,
        Input.KILL: _KILL,
        Input.LEAVING: _DRAINING,
    },
    "unknown": {
        **EXITS,
        Input.GREETED: _to("starting", Action.ARM_READY),
        Input.READY: _to("running", Action.DISARM),
        Input.WAITING: _to("starting", Action.DISARM),
        Input.CHILDLESS: _to("starting", Action.DISARM),
        # Silent, late or adopted: an adopted one has to greet us first.
        Input.ANSWERS: _to("running", Action.DISARM),
        Input.UNREACHABLE: _to("unknown", Action.ARM_READY),
        # A beat that hangs: Celery saves its schedule on TERM.
        Input.UNREADY: _HALT,
        Input.DRAIN: _DRAIN,
        Input.HALT: _HALT,
        Input.KILL: _KILL,
        Input.LEAVING: _DRAINING,
    },
    # A second stop may shorten the time that is left; Celery ignores a second TERM (measured on 5.7).
    "draining": {
        **EXITS,
        Input.DRAIN: _to("draining", Action.ARM_DEADLINE),
        Input.HALT: _to("stopping", Action.ARM_DEADLINE),
        Input.GRACE_OVER: _to("stopping", Action.QUIT),
        Input.KILL: _KILL,
        Input.DEADLINE: _KILL,
    },
    "stopping": {
        **EXITS,
        Input.DRAIN: _to("stopping", Action.ARM_DEADLINE),
        Input.HALT: _to("stopping", Action.ARM_DEADLINE),
        Input.KILL: _KILL,
        Input.DEADLINE: _KILL,
        Input.UNREADY: _KILL,
    },
}

#: The states in which there is, or may be, a process.
ALIVE: Final[frozenset[ProcessState]] = frozenset({"starting", "running", "draining", "stopping", "unknown"})


def step(state: ProcessState, event: Input) -> Transition:
    """Where `event` leads from `state`; an input that means nothing there changes nothing."""
    return TABLE[state].get(event, Transition(state))
