"""Mission, line 2, while nothing is up that could run the task: it is cancelled at once, and stays so."""

import uuid

import pytest

from support.system import Json, System


@pytest.fixture
async def down(system: System) -> Json:
    """Two tasks wait for their time, the first of them to be cancelled; no worker and no controller is there."""
    tasks = [await system.send("reports.count_stock", countdown=12.0, seconds=0.01) for _ in range(2)]
    for task_id in tasks:
        await system.task_when(task_id, "pending")
    await system.run.services["controller"].stop()
    return dict(zip(("cancelled", "other"), tasks, strict=True))


async def test_a_waiting_task_is_cancelled_without_any_worker_and_does_not_run_later(
    system: System, down: Json
) -> None:
    async with system.client() as client:
        answer = await client.post(f"/scheduler/cancel-task/{down['cancelled']}/")
        assert answer.status_code == 200, answer.text
        assert answer.json()["message"] == "Task count_stock has been cancelled and marked as failed"
        assert answer.json()["verified"] is True
        unknown = await client.post(f"/scheduler/cancel-task/{uuid.uuid4()}/", json={"wait": 0.1})
        assert unknown.status_code == 202
        assert "within the next 7 days, every worker refuses it" in unknown.json()["message"]
    assert (await system.task(down["cancelled"]) or {})["outcome"] == "cancelled"

    system.run.services["controller"].start()
    await system.task_when(down["other"], "completed")
    assert (await system.task(down["cancelled"]) or {})["status"] == "failed"
    began = "SELECT * FROM task_logs WHERE task_id = $1 AND started_at IS NOT NULL"
    assert not await system.record(began, down["cancelled"])
