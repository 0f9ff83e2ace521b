"""The run that a task shows: of all runs of its id on all hosts the liveliest one; pure.

`store.tasks` has the same rule in SQL; a test compares the two.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from enum import IntEnum

from signalbox_reconciler.fold.rows import LogRow, Phase, TaskRow, WaitRow
from signalbox_reconciler.fold.run_keys import parse

#: A run, or a delivery that waits in a worker.
Run = LogRow | WaitRow

_NEVER = datetime.min.replace(tzinfo=UTC)


class RunState(IntEnum):
    """How alive a run is; the task shows the greatest."""

    #: A later run took its place.
    REPLACED = 0
    ENDED = 1
    WAITING = 2
    RUNNING = 3


def liveliest(runs: Sequence[Run]) -> Run:
    """The run that its task shows; of several that run or wait the latest one, else the one that ended last."""
    if len(runs) == 1:
        return runs[0]
    return max(runs, key=lambda run: _rank(run, runs))


def state_of(run: Run, runs: Collection[Run]) -> RunState:
    """How alive one of these runs is."""
    if run.phase == Phase.STARTED:
        return RunState.RUNNING
    if run.phase == Phase.FINISHED:
        return RunState.REPLACED if _is_refuted(run, runs) else RunState.ENDED
    return RunState.REPLACED if _is_replaced(run, runs) else RunState.WAITING


def _is_replaced(run: Run, runs: Collection[Run]) -> bool:
    """Whether what waited has come again.

    A delivery that cannot be told apart, or a run that gave its task back, waits until there is another one that is
    not earlier. A delivery that can be told apart waits until its message is redelivered: its worker may have died, or
    have lost its broker.
    """
    key = parse(run.run)
    if not _can_be_told_apart(run):
        others = ((parse(other.run).order, _may_be_next(other)) for other in runs)
        return any(order > key.order or (order == key.order and is_next) for order, is_next in others)
    again = (parse(other.delivery) for other in runs)
    return any(other.redelivered and other.message == key.message and other.order > key.order for other in again)


def _is_refuted(run: Run, runs: Collection[Run]) -> bool:
    """Whether what was discarded has run all the same: nobody found it, and its events were on their way.

    A delivery that can be told apart has another log then, that of its run. Or its message ran by another delivery, and
    was acknowledged with that. Elsewhere any run of the same attempt will do, or of a later one.
    """
    if run.outcome != "discarded":
        return False
    key = parse(run.run)
    if key.identified:
        others = [other for other in runs if other.run != run.run]
        return any(other.delivery == run.delivery or _has_run(other, key.message) for other in others)
    ran = (parse(other.run) for other in runs if other.phase in {Phase.STARTED, Phase.FINISHED})
    return any(other.started and other.retries >= key.retries for other in ran)


def _has_run(run: Run, message: str) -> bool:
    """Whether this is a run of that message which goes on, or was seen to end."""
    is_run = run.phase in {Phase.STARTED, Phase.FINISHED} and parse(run.run).started
    return is_run and run.confirmed and bool(message) and parse(run.delivery).message == message


def _can_be_told_apart(run: Run) -> bool:
    return run.phase == Phase.RECEIVED and parse(run.run).identified


def _may_be_next(run: Run) -> bool:
    """Whether it follows what waits, when both began in the same millisecond."""
    return run.phase in {Phase.STARTED, Phase.FINISHED} or _can_be_told_apart(run)


def _rank(run: Run, runs: Collection[Run]) -> tuple[RunState, bool, datetime, tuple[int, int], str]:
    alive = state_of(run, runs)
    ended = (run.finished_at or _NEVER) if alive is RunState.ENDED else _NEVER
    return (alive, alive is RunState.RUNNING and run.confirmed, ended, parse(run.run).order, run.run)


def show(task: TaskRow, run: Run) -> None:
    """Have a task show this run."""
    task.run, task.phase, task.confirmed, task.precedence = run.run, run.phase, run.confirmed, run.precedence
    task.retries, task.host, task.worker = run.retries, run.host, run.worker
    task.started_at, task.pid, task.left_processes = run.started_at, run.pid, run.left_processes
    task.proof = run.proof if run.phase == Phase.FINISHED else None
    task.cancel_signal, task.cancel_kill_at = run.cancel_signal, None if run.over else run.cancel_kill_at
    if run.phase == Phase.FINISHED:
        task.status, task.outcome, task.error, task.finished_at = run.status, run.outcome, run.error, run.finished_at
    else:
        task.status = "running" if run.phase == Phase.STARTED else "pending"
        task.outcome, task.finished_at = None, None
        task.error = run.error if run.outcome == "error" else None
