"""The kill of one pool child: looks at it, has `cancel.decide` decide, and does it."""

from __future__ import annotations

import signal
from time import monotonic, time
from typing import Any

from signalbox_agent.cancel.decide import Act, Plan, Seen, Stage, decide
from signalbox_agent.cancel.pool import KillObserver
from signalbox_agent.cancel.prefork.children import Children
from signalbox_agent.cancel.prefork.descendants import Descendants
from signalbox_agent.cancel.prefork.pool import Child, Prefork
from signalbox_agent.celery_compat.prefork import TERM_SIGNAL
from signalbox_agent.link.loop import Loop, Timer
from signalbox_agent.proc import Proc
from signalbox_agent.tasks.runs import Run

#: Seconds between looks: while descriptors tell of all deaths; while Celery's loop stands still; without descriptors.
CALM, ALONE, BLIND = 0.25, 0.05, 0.005
#: Rounds of looking for what was started while the rest was being stopped.
ROUNDS = 5
#: Seconds that Celery may take to read what a child has said, where it has to be left to it.
UNREAD = 2.0


class Kill:
    """One kill, from the first signal to the proof of death; see `cancel.pool.Kill`."""

    outlived = "It outlived KILL; it will be reported when it dies"

    def __init__(
        self,
        run: Run,
        child: Child,
        grace: float,
        prefork: Prefork,
        children: Children,
        loop: Loop,
        observer: KillObserver,
    ) -> None:
        self.run = run
        self.child = child
        #: The commands that wait for the end of this one.
        self.commands: list[str] = []
        #: Whether a signal was sent.
        self.begun = False
        #: The strongest signal so far.
        self.signal = "TERM"
        self.child_gone = False
        self.descendants = Descendants(child.proc, loop, self.look)
        self._grace = grace
        self._prefork = prefork
        self._children = children
        self._loop = loop
        self._observer = observer
        self._plan = Plan(Stage.TERM, monotonic() + grace)
        #: How the task ended, as the child reported it; see `cancel.decide.Seen`.
        self.end: str | None = None
        self._signalled: dict[Stage, set[Proc]] = {Stage.TERM: set(), Stage.KILL: set()}
        self._timer: Timer | None = None
        self._looking = False
        self._unread_since: float | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done or reported."""
        return self._plan.stage is Stage.DONE

    def begin(self) -> None:
        """Send the first signal, unless the child has just told that the task is over."""
        if self._unread():
            self._timer = self._loop.call_later(ALONE, self.begin)
            return
        if self.run.over:
            self._plan = Plan(Stage.DONE, 0)
            self._observer.late(self)
            return
        self.begun = True
        self._plan = Plan(Stage.TERM, monotonic() + self._grace)
        if self._loop.hub is not None:
            self._prefork.take_watch(self.child, self._loop.hub)
        self.descendants.refresh(with_root=True)
        self._do(Act.TERM_CHILD)
        self._children.watch(self.child.proc.pid)
        self._children.when_dead(self.child.proc.pid, self.look)
        self.look()

    def ended(self, how: str) -> None:
        """The child reported how the task ended; see `cancel.decide.Seen`."""
        self.end = self.end or how
        self.look()

    def before_exit(self) -> None:
        """The child is about to exit: the last chance to see what it has started."""
        self.descendants.refresh(with_root=True)

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
        gone = self.child_gone or self.child.gone()
        if self._unread():  # only after the look at the child: what it has sent by now is all that it ever will
            self._again(ALONE)
            return
        if gone and not self.child_gone:
            self.child_gone = True
            self.descendants.refresh(with_root=False)
        self._plan, acts = decide(self._plan, self._seen())
        for act in acts:
            self._do(act)
        if not self.over:
            self._again(self._pause())

    def _again(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, self._look_again)

    def _look_again(self) -> None:
        if self.child_gone or self._plan.stage is not Stage.TERM:
            self.descendants.refresh(with_root=not self.child_gone)
        self.look()

    def _unread(self) -> bool:
        """Have Celery read what the child has said; answer whether it has to read on by itself, and soon will."""
        if self._loop.last_hub is not None:
            self._prefork.catch_up(self.child, self._loop.last_hub)
        if not self._prefork.has_news(self.child):
            self._unread_since = None
            return False
        self._unread_since = self._unread_since or monotonic()
        return monotonic() < self._unread_since + UNREAD

    def _seen(self) -> Seen:
        left = self.descendants.alive()
        everyone = left if self.child_gone else [*left, self.child.proc]
        had = self._signalled[Stage.TERM if self._plan.stage is Stage.TERM else Stage.KILL]
        return Seen(
            now=monotonic(),
            child_gone=self.child_gone,
            ended=self.end,
            left=len(left),
            fresh=sum(proc not in had for proc in everyone),
        )

    def _pause(self) -> float:
        calm = BLIND if self.descendants.unwatched else CALM if self._loop.hub is not None else ALONE
        if self._plan.stage is Stage.STUCK:
            return calm
        return min(calm, max(0.001, self._plan.deadline - monotonic()))

    def _do(self, act: Act) -> None:
        if act is Act.TERM_CHILD:
            if self._plan.asked_again or not self._observer.asked(
                self
            ):  # a second TERM breaks off what the first began
                self._prefork.signal(self.child, TERM_SIGNAL)
            self._signalled[Stage.TERM].add(self.child.proc)
            self._observer.signalled(self, time() + self._plan.deadline - monotonic())
        elif act is Act.TERM_REST:
            for proc in self.descendants.alive():
                if proc not in self._signalled[Stage.TERM]:
                    self._signalled[Stage.TERM].add(proc)
                    self.descendants.signal(proc, signal.SIGTERM)
        elif act is Act.KILL_ALL:
            self._kill_all()
        elif act is Act.SAY_ALIVE:
            self._observer.alive(self)
        else:
            self._finish()
            if act is Act.SAY_DEAD:
                self._observer.dead(self)
            else:
                self._prefork.retire(self.child)
                self._observer.finished(self)

    def _kill_all(self) -> None:
        """Stop them all first, so that none can start another one unseen."""
        first = not self._signalled[Stage.KILL]
        if not self.child_gone:
            self._prefork.signal(self.child, signal.SIGSTOP)
        stopped: set[Proc] = set()
        for _ in range(ROUNDS):
            self.descendants.refresh(with_root=not self.child_gone)
            fresh = set(self.descendants.alive()) - stopped
            if not fresh:
                break
            for proc in fresh:
                self.descendants.signal(proc, signal.SIGSTOP)
            stopped |= fresh
        if not self.child_gone:
            self._prefork.signal(self.child, signal.SIGKILL)
            self._signalled[Stage.KILL].add(self.child.proc)
        for proc in self.descendants.alive():
            self._signalled[Stage.KILL].add(proc)
            self.descendants.signal(proc, signal.SIGKILL)
        self.signal = "KILL"
        if first:
            self._observer.signalled(self, None)

    def facts(self) -> dict[str, Any]:
        """The process, and the strongest signal so far."""
        return {"pid": self.child.proc.pid, "signal": self.signal}

    def proof(self) -> dict[str, Any]:
        """The process, and what is left for somebody else to reap."""
        return {**self.facts(), "strays": [(proc.pid, proc.started) for proc in self.strays()]}

    def killed(self) -> list[int]:
        """The pids of all that this kill has seen alive and now dead, the child's first."""
        child = [self.child.proc.pid] if self.child_gone else []
        return child + [proc.pid for proc in self.descendants.ended()]

    def strays(self) -> list[Proc]:
        """Descendants that still are in the process table, alive or waiting for their new parent to reap them."""
        return self.descendants.unreaped()

    def _finish(self) -> None:
        self._children.forget(self.child.proc.pid, self.look)
        if self._timer is not None:
            self._timer.cancel()
        self.descendants.close()
