"""One kill that is under way: looks, has `cancel.decide` decide, and does it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from time import monotonic, time
from typing import Any

from signalbox_agent.cancel.decide import Act, Plan, Seen, Stage, decide
from signalbox_agent.cancel.pool import Herald
from signalbox_agent.cancel.prefork.children import Children
from signalbox_agent.cancel.prefork.family import Family
from signalbox_agent.cancel.prefork.pool import TERM_SIGNAL, Child, Prefork
from signalbox_agent.link.loop import Loop, Timer
from signalbox_agent.proc import Who
from signalbox_agent.tasks.runs import Run

#: Seconds between looks: while descriptors tell of all deaths; while Celery's loop stands still; without descriptors.
CALM, ALONE, BLIND = 0.25, 0.05, 0.005
#: Rounds of looking for what was started while the rest was being stopped.
ROUNDS = 5
#: Seconds that Celery may take to read what a child has said, where it has to be left to it.
UNREAD = 2.0


class Kill:
    """From the first signal to the proof of death; see `killing.Kill`."""

    outlived = "It outlived KILL; it will be reported when it dies"

    def __init__(
        self,
        run: Run,
        child: Child,
        grace: float,
        prefork: Prefork,
        children: Children,
        loop: Loop,
        herald: Herald,
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
        self.family = Family(child.who, loop, self.look)
        self._grace = grace
        self._prefork = prefork
        self._children = children
        self._loop = loop
        self._herald = herald
        self._plan = Plan(Stage.TERM, monotonic() + grace)
        #: What the child told of the task; see `cancel.Seen`.
        self.end: str | None = None
        self._signalled: dict[Stage, set[Who]] = {Stage.TERM: set(), Stage.KILL: set()}
        self._timer: Timer | None = None
        self._looking = False
        self._unread_since: float | None = None

    @property
    def over(self) -> bool:
        """Whether the last word was spoken."""
        return self._plan.stage is Stage.DONE

    def begin(self) -> None:
        """Send the first signal, unless the child has just told that the task is over."""
        if self._unread():
            self._timer = self._loop.call_later(ALONE, self.begin)
            return
        if self.run.over:
            self._plan = Plan(Stage.DONE, 0)
            self._herald.late(self)
            return
        self.begun = True
        self._plan = Plan(Stage.TERM, monotonic() + self._grace)
        if self._loop.hub is not None:
            self._prefork.take_watch(self.child, self._loop.hub)
        self.family.refresh(with_root=True)
        self._do(Act.TERM_CHILD)
        self._children.watch(self.child.who.pid)
        self._children.when_dead(self.child.who.pid, self.look)
        self.look()

    def ended(self, how: str) -> None:
        """The child told that the task is over, and how; see `cancel.Seen`."""
        self.end = self.end or how
        self.look()

    def before_exit(self) -> None:
        """The child is about to exit: the last chance to see what it has started."""
        self.family.refresh(with_root=True)

    def look(self) -> None:
        """See how things are, and go on from there."""
        if self._looking or self.over:
            return
        self._looking = True
        try:
            self._step()
        finally:
            self._looking = False

    def _step(self) -> None:
        gone = self.child_gone or self.child.gone()
        if self._unread():  # only after the look at the child: what it has sent by now is all it ever will
            self._again(ALONE)
            return
        if gone and not self.child_gone:
            self.child_gone = True
            self.family.refresh(with_root=False)
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
            self.family.refresh(with_root=not self.child_gone)
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
        left = self.family.alive()
        everyone = left if self.child_gone else [*left, self.child.who]
        had = self._signalled[Stage.TERM if self._plan.stage is Stage.TERM else Stage.KILL]
        return Seen(
            now=monotonic(),
            child_gone=self.child_gone,
            ended=self.end,
            left=len(left),
            fresh=sum(who not in had for who in everyone),
        )

    def _pause(self) -> float:
        calm = BLIND if self.family.unwatched else CALM if self._loop.hub is not None else ALONE
        if self._plan.stage is Stage.STUCK:
            return calm
        return min(calm, max(0.001, self._plan.deadline - monotonic()))

    def _do(self, act: Act) -> None:
        if act is Act.TERM_CHILD:
            if self._plan.asked_again or not self._herald.asked(self):  # a second TERM breaks off what the first began
                self._prefork.signal(self.child, TERM_SIGNAL)
            self._signalled[Stage.TERM].add(self.child.who)
            self._herald.signalled(self, time() + self._plan.deadline - monotonic())
        elif act is Act.TERM_REST:
            for who in self.family.alive():
                if who not in self._signalled[Stage.TERM]:
                    self._signalled[Stage.TERM].add(who)
                    self.family.signal(who, signal.SIGTERM)
        elif act is Act.KILL_ALL:
            self._kill_all()
        elif act is Act.SAY_ALIVE:
            self._herald.alive(self)
        else:
            self._finish()
            if act is Act.SAY_DEAD:
                self._herald.dead(self)
            else:
                self._prefork.retire(self.child)
                self._herald.finished(self)

    def _kill_all(self) -> None:
        """Stop them all first, so that none can start another one unseen."""
        first = not self._signalled[Stage.KILL]
        if not self.child_gone:
            self._prefork.signal(self.child, signal.SIGSTOP)
        stopped: set[Who] = set()
        for _ in range(ROUNDS):
            self.family.refresh(with_root=not self.child_gone)
            fresh = set(self.family.alive()) - stopped
            if not fresh:
                break
            for who in fresh:
                self.family.signal(who, signal.SIGSTOP)
            stopped |= fresh
        if not self.child_gone:
            self._prefork.signal(self.child, signal.SIGKILL)
            self._signalled[Stage.KILL].add(self.child.who)
        for who in self.family.alive():
            self._signalled[Stage.KILL].add(who)
            self.family.signal(who, signal.SIGKILL)
        self.signal = "KILL"
        if first:
            self._herald.signalled(self, None)

    def facts(self) -> dict[str, Any]:
        """The process."""
        return {"pid": self.child.who.pid}

    def proof(self) -> dict[str, Any]:
        """The process, and what is left for somebody else to reap."""
        return {**self.facts(), "strays": self.strays()}

    def killed(self) -> list[int]:
        """The pids of all that this kill has seen alive and now dead, the child's first."""
        child = [self.child.who.pid] if self.child_gone else []
        return child + [who.pid for who in self.family.ended()]

    def strays(self) -> list[Who]:
        """Descendants that still are in the process table, alive or waiting to be reaped by who took them in."""
        return self.family.unreaped()

    def _finish(self) -> None:
        self._children.forget(self.child.who.pid, self.look)
        if self._timer is not None:
            self._timer.cancel()
        self.family.close()


class Processes:
    """A pool of processes, each of which runs one task at a time."""

    can_refuse = False

    def __init__(self, prefork: Prefork, children: Children, loop: Loop) -> None:
        self._prefork = prefork
        self._children = children
        self._loop = loop

    def kill(self, run: Run, grace: float, herald: Herald) -> Kill | None:
        """A kill of the process that runs it, if it is still there."""
        child = self._prefork.child(run.pid)
        return Kill(run, child, grace, self._prefork, self._children, self._loop, herald) if child else None

    def aside(self, work: Callable[[], None]) -> None:
        """On Celery's loop, where Celery itself does it."""
        work()
