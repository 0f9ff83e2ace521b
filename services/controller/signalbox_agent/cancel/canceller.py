"""The canceller: finds a task, ends it or keeps it from starting, and answers the command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from signalbox_agent.cancel.announcer import Announcer
from signalbox_agent.cancel.decide import CancelAction, Standing, action_for, gravest
from signalbox_agent.cancel.kill import Kill
from signalbox_agent.cancel.pool import PoolControl
from signalbox_agent.celery_compat import requests as compat
from signalbox_agent.celery_compat.names import CANCEL_RUNNING, CANCEL_WAITING, TRACKING, Missing
from signalbox_agent.child.slots import Slots
from signalbox_agent.link.link import Link
from signalbox_agent.link.loop import Loop
from signalbox_agent.link.slices import Slices
from signalbox_agent.tasks import events
from signalbox_agent.tasks.runs import Run, Runs
from signalbox_agent.tasks.texts import REASON, refused

#: Seconds between TERM and KILL for a cancelled task that came back, where no command says how many.
GRACE = 5.0
#: Seconds after which a kill is worth an event of its own; before, the event only delays the proof.
SWIFT = 0.05
#: The error of one that was killed after its body had ended; nobody can tell how far its report had come.
CUT_OFF = f"{REASON}; its work was done, and its report was cut off"

Answer = dict[str, Any]


def _left_words(left: int) -> Answer:
    """The detail about what a run had left before it was cancelled: its body was over, and it was to be tried again."""
    return {"detail": f"{left} processes that it had left when it ended were not ended."} if left else {}


def standing(run: Run) -> Standing:
    """The place of a task in its worker, from Celery's own marks on its request."""
    if run.together or (run.own_strategy and not compat.is_handed_over(run.request)):
        return Standing.FOREIGN
    if run.started_at is not None:
        return Standing.RUNNING
    return Standing.HANDED if compat.is_handed_over(run.request) else Standing.WAITING


