"""Tasks that are over before the agent writes: it has noted what happened, and tells all of it in one line."""

from collections.abc import Iterator

import pytest

from support.agent.peer import Peer
from support.agent.worker import Worker, a_worker
from support.stores.server import Redis

COURSE = ["TaskReceived", "TaskStarted", "TaskSucceeded"]
#: Tasks that are sent in a row.
MANY = 100


@pytest.fixture(scope="module")
def worker(redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("agent")
    with a_worker(Peer(folder / "socket"), redis.url_of(0), folder / "log", "-c", "1") as worker:
        yield worker
    worker.peer.close()


def many(worker: Worker) -> list[str]:
    return [worker.send("empty") for _ in range(MANY)]


def whole_runs(peer: Peer) -> set[str]:
    return {line["event"]["task_id"] for line in peer.lines if line["type"] == "run"}


def test_quick_tasks_are_told_from_their_receipt_to_their_end_and_most_in_one_line(worker: Worker) -> None:
    peer = worker.peer
    tasks = many(worker)
    for task_id in tasks:
        assert peer.event("TaskSucceeded", task_id).started_at is not None
        assert peer.kinds(task_id) == COURSE
        received, started = peer.event("TaskReceived", task_id), peer.event("TaskStarted", task_id)
        assert received.run == received.delivery == started.delivery
        assert received.at <= started.at <= peer.event("TaskSucceeded", task_id).at
    assert whole_runs(peer) & set(tasks)


def test_a_controller_of_an_older_version_gets_each_event_by_itself(worker: Worker) -> None:
    peer = worker.peer
    peer.close()
    peer.takes_runs = False
    peer.come_back()
    tasks = many(worker)
    for task_id in tasks:
        peer.event("TaskSucceeded", task_id)
        assert peer.kinds(task_id) == COURSE
    assert not whole_runs(peer) & set(tasks)
    peer.close()
    peer.takes_runs = True
    peer.come_back()


def test_a_cancel_of_a_quick_task_is_answered_after_all_that_happened_to_it(worker: Worker) -> None:
    peer = worker.peer
    for task_id in (worker.send("empty") for _ in range(20)):
        worker.result(task_id)
        answer = peer.answer(peer.cancel(task_id))
        assert (answer["state"], answer["status"]) == ("finished", "completed")
        assert peer.course(task_id) == COURSE


def test_a_task_that_runs_on_after_quick_ones_is_listed_when_its_controller_asks(worker: Worker) -> None:
    peer = worker.peer
    tasks, (running, pid) = many(worker), worker.running("nap")
    heard = len(peer.lines)
    peer.say(type="report")
    snapshot = peer.line("snapshot", after=heard)
    assert [(run["task_id"], run["pid"]) for run in snapshot["running"]] == [(running, pid)]
    assert all(peer.kinds(task_id) == COURSE for task_id in tasks)
    peer.answer(peer.cancel(running))


def test_what_was_noted_when_the_controller_hung_up_is_told_to_the_next_one(worker: Worker) -> None:
    peer = worker.peer
    tasks = many(worker)
    peer.event("TaskSucceeded", tasks[0])
    peer.close()
    for task_id in tasks:
        worker.result(task_id)
    peer.come_back()
    for task_id in tasks:
        peer.event("TaskSucceeded", task_id)
        assert set(peer.kinds(task_id)) == set(COURSE)
