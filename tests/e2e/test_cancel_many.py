"""Many tasks cancelled at once, as programs and scripts do it: counted first, told one by one, a single line of it."""

import asyncio
import json
import uuid
from typing import Any

import pytest

from support.cli import run
from support.eventually import eventually
from support.system import Json, System

PATH = "/scheduler/cancel-tasks/"
#: The answer to whoever wants to follow it.
LINES = "application/x-ndjson"


async def _waiting(system: System, count: int) -> list[str]:
    """Tasks that a worker holds until their time comes, in an hour."""
    ids = [await system.send("reports.count_stock", countdown=3600.0, seconds=0.1) for _ in range(count)]
    for task_id in ids:
        await system.task_when(task_id, "pending")
    return ids


async def _post(system: System, body: Json, *, token: str | None = None) -> tuple[int, Json]:
    async with system.client(token) as client:
        answer = await client.post(PATH, json=body)
    return answer.status_code, answer.json()


async def _statuses(system: System, ids: list[str]) -> set[tuple[str, str, str]]:
    rows = await system.record("select status, outcome, error from tasks where task_id = any($1::text[])", ids)
    return {(row["status"], row["outcome"], row["error"]) for row in rows}


async def test_a_dry_run_counts_and_touches_nothing(system: System) -> None:
    ids = await _waiting(system, 12)
    running = await system.running()
    before = await system.record("select count(*) from commands")

    status, seen = await _post(system, {"filter": {"name": "count_stock", "host": "testhost"}, "dry_run": True})

    assert (status, seen["status"], seen["dry_run"]) == (200, "success", True)
    assert seen["matched"] == seen["pending"] + seen["running"]
    assert seen["pending"] >= 12
    assert seen["running"] >= 1
    assert len(seen["sample"]) == 10
    assert seen["sample"][0] == {
        "task_id": running["task_id"], "name": "count_stock", "status": "running", "host": "testhost"
    }  # fmt: skip
    assert seen["message"].endswith("Nothing was cancelled")
    assert await system.record("select count(*) from commands") == before
    assert {(await system.task(task_id) or {})["status"] for task_id in ids} == {"pending"}


async def test_what_a_filter_matches_is_cancelled_and_each_task_has_its_outcome(system: System) -> None:
    ids = await _waiting(system, 5)
    running = await system.running()
    others = await _waiting(system, 1)

    status, answer = await _post(
        system, {"filter": {"name": "count_stock", "host": "testhost"}, "limit": 500, "reason": "wrong prices"}
    )

    assert status == 200, answer
    assert answer["status"] == "success"
    outcomes = {task["task_id"]: task["outcome"] for task in answer["tasks"]}
    assert {outcomes[task_id] for task_id in [*ids, *others]} == {"dropped"}
    assert outcomes[running["task_id"]] == "cancelled"
    assert answer["counts"] == {"dropped": list(outcomes.values()).count("dropped"), "cancelled": 1} or answer["counts"]
    assert answer["message"] == f"All {len(outcomes):,} tasks have been cancelled and marked as failed"
    assert await _statuses(system, [*ids, running["task_id"]]) == {("failed", "cancelled", "Task cancelled manually")}


async def test_it_is_one_line_of_the_audit_trail_that_says_how_they_were_chosen(system: System) -> None:
    await _waiting(system, 3)

    _, answer = await _post(system, {"filter": {"status": "pending", "name": "count_stock"}, "reason": "wrong prices"})

    [command_id] = answer["command_ids"]

    async def look() -> Json | None:
        async with system.client() as client:
            lines = (await client.get("/scheduler/commands/")).json()["items"]
        return next((line for line in lines if line["command_id"] == command_id and line["finished_at"]), None)

    line = await eventually(look, "the line of the audit trail")
    assert line["command"] == "CancelTasks"
    assert line["target"] == f"{len(answer['tasks'])} tasks: pending tasks named count_stock"
    assert (line["issued_by"], line["reason"], line["state"]) == ("token:local", "wrong prices", "dropped")


async def test_ids_that_are_over_unknown_or_no_ids_at_all_do_not_fail_the_others(system: System) -> None:
    quick = await system.send("reports.count_stock", seconds=0.05)
    await system.task_when(quick, "completed")
    cancelled = (await _waiting(system, 1))[0]
    await _post(system, {"task_ids": [cancelled]})
    waits, nobody = (await _waiting(system, 1))[0], str(uuid.uuid4())

    status, answer = await _post(system, {"task_ids": [quick, cancelled, waits, nobody, "no task", "custom-id", waits]})

    assert status == 200
    assert answer["status"] == "error"
    assert [(task["task_id"], task["outcome"]) for task in answer["tasks"]] == [
        (quick, "finished"),
        (cancelled, "dropped"),
        (waits, "dropped"),
        (nobody, "unknown"),
        ("no task", "invalid"),
        ("custom-id", "invalid"),
    ]
    assert answer["message"] == (
        "2 of 6 tasks have been cancelled; 1 had already finished;"
        " 1 is known to nobody, and refused should it arrive; 2 are not task ids"
    )