@dataclass(eq=False)
class Canceller:
    """Carries out the cancels that the controller orders."""

    runs: Runs
    link: Link
    loop: Loop
    pool: PoolControl
    #: That of the command line.
    pool_name: str
    slots: Slots
    missing: Missing
    #: Whether the pool asks before it starts a task.
    can_refuse: bool

    def __post_init__(self) -> None:
        self._announcer = Announcer(self.loop, self.pool)
        #: One for all: of two, each would be due again when the other is done, and kombu's hub runs up to ten in a row.
        self._later = Slices(self.loop)
        #: The answers about single runs, by command and task, until there is one about each.
        self._answers: dict[tuple[str, str], list[Answer]] = {}

    # What the controller asks

    def cancel(self, command_id: str, task_id: str, grace: float) -> None:
        """End the task, or see to it that it does not run here."""
        if (off := self.missing.sentence(TRACKING)) is not None:
            self._refuse_command(command_id, task_id, off)
            return
        chosen = [(run, self._action(run)) for run in self.runs.of(task_id)]
        refusing = next((run for run, action in chosen if action is CancelAction.REFUSE), None)
        running = [run for run, action in chosen if action in {CancelAction.KILL, CancelAction.AWAIT}]
        for run in running:  # all of them are dead before the command is answered
            run.asked_by.add(command_id)
        self._drop(task_id, command_id)
        for run in running:
            self._end_run(run, command_id, grace)
        if refusing is not None:
            self._refuse_command(command_id, task_id, self._why_not(refusing))
        elif not running:
            self._absent(command_id, task_id)

    def _end_run(self, run: Run, command_id: str | None, grace: float) -> None:
        if self._action(run) is CancelAction.AWAIT:
            run.pending_cancels.append((command_id, grace))
            return
        self.runs.refused[run.task_id] = command_id or self.runs.refused.get(run.task_id)
        self._kill(run, [command_id] if command_id else [], grace)

    def _why_not(self, run: Run) -> str:
        if run.together:
            tasks = f"a batch of {run.together} tasks" if run.together > 1 else "a job"
            return f"It runs in process {run.pid} as {tasks}, made by the strategy that its task has of its own"
        if standing(run) is Standing.FOREIGN:
            return "Its task has a strategy of its own, which has taken it and cannot be made to give it up"
        feature = CANCEL_WAITING if standing(run) is Standing.WAITING else CANCEL_RUNNING
        off = self.missing.sentence(feature)
        return off or f"The {self.pool_name} pool cannot end a single task"

    def _refuse_command(self, command_id: str, task_id: str, detail: str) -> None:
        self._answer(command_id, task_id, {"state": "unsupported", "detail": detail})

    def failed(self, command_id: str, task_id: str) -> None:
        """Our own code failed at a cancel."""
        self._refuse_command(
            command_id, task_id, "The agent failed at it, see the worker's log; stop the worker to end it"
        )

    def refuse(self, task_ids: Iterable[str]) -> None:
        """Refuse tasks that were cancelled earlier, and elsewhere perhaps: none of them starts from now on.

        Those that wait here or run are ended in slices, while Celery's loop goes on turning.
        """
        refused, here = self.runs.refused, []
        for task_id in task_ids:
            if task_id not in refused:
                refused[task_id] = None
            if self.runs.has(task_id):
                here.append(task_id)
        self._later.put(partial(self._end, task_id) for task_id in here)

    def allow(self, task_ids: Iterable[str]) -> None:
        """Let tasks run again that were cancelled; what was dropped or ended of them stays so."""
        for task_id in task_ids:
            self.runs.refused.pop(task_id, None)
            self.runs.ended.pop(task_id, None)

    def _end(self, task_id: str) -> None:
        self._drop(task_id, self.runs.refused.get(task_id))
        for run in self.runs.of(task_id):
            if self._action(run) in {CancelAction.KILL, CancelAction.AWAIT}:
                self._end_run(run, None, GRACE)

    def _action(self, run: Run) -> CancelAction:
        choice = action_for(standing(run), can_kill=self.pool.can_kill, can_refuse=self.can_refuse)
        return CancelAction.REFUSE if choice is CancelAction.DROP and not self.missing.can(CANCEL_WAITING) else choice

    def _absent(self, command_id: str, task_id: str) -> None:
        self._answer(command_id, task_id, self._known_end(command_id, task_id))

    def _known_end(self, command_id: str, task_id: str) -> Answer:
        """The answer about a task of which nothing is left here; it may run elsewhere, and must not come from there."""
        self.runs.refused[task_id] = command_id
        return self.runs.ended.get(task_id) or {"state": "unknown"}

    def _drop(self, task_id: str, command_id: str | None) -> None:
        """Drop the runs of a task that wait here; it is announced to Celery when that has time."""
        for run in self.runs.of(task_id):
            if self._action(run) is not CancelAction.DROP:
                continue
            self.runs.refused[task_id] = command_id
            if not self.set_aside(run):
                run.request.revoked()

    def set_aside(self, run: Run) -> bool:
        """Drop a waiting task, and announce it to Celery later; only on Celery's own loop, never from a thread.

        Its id is refused, which is enough: each task is checked when its turn comes.
        """
        if self.loop.hub is None or not run.received or standing(run) is not Standing.WAITING:
            return False
        request = run.request
        self.runs.end(run, {"state": "dropped", "detail": "It will not run"})
        command_id = self.runs.refused.get(run.task_id)
        self.link.event(events.dropped(run, "cancelled", refused(run, command_id), command_id))
        self._later.put([partial(self._announcer.dropped, request)])
        return True

    # Killing

    def accepted(self, run: Run) -> None:
        """A child began to run it: time to carry out what was asked meanwhile."""
        pending, run.pending_cancels = run.pending_cancels, []
        if not pending and run.task_id in self.runs.refused:  # refused while it was on its way to the child
            pending = [(None, GRACE)]
        for command_id, grace in pending:
            self._end_run(run, command_id, grace)

    def unstarted(self, run: Run) -> None:
        """It was over before a child began to run it."""
        pending, run.pending_cancels = run.pending_cancels, []
        for command_id, _ in pending:
            if command_id:
                self._settle(run, command_id, self._known_end(command_id, run.task_id))

    def about_to_exit(self, pid: int) -> None:
        """A child says that it is about to exit."""
        for run in self.runs.all():
            if run.kill is not None and run.pid == pid:
                run.kill.before_exit()

    def _kill(self, run: Run, commands: list[str], grace: float) -> None:
        kill = run.kill
        if kill is None:
            kill = run.kill = self.pool.kill(run, grace, self)
            if kill is None:
                self._gone_already(run, commands)
                return
            kill.commands.extend(commands)
            kill.begin()
            return
        kill.commands.extend(commands)
        for command_id in commands if kill.begun else ():
            self._progress(command_id, kill)

    def _gone_already(self, run: Run, commands: list[str]) -> None:
        """Its child died a moment ago; if by itself, Celery is about to notice and to say what becomes of it."""
        if self.ended_outside(run):
            for command_id in commands:
                self._settle(run, command_id, self._known_end(command_id, run.task_id))
            return
        for command_id in commands:
            detail = f"Its process {run.pid} died before it could be signalled"
            self._settle(run, command_id, {"state": "finished", "status": "failed", "detail": detail})

    def ended_outside(self, run: Run) -> bool:
        """Whether the controller has ended its child while we did not answer: then it is cancelled, for us as well."""
        mark = self.slots.mark(run.pid, run.key)
        if mark is None or run.over:
            return mark is not None
        request, pid = run.request, run.pid
        self.link.event(
            events.cancelled(run, mark["command_id"], mark["signal"], [pid] if pid else [], REASON, "search")
        )
        self.runs.refused[run.task_id] = mark["command_id"]
        self.runs.end(run, {"state": "dead", "pid": pid, "signal": mark["signal"], "strays": []})
        self._announcer.killed(request, mark["signal"])
        return True

    # How a kill goes on

    def signalled(self, kill: Kill, kill_at: float | None) -> None:
        """See KillObserver."""
        self.loop.call_later(SWIFT, lambda: self._record(kill, kill_at))
        for command_id in kill.commands:
            self._progress(command_id, kill)

    def was_signalled(self, kill: Kill) -> bool:
        """See KillObserver: the controller does so when we do not answer."""
        return self.slots.mark(kill.run.pid, kill.run.key) is not None

    def _record(self, kill: Kill, kill_at: float | None) -> None:
        """Publish that a signal was sent, unless the kill is over."""
        if kill.commands and not kill.over:
            self.link.event(events.signalled(kill.run, kill.commands[0], kill.signal, kill_at))

    def _progress(self, command_id: str, kill: Kill) -> None:
        self._answer(command_id, kill.run.task_id, {"state": "signalled", **kill.facts()})

    def dead(self, kill: Kill) -> None:
        """Publish the proof first, then announce it to Celery: that takes a while."""
        run, request = kill.run, kill.run.request
        run.left_processes = run.left_processes or self.slots.left_by(run.pid, run.task_id)
        answer = {"state": "dead", **kill.proof(), **_left_words(run.left_processes)}
        cut_off = kill.signal == "KILL" and self.slots.ended_by_itself(run.pid, run.task_id)
        reason = CUT_OFF if cut_off else REASON
        if kill.commands:
            proof = "cgroup" if kill.cgroup else "search"
            self.link.event(events.cancelled(run, kill.commands[0], kill.signal, kill.killed(), reason, proof))
        else:
            self.link.event(events.failed(run, "cancelled", reason))
        self._close(kill, answer)
        self._announcer.killed(request, kill.signal)

    def finished(self, kill: Kill) -> None:
        """See KillObserver; the event was sent when the child reported the end."""
        if not self.runs.of(kill.run.task_id):
            self.runs.refused.pop(kill.run.task_id, None)
        self._close(kill, {"state": "finished", "status": kill.end})

    def late(self, kill: Kill) -> None:
        """See KillObserver."""
        for command_id in kill.commands:
            self._settle(kill.run, command_id, self._known_end(command_id, kill.run.task_id))

    def alive(self, kill: Kill) -> None:
        """See KillObserver."""
        for command_id in kill.commands:
            self._answer(command_id, kill.run.task_id, {"state": "alive", "detail": kill.outlived, **kill.facts()})

    def _close(self, kill: Kill, answer: Answer) -> None:
        run = kill.run
        self.runs.end(run, answer)
        for command_id in kill.commands:
            self._settle(run, command_id, answer)
        self.link.flush()

    def _settle(self, run: Run, command_id: str, answer: Answer) -> None:
        """Answer a command when it has an answer about each run that it was to end: with the gravest."""
        run.asked_by.discard(command_id)
        key = (command_id, run.task_id)
        self._answers.setdefault(key, []).append(answer)
        if not any(command_id in other.asked_by for other in self.runs.of(run.task_id) if other is not run):
            self._answer(command_id, run.task_id, gravest(self._answers.pop(key)))

    def resume(self) -> None:
        """The broker is back."""
        self._announcer.resume()

    def _answer(self, command_id: str, task_id: str, answer: Answer) -> None:
        self.link.send({"type": "cancel", "command_id": command_id, "task_id": task_id, **answer})
