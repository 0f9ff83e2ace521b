"""Every answer to a cancel, over HTTP, with real stores; the hosts' part is said on the bus by the test."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from signalbox.messages.commands import CancelTask, Command, StopProcesses
from signalbox.messages.receipts import ProcessReport
from signalbox.postgres.pool import Database
from support.api import Api, Json, an_answering_host, an_api, ended, put_task, says
from support.eventually import HANGS, eventually
from support.stores.server import Postgres, Redis

DONE = "Task charge has been cancelled and marked as failed"


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as admin:
        yield admin


async def cancel(client: httpx.AsyncClient, task_id: str, **body: object) -> tuple[int, Json]:
    answer = await client.post(f"/scheduler/cancel-task/{task_id}/", json=body or None)
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, answer.json()


async def _now(heard: list[Command]) -> list[Command]:
    return heard


async def test_a_cancel_without_a_body_answers_as_documented(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = await put_task(database)
    async with an_answering_host(valkey.url, says("cancelled", proof="cgroup")) as heard:
        status, answer = await cancel(client, task_id)
    [command] = heard
    assert status == 200
    assert answer == {
        "status": "success",
        "message": DONE,
        "task_id": task_id,
        "command_id": command.command_id,
        "verified": True,
        "proof": "cgroup",
        "recorded": True,
        "detail": "",
        "instead": None,
    }


async def test_the_command_says_who_asked_from_where_and_why(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = await put_task(database)
    async with an_answering_host(valkey.url, says("cancelled")) as heard:
        await cancel(client, task_id, reason="customer closed the account", grace=2.5)
    [command] = heard
    assert isinstance(command, CancelTask)
    assert (command.issued_by, command.issued_from) == ("token:local", "127.0.0.1")
    assert (command.reason, command.grace, command.task_id) == ("customer closed the account", 2.5, task_id)


async def test_two_at_once_both_succeed_with_one_command(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = await put_task(database)
    async with an_answering_host(valkey.url, says("cancelled")) as heard:
        (one, first), (two, second) = await asyncio.gather(cancel(client, task_id), cancel(client, task_id))
    assert (one, two) == (200, 200)
    assert first == second
    assert len(heard) == 1


async def test_a_task_that_is_cancelled_already_is_answered_as_before(
    client: httpx.AsyncClient, database: Database
) -> None:
    over = ended("cancelled", "Task cancelled manually")
    task_id = await put_task(database, cancel_command_id="the first command", proof="search", **over)
    status, answer = await cancel(client, task_id)
    assert (status, answer["message"], answer["command_id"]) == (200, DONE, "the first command")
    assert (answer["verified"], answer["proof"]) == (True, "search")


async def test_a_proof_by_a_search_says_what_it_does_not_cover(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = await put_task(database)
    less = "Processes that left the task's family cannot be found on this host."
    async with an_answering_host(valkey.url, says("cancelled", proof="search", detail=less)):
        _, answer = await cancel(client, task_id)
    assert (answer["verified"], answer["proof"], answer["detail"]) == (True, "search", less)


@pytest.mark.parametrize(
    ("outcome", "error", "words"),
    [
        ("succeeded", None, "Task charge already finished: completed at "),
        ("error", "ValueError: no such order", "Task charge already finished: failed: ValueError: no such order"),
    ],
)
async def test_a_task_that_is_over_is_409_and_says_how_it_ended(
    client: httpx.AsyncClient, database: Database, outcome: str, error: str | None, words: str
) -> None:
    task_id = await put_task(database, **ended(outcome, error))
    status, answer = await cancel(client, task_id)
    assert (status, answer["status"]) == (409, "error")
    assert answer["message"].startswith(words)


async def test_an_id_that_nobody_knows_is_404(client: httpx.AsyncClient, valkey: Redis) -> None:
    task_id = str(uuid4())
    async with an_answering_host(valkey.url, says("unknown")):
        status, answer = await cancel(client, task_id)
    assert status == 404
    assert answer["message"].startswith(f"No task {task_id} is known")


@pytest.mark.parametrize("nonsense", ["nonsense", "a%20b", "x" * 200, "%00"])
async def test_what_is_no_id_is_422(client: httpx.AsyncClient, nonsense: str) -> None:
    status, answer = await cancel(client, nonsense)
    assert status == 422
    assert "is not a task id" in answer["message"]


async def test_an_id_of_the_callers_own_making_is_good_if_the_record_knows_it(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    await put_task(database, "order-17:charge@eu")
    async with an_answering_host(valkey.url, says("cancelled")):
        status, _ = await cancel(client, "order-17:charge@eu")
    assert status == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"wait": 61}, "The value of wait is not acceptable: input should be less than or equal to 60"),
        ({"reasn": "x"}, "The field reasn is not known here"),
        ({"reason": "a\x00b"}, "The value of reason is not acceptable"),
    ],
)
async def test_a_body_that_makes_no_sense_is_422_in_words(client: httpx.AsyncClient, body: Json, words: str) -> None:
    status, answer = await cancel(client, str(uuid4()), **body)
    assert status == 422
    assert words in answer["message"]


async def test_a_task_that_waits_somewhere_unseen_is_refused_for_ever(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = await put_task(database, status="pending", phase=1, host=None, started_at=None, pid=None)
    async with an_answering_host(valkey.url, says("unknown")):
        status, answer = await cancel(client, task_id)
    assert (status, answer["verified"]) == (200, True)
    assert "will not run" in answer["message"]


async def test_the_record_is_asked_again_when_no_host_has_the_task_any_more(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = await put_task(database)
    async with an_answering_host(valkey.url, says("unknown")) as heard:
        asking = asyncio.create_task(cancel(client, task_id))
        await eventually(lambda: _now(heard), "the command")
        async with database.connection() as connection:
            await connection.execute(
                "UPDATE tasks SET status = 'completed', outcome = 'succeeded', finished_at = now() WHERE task_id = $1",
                task_id,
            )
        status, answer = await asking
    assert status == 409
    assert "already finished: completed at" in answer["message"]


@pytest.mark.parametrize(
    ("verdict", "detail", "http", "words"),
    [
        ("unsupported", "a pool of threads cannot kill one task", 409, "a pool of threads cannot kill one task"),
        ("alive", "pid 4711 is in state D", 502, "was not ended and still runs: pid 4711 is in state D"),
        ("unproven", "the worker did not answer", 202, "not proven: the worker did not answer"),
    ],
)
async def test_a_cancel_that_did_not_succeed_says_so(
    client: httpx.AsyncClient, database: Database, valkey: Redis, verdict: str, detail: str, http: int, words: str
) -> None:
    task_id = await put_task(database)
    async with an_answering_host(valkey.url, says(verdict, detail=detail)):
        status, answer = await cancel(client, task_id)
    assert (status, answer["verified"]) == (http, False)
    assert words in answer["message"]


async def test_no_proof_within_the_wait_is_202(client: httpx.AsyncClient, database: Database, valkey: Redis) -> None:
    task_id = await put_task(database)
    async with an_answering_host(valkey.url, lambda _: []):
        status, answer = await cancel(client, task_id, wait=0.1)
    assert (status, answer["status"], answer["verified"]) == (202, "accepted", False)
    assert "no answer has come yet from somehost" in answer["message"]


async def test_without_any_controller_it_is_202_and_says_so(client: httpx.AsyncClient, database: Database) -> None:
    status, answer = await cancel(client, await put_task(database), wait=0.1)
    assert (status, answer["verified"]) == (202, False)
    assert "no controller is connected" in answer["message"]


async def test_while_the_record_lags_behind_the_answer_says_so(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = await put_task(database)
    async with an_answering_host(valkey.url, says("cancelled", recorded=False)):
        status, answer = await cancel(client, task_id)
    assert (status, answer["verified"], answer["recorded"]) == (200, True, False)
    assert answer["message"] == ("Task charge has been cancelled; it no longer runs. The record will follow shortly")


async def test_without_the_database_the_process_dies_all_the_same(
    api: Api, database: Database, valkey: Redis, postgres_server: Postgres
) -> None:
    task_id = await put_task(database)
    operator = await api.make_token("operator")
    await postgres_server.stop()
    try:
        dead = says("cancelled", recorded=False, task_name="charge")
        async with an_answering_host(valkey.url, dead), api.client(operator["token"]) as client, asyncio.timeout(HANGS):
            status, answer = await cancel(client, task_id)
            lists = await client.get("/scheduler/tasks/")
            ready = await client.get("/readyz")
    finally:
        await postgres_server.start()
    assert (status, answer["verified"], answer["recorded"]) == (200, True, False)
    assert answer["message"] == (
        "Task charge has been cancelled; it no longer runs. The record will follow when the database is back"
    )
    assert lists.status_code == 503
    assert lists.json()["message"].startswith("The record cannot be used now")
    assert (ready.status_code, ready.json()["status"], ready.json()["parts"]["database"]["ok"]) == (
        200,
        "degraded",
        False,
    )


async def test_without_redis_it_is_503_and_nothing_was_cancelled(api: Api, database: Database, valkey: Redis) -> None:
    task_id = await put_task(database)
    async with api.client() as client:
        await valkey.stop()
        try:
            status, answer = await cancel(client, task_id)
            ready = await client.get("/readyz")
        finally:
            await valkey.start()
        assert status == 503
        assert answer["message"].startswith("Redis does not answer; nothing is known to have been done")
        assert (ready.status_code, ready.json()["parts"]["redis"]["ok"]) == (503, False)
        async with an_answering_host(valkey.url, says("cancelled")):
            status, _ = await cancel(client, task_id)
        assert status == 200


async def test_a_record_that_hangs_does_not_hold_a_cancel_up(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    task_id = await put_task(database)
    async with an_answering_host(valkey.url, says("cancelled", recorded=False)), database.transaction() as connection:
        await connection.execute("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(HANGS):
            status, answer = await cancel(client, task_id)
    assert (status, answer["verified"], answer["recorded"]) == (200, True, False)


async def test_many_callers_can_wait_for_their_proof_at_once(
    client: httpx.AsyncClient, database: Database, valkey: Redis
) -> None:
    tasks = [await put_task(database) for _ in range(60)]
    async with an_answering_host(valkey.url, lambda _: []):
        waiting = [asyncio.create_task(cancel(client, task_id, wait=2.0)) for task_id in tasks]
        quick = await client.get("/scheduler/tasks/")
        answers = await asyncio.gather(*waiting)
    assert quick.status_code == 200
    assert {status for status, _ in answers} == {202}


async def test_celery_is_stopped_and_started_with_the_documented_words(
    client: httpx.AsyncClient, valkey: Redis
) -> None:
    report = ProcessReport(name="worker", kind="worker", state="stopped", host="somehost")
    async with an_answering_host(valkey.url, says("stopped", tasks_killed=2, processes=(report,))) as heard:
        stopped = await client.post("/scheduler/stop-celery/", json={"mode": "immediate", "reason": "maintenance"})
        await client.post("/scheduler/stop-celery/", json={"redeliver": True})
    [command, willing] = heard
    assert isinstance(command, StopProcesses)
    assert isinstance(willing, StopProcesses)
    assert (command.redeliver, willing.redeliver) == (False, True)
    assert (command.mode, command.reason, command.hosts, command.processes) == ("immediate", "maintenance", (), ())
    assert stopped.status_code == 200
    assert stopped.json()["message"] == "Celery has been stopped; 2 running tasks were marked as failed"
    assert [process["state"] for process in stopped.json()["processes"]] == ["stopped"]
    async with an_answering_host(
        valkey.url, lambda command: says("started")(command) if command is not heard[0] else []
    ):
        started = await client.post("/scheduler/start-celery/")
    assert (started.status_code, started.json()["message"]) == (200, "Celery has been started")


async def test_many_that_nobody_is_there_to_cancel_are_accepted_and_what_is_over_or_no_id_is_said(
    client: httpx.AsyncClient, database: Database
) -> None:
    waits, over = await put_task(database), await put_task(database, **ended("succeeded"))
    ids = [waits, over, str(uuid4()), "no\x00id"]
    counted = await client.post("/scheduler/cancel-tasks/", json={"task_ids": ids, "dry_run": True})
    assert (counted.status_code, counted.json()["matched"]) == (200, 1)
    answer = await client.post("/scheduler/cancel-tasks/", json={"task_ids": ids})
    outcomes = [task["outcome"] for task in answer.json()["tasks"]]
    assert (answer.status_code, outcomes) == (202, ["unproven", "finished", "unproven", "invalid"])
    assert answer.json()["status"] == "accepted"
