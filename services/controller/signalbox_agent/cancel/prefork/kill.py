"""Kill of one pool child: looks at it, has `cancel.decide` decide, and acts."""

from __future__ import annotations

import signal
from collections.abc import Callable
from time import monotonic, time
from typing import Any

from signalbox_agent.cancel.decide import Act, Plan, Seen, Stage, decide
from signalbox_agent.cancel.kill import Kill, KillObserver
from signalbox_agent.cancel.prefork.children import Children
from signalbox_agent.cancel.prefork.descendants import Descendants
from signalbox_agent.cancel.prefork.pool import Child, Prefork
from signalbox_agent.celery_compat.prefork import TERM_SIGNAL, stop_watching
from signalbox_agent.link.loop import Loop
from signalbox_agent.proc import Proc
from signalbox_agent.tasks.runs import Run

#: Seconds between looks: while descriptors tell of all deaths; while Celery's loop stands still; without descriptors.
CALM, ALONE, BLIND = 0.25, 0.05, 0.005
#: Seconds that Celery may take to read the report of a child, where it has to be left to it.
UNREAD = 2.0


class ProcessKill(Kill):
    """A kill that signals a child, and all that descends from it."""

    outlived = "It outlived KILL; it will be reported when it dies"

    def __init__(
        self,
        run: Run,
        child: Child,
        family: Callable[[Callable[[], None]], Descendants],
        grace: float,
        prefork: Prefork,
        children: Children,
        loop: Loop,
        observer: KillObserver,
    ) -> None:
        """`family` makes what looks after the processes that the child has started, and calls back at changes."""
        super().__init__(run, grace, loop, observer)
        self.signal = "TERM"
        self._child = child
        self._child_gone = False
        self._descendants = family(self.look)
        self.cgroup = self._descendants.cgroup
        self._prefork = prefork
        self._children = children
        self._signalled: dict[Stage, set[Proc]] = {Stage.TERM: set(), Stage.KILL: set()}
        self._looking = False
        self._unread_since: float | None = None

    def begin(self) -> None:
        """Send the first signal, unless the child has just reported the end of the task."""
        if self._unread():
            self._timer = self._loop.call_later(ALONE, self.begin)
            return
        if self.run.over:
            self.close()
            self._observer.late(self)
            return
        self.begun = True
        self._plan = Plan(Stage.TERM, monotonic() + self._grace)
        if self._loop.hub is not None:
            # Celery's own watch fires a moment too early, before the child can be reaped: Celery would look for the
            # dead, find none, and not look again for 5 s.
            stop_watching(self._child.process, self._loop.hub)
        self._descendants.refresh(with_root=True)
        self._do(Act.TERM_CHILD)
        self._children.watch(self._child.proc.pid)
        self._children.when_dead(self._child.proc.pid, self.look)
        self.look()

    def before_exit(self) -> None:
        """The child is about to exit: the last chance to see what it has started."""
        self._descendants.refresh(with_root=True)

    def look(self) -> None:
        """Look at the child and its descendants, and take the next step."""
        if self._looking or self.over:
            return
        self._looking = True
        try:
            self._step()
        finally:
            self._looking = False

    def _step(self) -> None:
        gone = self._child_gone or self._child.gone()
        if self._unread():  # only after the look at the child: what it has sent by now is all that it ever will
            self._look_after(ALONE)
            return
        if gone and not self._child_gone:
            self._child_gone = True
            self._descendants.refresh(with_root=False)
        self._plan, acts = decide(self._plan, self._seen())
        for act in acts:
            self._do(act)
        if not self.over:
            self._look_after(self._pause())

    def _look_again(self) -> None:
        if self._child_gone or self._plan.stage is not Stage.TERM:
            self._descendants.refresh(with_root=not self._child_gone)
        self.look()

    def _unread(self) -> bool:
        """Have Celery read the reports of the child; answer whether it has to read on by itself, and soon will."""
        if self._loop.last_hub is not None:
            self._prefork.catch_up(self._child, self._loop.last_hub)
        if not self._prefork.has_news(self._child):
            self._unread_since = None
            return False
        self._unread_since = self._unread_since or monotonic()
        return monotonic() < self._unread_since + UNREAD

    def _seen(self) -> Seen:
        alive = self._descendants.alive()
        everyone = alive if self._child_gone else [*alive, self._child.proc]
        had = self._signalled[Stage.TERM if self._plan.stage is Stage.TERM else Stage.KILL]
        return Seen(
            now=monotonic(),
            child_gone=self._child_gone,
            ended=self.end,
            left=self._descendants.left(root_gone=self._child_gone),
            fresh=sum(proc not in had for proc in everyone),
        )

    def _pause(self) -> float:
        calm = BLIND if self._descendants.unwatched else CALM if self._loop.hub is not None else ALONE
        if self._plan.stage is Stage.STUCK:
            return calm
        return min(calm, max(0.001, self._plan.deadline - monotonic()))

    def _do(self, act: Act) -> None:
        if act is Act.TERM_CHILD:
            if self._plan.asked_again or not self._observer.was_signalled(
                self
            ):  # a second TERM breaks off what the first began
                self._prefork.signal(self._child, TERM_SIGNAL)
            self._signalled[Stage.TERM].add(self._child.proc)
            self._observer.signalled(self, time() + self._plan.deadline - monotonic())
        elif act is Act.TERM_REST:
            for proc in self._descendants.alive():
                if proc not in self._signalled[Stage.TERM]:
                    self._signalled[Stage.TERM].add(proc)
                    self._descendants.signal(proc, signal.SIGTERM)
        elif act is Act.KILL_ALL:
            self._kill_all()
        else:
            if act is Act.REPORT_FINISHED:
                self._prefork.retire(self._child)
            self._report(act)

    def _kill_all(self) -> None:
        first = not self._signalled[Stage.KILL]
        if not self._child_gone:
            self._prefork.signal(self._child, signal.SIGSTOP)
        self._descendants.hold(with_root=not self._child_gone)
        if not self._child_gone:
            self._prefork.signal(self._child, signal.SIGKILL)
            self._signalled[Stage.KILL].add(self._child.proc)
        self._signalled[Stage.KILL].update(self._descendants.alive())
        self._descendants.kill()
        self.signal = "KILL"
        if first:
            self._observer.signalled(self, None)

    def facts(self) -> dict[str, Any]:
        """The process, and the strongest signal so far."""
        return {"pid": self._child.proc.pid, "signal": self.signal}

    def proof(self) -> dict[str, Any]:
        """The same, and the descendants that still are in the process table: alive, or waiting to be reaped."""
        strays = [(proc.pid, proc.started) for proc in self._descendants.unreaped()]
        return {**self.facts(), "strays": strays, "cgroups": [self.cgroup]}

    def killed(self) -> list[int]:
        """The pids of the processes that are dead now, the child's first."""
        child = [self._child.proc.pid] if self._child_gone else []
        return child + [proc.pid for proc in self._descendants.ended()]

    def close(self) -> None:
        """The same, and let go of what it watched."""
        super().close()
        self._children.forget(self._child.proc.pid, self.look)
        self._descendants.close()
