"""Who vouches for a waiting task: a worker that holds it, or a queue; and when it is certainly not there."""

import pytest

from signalbox.bus.waiting import WaitingTask
from signalbox_controller.host.comparison import Comparison, Holder, Listing, compare

HOST, NODE = "web-07", "worker@web-07"
SEEN, ABSENT, NOT_KNOWN = Comparison(("t1",), ()), Comparison((), ("t1",)), Comparison((), ())


def task(host: str = HOST, worker: str = NODE, queue: str = "celery", *, retried: bool = False) -> WaitingTask:
    return WaitingTask(task_id="t1", host=host, worker=worker, queue=queue, retried=retried)


def listing(*found: str, read: str = "celery slow", others: bool = False) -> Listing:
    return Listing(found=frozenset(found), read=frozenset(read.split()), others=others)


@pytest.mark.parametrize(
    ("task", "held", "listing", "expected"),
    [
        (task(), {"t1"}, None, SEEN),
        (task(host="web-08"), {"t1"}, None, SEEN),  # taken over from another host
        (task(), set(), listing("t1"), SEEN),
        (task(), set(), listing("t1", read=""), SEEN),  # found in a queue that is too long to be read
        (task(), set(), listing("t2"), ABSENT),
        (task(), set(), None, NOT_KNOWN),  # its broker is away
        (task(host="web-08"), set(), listing(), NOT_KNOWN),  # only its own host knows its broker
        (task(worker="other@web-07"), set(), listing(), NOT_KNOWN),  # a worker that is not configured any more
        (task(), set(), listing(read="celery"), NOT_KNOWN),  # a queue of its worker was not read
        (task(queue="media.video"), set(), listing(), NOT_KNOWN),  # came by a routing key
        (task(retried=True), set(), listing(), ABSENT),
        (task(retried=True), set(), listing(others=True), NOT_KNOWN),  # a retry may go to another queue
        (task(), set(), listing(others=True), ABSENT),
    ],
)
def test_a_task_is_seen_or_absent_or_nothing_is_said(
    task: WaitingTask, held: set[str], listing: Listing | None, expected: Comparison
) -> None:
    holders = {NODE: Holder(queues=("celery", "slow"), listing=listing)}
    assert compare([task], HOST, held, holders) == expected
