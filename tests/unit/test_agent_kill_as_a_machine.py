"""A kill from the first signal to the last word, against processes that do what they like, at any moment."""

import dataclasses

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from signalbox_agent.cancel.decide import KILL_WITHIN, Act, Plan, Seen, Stage, decide
from support.examples import LONG, examples, expect_no_fault

LAST_WORDS = {Act.REPORT_DEAD, Act.REPORT_FINISHED}
#: What a process does about a TERM, and about a KILL.
OBEYS = st.booleans()


@dataclasses.dataclass(eq=False)
class Process:
    """A pool child, or what descends from one."""

    obeys_term: bool
    #: One that hangs in the kernel does not.
    obeys_kill: bool
    alive: bool = True
    #: Whether a signal is about to end it; the kernel takes its time.
    doomed: bool = False
    had_term: bool = False
    had_kill: bool = False

    def term(self) -> None:
        """Asked to end."""
        self.had_term, self.doomed = True, self.doomed or self.obeys_term

    def kill(self) -> None:
        """Killed."""
        self.had_kill, self.doomed = True, self.doomed or self.obeys_kill


class Killing(RuleBasedStateMachine):
    """Does what `decide` says, as `Kill` does."""

    @initialize(grace=st.sampled_from([0.0, 0.3, 5.0]), obeys_term=OBEYS, obeys_kill=OBEYS)
    def a_cancel_begins(self, grace: float, obeys_term: bool, obeys_kill: bool) -> None:
        self.now = 100.0
        self.child = Process(obeys_term, obeys_kill)
        self.rest: list[Process] = []
        #: What the child told of its task.
        self.ended: str | None = None
        self.deadline = self.now + grace
        self.plan = Plan(Stage.TERM, self.deadline)
        self.killed_at: float | None = None
        self.said: list[Act] = []
        self.child.term()
        self.asked = 1

    # What they do

    @rule(seconds=st.sampled_from([0.001, 0.25, 0.3, 2.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.child.alive or any(process.alive for process in self.rest))
    @rule(obeys_term=OBEYS, obeys_kill=OBEYS)
    def one_of_them_starts_another(self, obeys_term: bool, obeys_kill: bool) -> None:
        self.rest.append(Process(obeys_term, obeys_kill))

    @precondition(lambda self: self.living)
    @rule(place=st.integers(0, 9))
    def one_of_them_dies(self, place: int) -> None:
        """Of its signal, or because it wants to."""
        dying = [process for process in self.living if process.doomed] or self.living
        dying[place % len(dying)].alive = False

    @precondition(lambda self: self.child.alive and self.ended is None)
    @rule(ended=st.sampled_from(["completed", "failed", "interrupted"]))
    def the_task_ends(self, ended: str) -> None:
        self.ended = ended

    @precondition(lambda self: any(process.had_kill and not process.obeys_kill for process in self.living))
    @rule()
    def the_kernel_lets_go(self) -> None:
        for process in self.living:
            process.doomed = process.doomed or process.had_kill

    # What is done about it

    @rule()
    def it_looks(self) -> None:
        """Once."""
        left = [process for process in self.rest if process.alive]
        was_over, before = self.plan.stage is Stage.DONE, self.plan
        stage_had = "had_term" if self.plan.stage is Stage.TERM else "had_kill"
        seen = Seen(
            now=self.now,
            child_gone=not self.child.alive,
            ended=self.ended,
            left=len(left),
            fresh=sum(not getattr(process, stage_had) for process in self.living),
        )
        self.plan, acts = decide(self.plan, seen)
        assert not (was_over and (acts or self.plan != before)), "after the last word there is nothing"
        for act in acts:
            self._do(act)
        self._judge()

    @rule()
    def it_looks_until_it_is_over(self) -> None:
        """However stubborn they are: a bounded number of looks after the deadline."""
        self.now = max(self.now, self.plan.deadline)
        self.it_looks()
        self._obey()
        self.it_looks()
        if self.living and self.ended not in {"completed", "failed"}:
            assert self.plan.stage in {Stage.KILL, Stage.STUCK}
            self.now += KILL_WITHIN
            self.it_looks()
            assert self.plan.stage is Stage.STUCK
            assert Act.REPORT_ALIVE in self.said
            self.the_kernel_lets_go()
            self._obey()
            self.it_looks()
        assert self.plan.stage is Stage.DONE

    @property
    def living(self) -> list[Process]:
        """All that could still do something."""
        return [process for process in (self.child, *self.rest) if process.alive]

    def _obey(self) -> None:
        for process in self.living:
            process.alive = not process.doomed

    def _do(self, act: Act) -> None:
        match act:
            case Act.TERM_CHILD:
                assert self.child.alive
                self.asked += 1
                self.child.term()
                # Nothing of the task holds it up any more.
                self.child.doomed = True
            case Act.TERM_REST:
                assert not self.child.alive, "what the task launched is left to it while it cleans up"
                for process in self.living:
                    process.term()
            case Act.KILL_ALL:
                assert self.now >= self.deadline, "a KILL before its time"
                assert self.living, "a KILL for nobody"
                self.killed_at = self.killed_at if self.killed_at is not None else self.now
                for process in self.living:
                    process.kill()
            case Act.REPORT_ALIVE:
                assert self.living
                assert self.killed_at is not None
                assert self.now >= self.killed_at + KILL_WITHIN
            case Act.REPORT_DEAD:
                assert not self.living, "called dead while something lives"
                assert self.ended not in {"completed", "failed"}, "called dead although it had an end of its own"
            case Act.REPORT_FINISHED:
                assert self.ended in {"completed", "failed"}, "called finished although it was not"
        self.said += [act] if act in {*LAST_WORDS, Act.REPORT_ALIVE} else []

    def _judge(self) -> None:
        """What must be so after each look."""
        over = self.plan.stage is Stage.DONE
        assert sum(act in LAST_WORDS for act in self.said) == over, "one last word, and only at the end"
        assert self.said.count(Act.REPORT_ALIVE) <= 1
        assert self.asked <= 2
        assert over == (self.ended in {"completed", "failed"} or not self.living)
        if not over and self.now >= self.deadline:
            assert all(process.had_kill for process in self.living), "something lives and had no KILL in time"


@pytest.mark.timeout(LONG)
def test_whatever_the_processes_do_nothing_is_called_dead_that_lives_and_everything_has_its_end() -> None:
    expect_no_fault(Killing, examples(200))
