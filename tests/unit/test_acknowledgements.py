"""An agent may forget an event once the disk or Redis has it, and everything before it."""

from signalbox_controller.agents.acknowledgements import Acknowledgements


def test_nothing_is_acknowledged_before_it_outlives_the_controller() -> None:
    acknowledgements = Acknowledgements()
    assert acknowledgements.take(1)
    assert acknowledgements.acked == 0
    acknowledgements.settle(1)
    assert acknowledgements.acked == 1


def test_what_is_held_back_holds_back_the_acknowledgement_of_what_follows() -> None:
    acknowledgements = Acknowledgements()
    for seq in (1, 2, 3):
        acknowledgements.take(seq)
    acknowledgements.settle(1)
    acknowledgements.settle(3)
    assert acknowledgements.acked == 1
    acknowledgements.settle(2)
    assert acknowledgements.acked == 3


def test_what_comes_again_after_a_reconnect_is_not_taken_twice() -> None:
    acknowledgements = Acknowledgements()
    assert acknowledgements.take(1)
    assert acknowledgements.take(2)
    assert not acknowledgements.take(1)
    assert not acknowledgements.take(2)
    assert acknowledgements.take(3)


def test_a_restarted_controller_begins_where_the_agent_is() -> None:
    acknowledgements = Acknowledgements()
    assert acknowledgements.take(500)
    assert acknowledgements.acked == 499
    acknowledgements.settle(500)
    assert acknowledgements.acked == 500
