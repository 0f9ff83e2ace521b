"""One id with several runs, and an id that is released, over HTTP; the hosts' part is said on the bus by the test."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from signalbox.messages.base import utc_now
from signalbox.messages.commands import AllowTask, CancelTask
from signalbox.messages.verdicts import Verdict
from signalbox.postgres.pool import Database
from support.api import Api, an_answering_host, an_api, ended, put_task, says
from support.stores.server import Redis

LOG = (
    "INSERT INTO task_logs (task_id, run, attempt, phase, confirmed, precedence, status, outcome, retries, host,"
    " worker, pid, started_at, finished_at) VALUES ($1, $2, $3, $4, $5, 1, $6, $7, 0, $8, 'w', 4711, now(), $9)"
)


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as admin:
        yield admin


async def put_run(
    database: Database, task_id: str, attempt: int, *, host: str = "somehost", lost: bool = False
) -> None:
    """A run of a task that goes on, or was given up."""
    phase, status, outcome = (4, "failed", "worker_lost") if lost else (2, "running", None)
    end = utc_now() if lost else None
    async with database.connection() as connection:
        run = f"0000.{attempt}.a.1"
        await connection.execute(LOG, task_id, run, attempt, phase, not lost, status, outcome, host, end)


async def put_cancel(database: Database, task_id: str) -> None:
    async with database.connection() as connection:
        issued_at = utc_now() - timedelta(hours=1)
        await connection.execute(
            "INSERT INTO cancels (task_id, command_id, issued_at, state, finished_at)"
            " VALUES ($1, 'c1', $2, 'cancelled', $2)",
            task_id,
            issued_at,
        )


async def test_a_task_shows_each_of_its_runs_that_goes_on(client: httpx.AsyncClient, database: Database) -> None:
    task_id = await put_task(database)
    for attempt, host in ((1, "somehost"), (2, "other")):
        await put_run(database, task_id, attempt, host=host)
    answer = (await client.get(f"/scheduler/tasks/{task_id}/")).json()
    assert [(run["host"], run["worker"], run["pid"]) for run in answer["runs"]] == [
        ("somehost", "w", 4711),
        ("other", "w", 4711),
    ]


async def test_a_cancel_is_proven_only_with_the_answer_of_every_host_that_runs_it(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = await put_task(database)
    for attempt, host in ((1, "somehost"), (2, "other")):
        await put_run(database, task_id, attempt, host=host)
    async with (
        an_answering_host(valkey.url, says("cancelled")),
        an_answering_host(valkey.url, lambda _: [], name="other"),
    ):
        answer = await client.post(f"/scheduler/cancel-task/{task_id}/", json={"wait": 1})
    assert (answer.status_code, answer.json()["verified"]) == (202, False)
    assert "other" in answer.json()["message"]


async def test_a_host_that_runs_it_and_is_away_leaves_a_cancel_unproven(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = await put_task(database)
    for attempt, host in ((1, "somehost"), (2, "away")):
        await put_run(database, task_id, attempt, host=host)
    async with an_answering_host(valkey.url, says("cancelled")):
        answer = await client.post(f"/scheduler/cancel-task/{task_id}/", json={"wait": 1})
    assert (answer.status_code, answer.json()["verified"]) == (202, False)
    assert "also runs on away, which does not answer" in answer.json()["message"]


@pytest.mark.parametrize("verdict", ["cancelled", "dropped", "finished"])
async def test_an_answer_about_another_delivery_proves_nothing_of_the_only_known_run_on_a_host_that_is_away(
    client: httpx.AsyncClient, database: Database, valkey: Redis, verdict: Verdict
) -> None:
    task_id = await put_task(database, status="running", phase=2, host="away")
    await put_run(database, task_id, 1, host="away")
    async with an_answering_host(valkey.url, says(verdict)):
        answer = await client.post(f"/scheduler/cancel-task/{task_id}/", json={"wait": 1})
    assert (answer.status_code, answer.json()["verified"]) == (202, False)
    assert "also runs on away, which does not answer" in answer.json()["message"]


async def test_while_a_run_was_only_given_up_a_finished_task_is_not_called_so_without_asking_the_hosts(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = await put_task(database, **ended("succeeded"))
    await put_run(database, task_id, 1, lost=True)
    async with an_answering_host(valkey.url, says("cancelled")) as heard:
        answer = await client.post(f"/scheduler/cancel-task/{task_id}/", json={})
    assert [type(command) for command in heard] == [CancelTask]
    assert answer.status_code == 200


async def test_a_released_id_is_told_to_every_host(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = await put_task(database, **ended("cancelled"))
    await put_cancel(database, task_id)
    async with an_answering_host(valkey.url, says("allowed")) as heard:
        answer = await client.post(f"/scheduler/tasks/{task_id}/allow/", json={"reason": "it was a mistake"})
    [command] = heard
    assert isinstance(command, AllowTask)
    assert (command.task_id, command.issued_by, command.reason) == (task_id, "token:local", "it was a mistake")
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "status": "success",
            "message": "Task charge may run again",
            "task_id": task_id,
            "command_id": command.command_id,
            "recorded": True,
        },
    )


async def test_a_release_that_a_host_has_not_answered_is_under_way(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = f"nightly:{uuid4()}"  # no task of it was ever recorded
    await put_cancel(database, task_id)
    async with an_answering_host(valkey.url, lambda _: []):
        answer = await client.post(f"/scheduler/tasks/{task_id}/allow/", json={"wait": 0.5})
    assert answer.status_code == 202
    assert answer.json()["message"] == f"Task {task_id} may run again; no answer has come yet from somehost"


@pytest.mark.parametrize("released", [False, True], ids=["never cancelled", "released already"])
async def test_what_is_not_refused_cannot_be_released(
    client: httpx.AsyncClient, database: Database, released: bool
) -> None:
    task_id = await put_task(database)
    if released:
        await put_cancel(database, task_id)
        async with database.connection() as connection:
            await connection.execute("INSERT INTO allows VALUES ($1, now(), 'a1')", task_id)
    answer = await client.post(f"/scheduler/tasks/{task_id}/allow/")
    assert answer.status_code == 404
    assert answer.json()["message"] == f"Task {task_id} was not cancelled, or may run again already"


async def test_a_viewer_may_not_release(api: Api) -> None:
    async with api.client() as admin:
        made = await admin.post("/scheduler/tokens/", json={"name": "watcher", "role": "viewer"})
    headers = {"Authorization": f"Bearer {made.json()['token']}"}
    async with httpx.AsyncClient(base_url=api.url, headers=headers, trust_env=False) as viewer:
        assert (await viewer.post(f"/scheduler/tasks/{uuid4()}/allow/")).status_code == 403
