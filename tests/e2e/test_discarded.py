"""A task whose message is gone does not wait for ever: it is discarded, and one that still waits is not."""

import asyncio

from signalbox_local.services import environment
from support.celery_sender import celery_sender
from support.eventually import HANGS, eventually
from support.system import Json, System


def _purge(system: System) -> bool:
    """Purge the queue, once what the worker held is back in it, a moment after its end."""
    shop = environment.shop(system.run.valkey.url)
    with celery_sender(*shop.values()) as app:
        with app.connection_for_write() as connection:
            if connection.default_channel.client.hlen("unacked"):
                return False
        app.control.purge()
    return True


async def test_what_was_purged_is_discarded_and_what_still_waits_is_not(fresh_system: System) -> None:
    system = fresh_system
    purged = [await system.send("reports.count_stock", countdown=600) for _ in range(3)]
    for task_id in purged:
        await system.task_when(task_id, "pending")
    async with system.client() as client:
        (await client.post("/scheduler/stop-celery/", json={"mode": "immediate"})).raise_for_status()

    async def purged_all() -> bool:
        return await asyncio.to_thread(_purge, system)

    await eventually(purged_all, "what the worker held is purged")
    await system.start_celery()
    waits = await system.send("reports.count_stock", countdown=600)
    await system.task_when(waits, "pending")
    # As if twenty seconds had gone by.
    await system.record("UPDATE tasks SET asked_at = asked_at - interval '20 seconds' WHERE status = 'pending'")

    async def all_discarded() -> list[Json]:
        rows = await system.record("SELECT * FROM tasks WHERE task_id = ANY($1::text[])", purged)
        return rows if {row["outcome"] for row in rows} == {"discarded"} else []

    rows = await eventually(all_discarded, "all are discarded", within=2 * HANGS)
    assert {(row["status"], row["confirmed"]) for row in rows} == {("failed", True)}
    task = await system.task(waits)
    assert task is not None
    assert (task["status"], task["confirmed"]) == ("pending", True)
