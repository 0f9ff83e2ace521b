"""When the controller reports the end of a run in place of its worker."""

import pytest

from signalbox_agent.child.slot_state import RUNNING, SlotState
from signalbox_controller.fleet.run_checks import ANSWERING, SILENT, Finding, due

DONE, COMES_BACK = SlotState("SUCCESS", "t", 0, 1.0, 2.0), SlotState("RETRY", "t", 0, 1.0, 2.0)


@pytest.mark.parametrize(
    ("state", "rounds", "mute", "asked", "reported"),
    [
        pytest.param(None, SILENT, True, False, True, id="its process is gone, and the worker hangs"),
        pytest.param(None, SILENT - 1, True, False, False, id="the same a moment ago"),
        pytest.param(None, SILENT, False, False, False, id="its process is gone, and the worker is about to say so"),
        pytest.param(None, ANSWERING, False, False, True, id="the worker lives, and has never said so"),
        pytest.param(DONE, SILENT, True, False, True, id="it has ended, and the worker hangs"),
        pytest.param(DONE, SILENT, False, False, False, id="it has ended, and the worker is about to say so"),
        pytest.param(None, ANSWERING, True, True, False, id="a cancel has ended its process, and reports that itself"),
        pytest.param(DONE, SILENT, True, True, True, id="it ended by itself while it was being cancelled"),
        pytest.param(COMES_BACK, ANSWERING, True, True, False, id="a cancelled one that would be tried again"),
    ],
)
def test_an_end_is_reported_in_time_and_not_too_early(
    state: SlotState | None, rounds: int, mute: bool, asked: bool, reported: bool
) -> None:
    assert due(Finding(None, state, rounds), mute=mute, asked=asked) is reported


def test_a_run_that_goes_on_is_no_finding() -> None:
    assert not SlotState(RUNNING, "t", 0, 1.0).stored
