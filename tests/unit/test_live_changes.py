"""What is read from the stream of changes, and which lists get what of it."""

import json
from typing import Any

import pytest

from signalbox.bus.consumer import Entry
from signalbox_api.live.changes import Before, Change, read_change
from signalbox_api.live.hub import Channel
from signalbox_api.live.subscription import ListFilter, Subscription

RUNNING = Subscription(tasks=ListFilter(status="running"))


def change(status: str, at: int = 1, **row: Any) -> Change:
    data = {"kind": "task", "key": "a", "row": {"task_id": "a", "status": status, **row}}
    return read_change(Entry(f"{at}000-0".encode(), json.dumps(data).encode()))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00", "9999-12-31T23:59:59", "0001-01-01T00:00:00+23:59"])
def test_a_moment_that_no_clock_shows_is_that_of_a_task_which_may_have_been_anything(moment: str) -> None:
    [added] = Before(since=0.0).added([change("running", created_at=moment)])
    assert added.state is not None


def test_a_row_that_left_a_list_gets_its_later_changes_also_when_it_was_not_known_before() -> None:
    channel, before = Channel(RUNNING), Before(since=1.0)
    sent = [bool(channel.select(before.added([change(status)]))) for status in ("failed", "completed")]
    assert sent == [True, True]
