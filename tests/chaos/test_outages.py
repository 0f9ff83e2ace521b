"""Mission, line 6: what still works, and what is still true, while a part is away."""

import asyncio
import time

import psutil

from support.eventually import eventually, eventually_blocking
from support.host import lives
from support.system import Json, System

MESSAGE = "Task cancelled manually"


async def test_without_the_database_a_cancel_still_kills_and_the_record_follows(system: System) -> None:
    task = await system.running()
    await system.postgres.stop()
    async with system.client() as client:
        answer = await client.post(f"/scheduler/cancel-task/{task['task_id']}/")
    gone = not psutil.pid_exists(task["pid"])
    assert answer.status_code == 200, answer.text
    assert gone
    assert "will follow" in answer.json()["message"]
    assert answer.json()["verified"] is True

    await system.postgres.start()

    async def look() -> Json | None:
        rows = await system.record("select * from tasks where task_id = $1 and status = 'failed'", task["task_id"])
        return rows[0] if rows else None

    row = await eventually(look, "the record is right again")
    assert (row["outcome"], row["error"], row["confirmed"]) == ("cancelled", MESSAGE, True)
    [log] = await system.record("select * from task_logs where task_id = $1", task["task_id"])
    assert (log["status"], log["error"]) == ("failed", MESSAGE)

    async def on_the_trail() -> bool:
        # Commands have a feed of their own, which may be back a moment after that of events.
        rows = await system.record("select state from commands where target = $1", task["task_id"])
        return [row["state"] for row in rows] == ["cancelled"]

    await eventually(on_the_trail, "the audit trail is right again")


def seconds_until_dead(processes: list[psutil.Process]) -> float:
    began = time.monotonic()
    eventually_blocking(lambda: not any(lives(process.pid) for process in processes), "the end of all of them")
    return time.monotonic() - began


async def test_without_the_database_celery_stops_all_the_same_and_the_record_follows(system: System) -> None:
    tasks: list[str] = []

    async def stopped(*, without_database: bool) -> float:
        """Stop it with a task in its hands that ignores TERM; the seconds until all of it is dead."""
        task = await system.running("stubborn.ignore_term", seconds=60.0)
        tasks.append(task["task_id"])
        rows = await system.record("select pid from processes where state = 'running'")
        everyone = [psutil.Process(pid) for pid in (task["pid"], *[row["pid"] for row in rows])]
        if without_database:
            await system.postgres.stop()
        dying = asyncio.create_task(asyncio.to_thread(seconds_until_dead, everyone))
        async with system.client() as client:
            answer = await client.post("/scheduler/stop-celery/", json={"mode": "immediate"})
        assert answer.status_code == 200, answer.text
        return await dying

    with_it = await stopped(without_database=False)
    await system.start_celery()
    without = await stopped(without_database=True)
    await system.postgres.start()

    async def right() -> bool:
        rows = await system.record("select outcome, finished_at from tasks where task_id = any($1)", tasks)
        processes = await system.record("select state from processes")
        ended = [row["outcome"] == "stopped" and row["finished_at"] is not None for row in rows]
        return ended == [True, True] and {row["state"] for row in processes} == {"stopped"}

    await eventually(right, "the record is right again")
    await system.start_celery()
    await system.make_whole()
    print(f"dead after {with_it:.2f} s with the database, {without:.2f} s without")  # noqa: T201


async def test_what_ran_while_the_database_was_away_is_in_the_record_afterwards(system: System) -> None:
    await system.postgres.stop()
    sent = [await system.send("reports.count_stock", seconds=0.1) for _ in range(5)]
    await system.postgres.start()
    for task_id in sent:
        assert (await system.task_when(task_id, "completed"))["outcome"] == "succeeded"


async def test_without_the_bus_a_cancel_says_so_and_no_light_claims_to_know(system: System) -> None:
    task = await system.running()
    await system.redis.stop()
    async with system.client() as client:
        answer = await client.post(f"/scheduler/cancel-task/{task['task_id']}/")
    assert answer.status_code == 503, answer.text
    assert answer.json()["status"] == "error"
    assert "Redis" in answer.json()["message"]
    await system.celery_when("unknown")
    await system.redis.start()
    await system.make_whole()
