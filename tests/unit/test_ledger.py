"""An agent may forget an event once Redis has it, and everything before it."""

from signalbox_controller.agents.acknowledgements import Ledger


def test_nothing_is_acknowledged_before_it_is_published() -> None:
    ledger = Ledger()
    assert ledger.take(1)
    assert ledger.acked == 0
    ledger.publish(1)
    assert ledger.acked == 1


def test_what_is_held_back_holds_back_the_acknowledgement_of_what_follows() -> None:
    ledger = Ledger()
    for seq in (1, 2, 3):
        ledger.take(seq)
    ledger.publish(1)
    ledger.publish(3)
    assert ledger.acked == 1
    ledger.publish(2)
    assert ledger.acked == 3


def test_what_comes_again_after_a_reconnect_is_not_taken_twice() -> None:
    ledger = Ledger()
    assert ledger.take(1)
    assert ledger.take(2)
    assert not ledger.take(1)
    assert not ledger.take(2)
    assert ledger.take(3)


def test_a_restarted_controller_begins_where_the_agent_is() -> None:
    ledger = Ledger()
    assert ledger.take(500)
    assert ledger.acked == 499
    ledger.publish(500)
    assert ledger.acked == 500
