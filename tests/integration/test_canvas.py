"""What becomes of a chain, a group or a chord when one of its tasks is cancelled; and nobody waits for ever."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.exceptions import ChordError, TaskRevokedError

from support.agent.peer import DEADLINE, Peer
from support.agent.worker import Worker, a_worker
from support.celery_sender import close_sender
from support.stores.server import Redis


@pytest.fixture(scope="module", params=["prefork", "gevent"])
def worker(request: pytest.FixtureRequest, redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Shared by the tests of this file, as each looks at tasks of its own only."""
    folder, url = tmp_path_factory.mktemp(request.param), redis.url_of(int(request.param == "gevent"))
    with a_worker(Peer(folder / "socket"), url, folder / "log", "-P", request.param, "-c", "6") as worker:
        yield worker


class Canvas:
    """A program that sends whole canvases, and waits for results."""

    def __init__(self, worker: Worker) -> None:
        self.app = Celery("canvas", broker=worker.url, backend=worker.url, set_as_current=False)

    def task(self, name: str, *arguments: Any, **options: Any) -> Any:
        """One of `tasks.py`, which takes nothing from the one before it."""
        return self.app.signature(f"tasks.{name}", arguments, immutable=True, **options)

    def adds(self) -> Any:
        """The body of a chord: takes what the header returned."""
        return self.app.signature("tasks.count")

    def raises(self, task_id: str, error: type[Exception]) -> None:
        """Whoever waits for this result, and knows nothing but its id, is told so."""
        with pytest.raises(error):
            self.app.AsyncResult(task_id).get(timeout=DEADLINE)

    def close(self) -> None:
        """Let go of all connections, once nobody waits on them any more."""
        close_sender(self.app)


@pytest.fixture(scope="module")
def canvas(worker: Worker) -> Iterator[Canvas]:
    with closing(Canvas(worker)) as canvas:
        yield canvas


#: A member that is cancelled while it runs, and one that is while it waits.
MEMBERS = pytest.mark.parametrize("waiting", [False, True], ids=["running", "waiting"])


def member(canvas: Canvas, waiting: bool) -> Any:
    """One that takes long to run, or to begin."""
    return canvas.task("nap", 0.0, countdown=600) if waiting else canvas.task("nap", 60.0)


def expect_cancelled(worker: Worker, task_id: str, waiting: bool) -> None:
    """Cancel it once it runs, or waits, and see that it worked."""
    worker.peer.event("TaskReceived" if waiting else "TaskStarted", task_id)
    answer = worker.peer.answer(worker.peer.cancel(task_id))
    assert answer["state"] == ("dropped" if waiting else "dead")


def expect_nothing_of(worker: Worker, *task_ids: str) -> None:
    """No worker has ever seen these: a task that was sent after them is over."""
    worker.peer.event("TaskSucceeded", worker.send("empty"))
    assert [worker.peer.kinds(task_id) for task_id in task_ids] == [[] for _ in task_ids]


@MEMBERS
def test_what_follows_in_a_chain_never_starts_and_is_revoked_with_it(
    worker: Worker, canvas: Canvas, waiting: bool
) -> None:
    last = chain(member(canvas, waiting), canvas.task("empty"), canvas.task("empty")).apply_async()
    middle, first = last.parent, last.parent.parent
    expect_cancelled(worker, first.id, waiting)
    for result in (first, middle, last):
        canvas.raises(result.id, TaskRevokedError)
    expect_nothing_of(worker, middle.id, last.id)


@MEMBERS
def test_the_others_of_a_group_run_on(worker: Worker, canvas: Canvas, waiting: bool) -> None:
    result = group([member(canvas, waiting), canvas.task("nap", 0.2)]).apply_async()
    expect_cancelled(worker, result.results[0].id, waiting)
    worker.peer.event("TaskSucceeded", result.results[1].id)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=DEADLINE)


@MEMBERS
def test_the_body_of_a_chord_does_not_run_when_a_member_of_its_header_is_cancelled(
    worker: Worker, canvas: Canvas, waiting: bool
) -> None:
    body = chord([member(canvas, waiting), canvas.task("nap", 0.2)], canvas.adds()).apply_async()
    header = body.parent.results
    expect_cancelled(worker, header[0].id, waiting)
    worker.peer.event("TaskSucceeded", header[1].id)
    canvas.raises(body.id, ChordError)
    expect_nothing_of(worker, body.id)


def test_a_body_that_is_cancelled_before_its_header_is_done_is_dropped_when_its_turn_comes(
    worker: Worker, canvas: Canvas
) -> None:
    body = chord([canvas.task("nap", 0.5), canvas.task("nap", 0.5)], canvas.adds()).apply_async()
    worker.peer.event("TaskStarted", body.parent.results[0].id)
    assert worker.peer.answer(worker.peer.cancel(body.id))["state"] == "unknown"
    for result in body.parent.results:
        worker.peer.event("TaskSucceeded", result.id)
    assert worker.peer.event("TaskDropped", body.id).outcome == "cancelled"
    assert "TaskStarted" not in worker.peer.kinds(body.id)
    canvas.raises(body.id, TaskRevokedError)


@MEMBERS
def test_a_chain_in_the_header_of_a_chord_takes_the_body_with_it(worker: Worker, canvas: Canvas, waiting: bool) -> None:
    chained = chain(member(canvas, waiting), canvas.task("empty"))
    body = chord([chained, canvas.task("nap", 0.2)], canvas.adds()).apply_async()
    last = body.parent.results[0]
    expect_cancelled(worker, last.parent.id, waiting)
    canvas.raises(last.id, TaskRevokedError)
    canvas.raises(body.id, ChordError)
    expect_nothing_of(worker, last.id, body.id)


def test_a_retry_that_is_cancelled_ends_its_chain(worker: Worker, canvas: Canvas) -> None:
    last = chain(canvas.task("tries_later"), canvas.task("empty")).apply_async()
    first = last.parent
    worker.peer.event("TaskRetried", first.id)
    answer = worker.peer.answer(worker.peer.cancel(first.id))
    assert answer["state"] in {"dropped", "unknown"}  # it may be on its way back to the worker
    worker.peer.event("TaskDropped", first.id)
    for result in (first, last):
        canvas.raises(result.id, TaskRevokedError)
    assert worker.peer.kinds(first.id).count("TaskStarted") == 1
    expect_nothing_of(worker, last.id)


@MEMBERS
def test_an_error_callback_is_not_called_for_a_cancel(worker: Worker, canvas: Canvas, waiting: bool) -> None:
    """As Celery has it for every revoked task: a cancel is no error of the task."""
    callback = canvas.task("empty").set(task_id=f"callback-{waiting}-{worker.process.pid}")
    result = member(canvas, waiting).on_error(callback).apply_async()
    expect_cancelled(worker, result.id, waiting)
    canvas.raises(result.id, TaskRevokedError)
    expect_nothing_of(worker, callback.id)


def test_nothing_of_the_agent_has_gone_wrong(worker: Worker) -> None:
    assert "Signalbox: error" not in worker.log()