async def test_an_answer_that_is_followed_tells_how_far_it_is_and_ends_with_the_same(system: System) -> None:
    ids = await _waiting(system, 20)

    async with (
        system.client() as client,
        client.stream("POST", PATH, json={"task_ids": ids}, headers={"Accept": LINES}) as response,
    ):
        lines = [json.loads(line) async for line in response.aiter_lines()]

    *progress, answer = lines
    assert response.headers["Content-Type"] == LINES
    assert progress[-1] == {"status": "progress", "done": 20, "total": 20}
    assert answer["counts"] == {"dropped": 20}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "Say which tasks: give either task_ids or a filter, and not both"),
        ({"task_ids": ["a"], "filter": {"status": "pending"}}, "Say which tasks: give either"),
        ({"filter": {}}, "The value of filter is not acceptable: an empty filter would mean every task there is"),
        ({"filter": {"status": "completed"}}, "completed tasks are over and cannot be cancelled"),
        ({"filter": {"status": "failed", "name": "x"}}, "failed tasks are over and cannot be cancelled"),
        ({"filter": {"stauts": "pending"}}, "The field filter.stauts is not known here"),
        ({"filter": {"status": "pending"}, "limit": 10_001}, "The value of limit is not acceptable"),
        ({"filter": {"older_than": -1}}, "The value of filter.older_than is not acceptable"),
        ({"task_ids": []}, "The value of task_ids is not acceptable"),
        ({"task_ids": ["a"] * 10_001}, "The value of task_ids is not acceptable"),
    ],
)
async def test_a_body_that_makes_no_sense_is_refused_in_words(system: System, body: Json, words: str) -> None:
    status, answer = await _post(system, body)

    assert status == 422
    assert words in answer["message"]


async def test_as_many_ids_as_a_command_takes_fit_into_a_request(system: System) -> None:
    ids = [str(uuid.uuid4()) for _ in range(10_000)]

    status, answer = await _post(system, {"task_ids": ids, "dry_run": True})

    assert (status, answer["matched"]) == (200, 0)


async def test_nothing_that_matches_is_no_error_and_no_command(system: System) -> None:
    status, answer = await _post(system, {"filter": {"name": "nobody calls a task like this"}})

    assert (status, answer["status"], answer["command_ids"], answer["matched"]) == (200, "success", [], 0)
    assert answer["message"] == "No task matches; nothing was cancelled"


async def test_more_than_the_limit_is_said(system: System) -> None:
    await _waiting(system, 3)

    _, answer = await _post(system, {"filter": {"status": "pending", "name": "count_stock"}, "limit": 2})

    assert len(answer["tasks"]) == 2
    assert answer["matched"] >= 3
    assert f"{answer['matched'] - 2:,} more match: cancel again to go on with them" in answer["message"]


async def test_a_viewer_may_neither_count_nor_cancel(system: System) -> None:
    token = await system.token("viewer")

    for body in ({"filter": {"status": "pending"}}, {"filter": {"status": "pending"}, "dry_run": True}):
        assert (await _post(system, body, token=token))[0] == 403


async def test_only_what_is_older_is_chosen(system: System) -> None:
    [task_id] = await _waiting(system, 1)
    chosen: dict[str, Any] = {"status": "pending", "q": task_id}

    _, young = await _post(system, {"filter": {**chosen, "older_than": 3600}, "dry_run": True})
    _, old = await _post(system, {"filter": {**chosen, "older_than": 0.001}, "dry_run": True})

    assert (young["matched"], old["matched"]) == (0, 1)


async def test_the_command_line_counts_cancels_and_tells_what_was_not_cancelled(system: System) -> None:
    ids = await _waiting(system, 3)
    words = ("cancel", "--status", "pending", "--name", "count_stock", "--host", "testhost")

    dry, asked, done = [
        await run(*words, *more, data=system.data) for more in (("--dry-run",), (), ("--yes", "--reason", "deploy"))
    ]
    several = await run("cancel", *ids, str(uuid.uuid4()), data=system.data)

    assert dry.code == 0
    assert "Nothing was cancelled." in dry.out
    assert asked.code == 2
    assert "say --yes" in asked.err
    assert done.code == 0, done.err
    assert "have been cancelled and marked as failed." in done.out
    assert await _statuses(system, ids) == {("failed", "cancelled", "Task cancelled manually")}
    assert several.code == 1
    assert several.out.splitlines()[0].split() == ["TASK", "OUTCOME", "MESSAGE"]
    assert several.err == "1 of 4 tasks were not cancelled.\n"


async def test_two_that_cancel_the_same_tasks_at_once_hear_the_same(system: System) -> None:
    ids = await _waiting(system, 10)

    (_, one), (_, other) = await asyncio.gather(*(_post(system, {"task_ids": ids}) for _ in range(2)))

    assert one["counts"] == other["counts"] == {"dropped": 10}
