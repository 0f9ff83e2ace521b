"""The life of a supervised process along any path: what no single row of its table can show."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from signalbox.messages.base import ProcessState
from signalbox_controller.processes.machine import ALIVE, Action, Input, step
from support.examples import LONG, examples, expect_no_fault

#: What says that the process is gone.
EXITS = {event for event in Input if event.name.startswith("EXITED")}
#: What an agent, a clock or a person may say at any time, be it late or twice.
WORDS = sorted(set(Input) - EXITS - {Input.ADOPTED, Input.OUTLIVED})
STOPS = {Input.DRAIN, Input.HALT, Input.KILL}


class Supervised(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.state: ProcessState = "stopped"
        self.alive = False
        #: The clocks that run, and what is true of the process that lives now.
        self.clocks: set[Action] = set()
        self.asked = self.killed = False

    @rule(word=st.sampled_from(WORDS))
    def something_is_said(self, word: Input) -> None:
        self.asked = self.asked or (word in STOPS and self.alive)
        self._take(word)

    @precondition(lambda self: self.alive)
    @rule(exit_=st.sampled_from(sorted(EXITS)))
    def it_exits(self, exit_: Input) -> None:
        self.alive = self.asked = self.killed = False
        self._take(exit_)

    @rule()
    def something_of_it_outlives_its_kill(self) -> None:
        self.alive = self.killed = True
        self._take(Input.OUTLIVED)

    @precondition(lambda self: self.state == "stopped")
    @rule()
    def a_controller_finds_it_alive(self) -> None:
        self.alive = True
        self._take(Input.ADOPTED)

    @invariant()
    def it_is_shown_as_alive_if_and_only_if_it_is(self) -> None:
        assert (self.state in ALIVE) == self.alive

    @invariant()
    def what_was_told_to_stop_is_killed_in_the_end(self) -> None:
        if self.alive and self.asked:
            assert self.state in {"draining", "stopping"}
            assert self.killed or Action.ARM_DEADLINE in self.clocks

    @invariant()
    def what_failed_is_tried_again_and_what_is_down_has_no_clock(self) -> None:
        assert (Action.ARM_BACKOFF in self.clocks) == (self.state == "backoff")
        assert self.alive or self.state == "backoff" or not self.clocks

    def _take(self, event: Input) -> None:
        after = step(self.state, event)
        self.state = after.state
        for action in after.actions:
            match action:
                case Action.SPAWN:
                    assert not self.alive, "a second process beside the first"
                    self.alive = True
                case Action.DISARM:
                    self.clocks.clear()
                case Action.ARM_DEADLINE | Action.ARM_READY | Action.ARM_BACKOFF:
                    self.clocks.add(action)
                case Action.KILL_TREE:
                    assert self.alive, "a KILL for nobody"
                    self.killed = True
                case Action.TERMINATE | Action.QUIT:
                    assert self.alive, "a signal for nobody"


@pytest.mark.timeout(LONG)
def test_along_any_path_there_is_one_process_at_most_and_what_is_to_stop_has_its_deadline() -> None:
    expect_no_fault(Supervised, examples(100))
