"""The check of the matrix sees what it is for, row by row."""

from typing import Any

import pytest

from support.matrix.cells import DOWN, PLAIN, RETRY, RUNNING, Cell, faults

CANCELLED = {"status": "failed", "outcome": "cancelled", "confirmed": True}
COMPLETED = {"status": "completed", "outcome": "succeeded", "confirmed": True}
RAN, ENDED = ["started 7"], ["started 7", "completed 7"]


def cell(**what: Any) -> Cell:
    usual: dict[str, Any] = {"state": RUNNING, "pool": "prefork", "http": 200, "row": CANCELLED, "diary": RAN}
    fields = usual | what
    return Cell("Redis", fields.pop("pool"), fields.pop("state"), PLAIN, **fields)


@pytest.mark.parametrize(
    "right",
    [
        pytest.param(cell(), id="cancelled, and gone"),
        pytest.param(cell(http=202), id="not proven in time, and gone in the end"),
        pytest.param(
            cell(http=409, row=COMPLETED, diary=ENDED, pool="threads"), id="could not be ended, and completed"
        ),
        pytest.param(cell(http=502, row=COMPLETED, diary=ENDED, alive_then=[7]), id="went on, and completed"),
        pytest.param(cell(http=404, state=DOWN, diary=[]), id="nobody knew it, and it never ran"),
        pytest.param(cell(state=RETRY), id="ran once, and was not tried again"),
        pytest.param(
            cell(pool="gevent", alive_then=[9], alive=[9], answer={"detail": "pid 9 runs on"}), id="lives, and says so"
        ),
    ],
)
def test_a_cell_in_which_all_agree_is_right(right: Cell) -> None:
    assert faults(right) == []


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (cell(diary=ENDED, row=COMPLETED), "answered as cancelled, and completed"),
        (cell(alive_then=[7]), "answered as cancelled while it lived"),
        (cell(http=202, diary=ENDED), "recorded as cancelled, and completed"),
        (cell(http=202, alive=[7]), "recorded as cancelled, and lives"),
        (cell(http=202, row=COMPLETED), "recorded as completed, and never was"),
        (
            cell(http=409, row={"status": "running", "confirmed": True}, diary=ENDED),
            "completed, and not recorded as that",
        ),
        (cell(state=DOWN), "ran although it was cancelled"),
        (cell(diary=["started 7", "started 8"]), "ran again"),
        (cell(row={}), "never ended in the record"),
        (cell(row={**CANCELLED, "outcome": "worker_lost"}), "failed, and not because it was cancelled"),
        (cell(row={**CANCELLED, "confirmed": False}), "the record is not sure"),
    ],
)
def test_each_fault_is_seen(wrong: Cell, fault: str) -> None:
    assert fault in faults(wrong)
