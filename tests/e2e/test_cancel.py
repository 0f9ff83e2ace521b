"""Mission, lines 1 and 2: cancel a running task, and know that it is dead."""

import asyncio
import time
from pathlib import Path
from statistics import median

import psutil
import pytest

from support.eventually import eventually
from support.system import Json, System

MESSAGE = "Task cancelled manually"


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def _cancel(system: System, task: Json, **body: object) -> Json:
    """Cancel with a token; the answer's body, after looking that the process was gone when it came."""
    async with system.client() as client:
        answer = await client.post(f"/scheduler/cancel-task/{task['task_id']}/", json=body)
    gone = not _exists(task["pid"])
    assert answer.status_code == 200, answer.text
    assert gone, f"the answer came while pid {task['pid']} was there"
    return dict(answer.json())


async def test_the_answer_is_the_documented_one_and_comes_after_the_death(system: System) -> None:
    task = await system.running()
    assert task["runtime"] is None
    answer = await _cancel(system, task, reason="customer closed the account")
    assert answer["status"] == "success"
    assert answer["message"] == "Task count_stock has been cancelled and marked as failed"
    assert answer["task_id"] == task["task_id"]
    assert answer["verified"] is True
    assert answer["command_id"]


async def test_the_record_and_the_running_log_say_so_when_the_answer_comes(system: System) -> None:
    task = await system.running()
    await _cancel(system, task)
    [row] = await system.record("select * from tasks where task_id = $1", task["task_id"])
    [log] = await system.record("select * from task_logs where task_id = $1", task["task_id"])
    for place in (row, log):
        assert (place["status"], place["error"]) == ("failed", MESSAGE)
        assert place["finished_at"] >= place["started_at"]
    assert row["outcome"] == "cancelled"
    assert row["confirmed"] is True


async def test_the_audit_trail_names_who_asked_why_and_how_it_ended(system: System) -> None:
    task = await system.running()
    answer = await _cancel(system, task, reason="ran away")
    async with system.client() as client:
        commands = (await client.get("/scheduler/commands/")).json()["items"]
    [command] = [line for line in commands if line["command_id"] == answer["command_id"]]
    assert command["command"] == "CancelTask"
    assert command["target"] == task["task_id"]
    assert command["issued_by"] == "token:local"
    assert command["reason"] == "ran away"
    assert command["state"] == "cancelled"


async def test_a_task_that_ignores_term_is_killed_at_the_deadline(system: System) -> None:
    task = await system.running("stubborn.ignore_term", seconds=120.0)
    began = time.monotonic()
    await _cancel(system, task, grace=1.0)
    assert time.monotonic() - began > 0.9
    assert (await system.task_when(task["task_id"], "failed"))["error"] == MESSAGE


@pytest.mark.parametrize("name", ["run_subprocess", "run_detached_subprocess"])
async def test_the_program_that_a_task_started_is_gone_too(system: System, name: str) -> None:
    task = await system.running(f"stubborn.{name}", seconds=120.0)

    async def look() -> psutil.Process | None:
        return next(iter(psutil.Process(task["pid"]).children()), None)

    program = await eventually(look, "the program that the task starts")
    await _cancel(system, task)
    assert not _exists(program.pid)


async def test_a_slow_clean_up_is_waited_for_within_the_deadline(system: System) -> None:
    task = await system.running("stubborn.slow_cleanup", seconds=120.0, cleanup=1.0)
    began = time.monotonic()
    await _cancel(system, task, grace=10.0)
    assert time.monotonic() - began > 0.9


async def test_two_at_once_both_succeed_and_leave_one_cancel(system: System) -> None:
    task = await system.running("stubborn.slow_cleanup", seconds=120.0, cleanup=0.5)
    first, second = await asyncio.gather(_cancel(system, task), _cancel(system, task))
    assert first["status"] == second["status"] == "success"
    commands = await system.record("select * from commands where target = $1", task["task_id"])
    logs = await system.record("select * from task_logs where task_id = $1", task["task_id"])
    assert (len(commands), len(logs)) == (1, 1)


async def test_a_second_cancel_later_gets_the_same_answer(system: System) -> None:
    task = await system.running()
    first = await _cancel(system, task)
    assert await _cancel(system, task) == first


async def test_the_next_task_starts_soon(fresh_system: System) -> None:
    """The promise is 300 ms; the median of three is given ten times as much."""
    system = fresh_system
    busy = [await system.running("reports.count_stock", seconds=900.0) for _ in range(4)]
    assert median([await _pause(system, task) for task in busy[:3]]) < 3.0


async def _pause(system: System, task: Json) -> float:
    """Seconds from the end of this task, which is cancelled, to the start of the next one.

    Every slot is taken, so whatever comes next can only run in the one that the cancel frees. It stays, to keep it so.
    """
    following = await system.send("reports.count_stock", seconds=900.0)

    async def one_waits() -> list[Json]:
        """Tasks that the worker holds; where beat's fill it, the following one is still at the broker."""
        return await system.record("SELECT task_id FROM tasks WHERE status = 'pending'")

    await eventually(one_waits, "a task that waits in the worker")
    await _cancel(system, task)

    async def look() -> float | None:
        [row] = await system.record(
            """
            SELECT extract(epoch FROM min(next.started_at) - cancelled.finished_at)::float AS pause
            FROM task_logs AS cancelled JOIN task_logs AS next ON next.started_at > cancelled.finished_at
            WHERE cancelled.task_id = $1 GROUP BY cancelled.finished_at
            """,
            task["task_id"],
        ) or [{"pause": None}]
        return None if row["pause"] is None else float(row["pause"])

    pause = await eventually(look, "the next task")
    await system.task_when(following, "running")
    return pause


async def test_a_cancelled_task_does_not_keep_its_worker_from_working(system: System) -> None:
    for _ in range(6):
        await _cancel(system, await system.running())
    quick = await system.send("reports.count_stock", seconds=0.1)
    assert (await system.task_when(quick, "completed"))["outcome"] == "succeeded"


async def test_a_task_that_waits_for_its_time_is_dropped_and_never_runs(system: System) -> None:
    waiting = await system.send("reports.count_stock", seconds=0.1, countdown=8.0)
    twin = await system.send("reports.count_stock", seconds=0.1, countdown=8.0)
    await system.task_when(waiting, "pending")
    async with system.client() as client:
        answer = await client.post(f"/scheduler/cancel-task/{waiting}/")
    assert answer.status_code == 200, answer.text
    await system.task_when(twin, "completed")
    assert (await system.task_when(waiting, "failed"))["error"] == MESSAGE
    [refused] = await system.record("select * from task_logs where task_id = $1", waiting)
    assert (refused["outcome"], refused["started_at"]) == ("cancelled", None)
