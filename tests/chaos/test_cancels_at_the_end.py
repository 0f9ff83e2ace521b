"""Cancels aimed at the moment of completion: record, answer and what the task itself wrote down are one story.

300 by default; `SIGNALBOX_CANCELS=2000 make chaos` is the long version.
"""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from support.eventually import HANGS, eventually
from support.host import ALICE
from support.logged_worker import LoggedWorker, a_logged_worker
from support.reconciler import Recording, a_recording
from support.stores.server import Redis

CANCELS = int(os.environ.get("SIGNALBOX_CANCELS", "300"))
#: Tries at once: as many as there are children, so that the neighbours run in the same ones.
LANES = 2
#: Seconds by which the aim is moved after each try, to where as many are too late as in time.
STEP = 0.0004
#: What a task wrote last, and what the record has to say of it.
STORIES = {
    "finished": ("completed", "succeeded", "finished"),
    "failed": ("failed", "error", "finished"),
    "interrupted": ("failed", "cancelled", "cancelled"),
    "started": ("failed", "cancelled", "cancelled"),  # its first word was told, and nothing was begun
}


class Marksman:
    """Cancels one task after the other at the moment at which it ends."""

    def __init__(self, worker: LoggedWorker, seed: int) -> None:
        self._worker = worker
        self._dice = random.Random(seed)  # noqa: S311 - tries, not secrets
        self._offset = -0.005
        #: The verdict on each task, and the innocents that ran between them.
        self.verdicts: dict[str, str] = {}
        self.neighbours: list[str] = []

    async def shoot(self) -> None:
        """One try."""
        seconds = self._dice.uniform(0.005, 0.040)
        name = self._dice.choice(["aimed", "aimed_late"])
        end = self._dice.choice(["finished", "finished", "failed"])
        send = self._worker.send
        self.neighbours.append(await asyncio.to_thread(send, "neighbour"))
        task_id = await asyncio.to_thread(send, name, seconds, end)
        self.neighbours.append(await asyncio.to_thread(send, "neighbour"))
        await asyncio.wait_for(self._worker.begun(task_id).wait(), HANGS)
        await asyncio.sleep(max(0.0, seconds + self._offset + self._dice.gauss(0.0, 0.001)))
        result = await self._worker.host.commander.cancel(task_id, ALICE)
        assert result.verdict is not None, f"{task_id}: nobody answered"
        self.verdicts[task_id] = result.verdict
        self._offset += STEP if result.verdict == "cancelled" else -STEP


@pytest.mark.timeout(60 + CANCELS)
async def test_record_answer_and_task_tell_one_story_of_every_end(
    tmp_path: Path, valkey: Redis, database_url: str
) -> None:
    async with a_recording(valkey, database_url, tmp_path) as recording, a_logged_worker(tmp_path, valkey) as worker:
        await recording.start()
        marksmen = [Marksman(worker, seed) for seed in range(LANES)]
        await asyncio.gather(*(_shots(one, CANCELS // LANES) for one in marksmen))
        verdicts = {task_id: verdict for one in marksmen for task_id, verdict in one.verdicts.items()}
        neighbours = [task_id for one in marksmen for task_id in one.neighbours]
        record = await _record(recording, {*verdicts, *neighbours})
        diary = worker.read()
    told = {task_id: (*record[task_id], verdict) for task_id, verdict in verdicts.items()}
    true = {task_id: STORIES[diary[task_id][-1][1]] for task_id in verdicts}
    lies = {task_id: (diary[task_id], told[task_id]) for task_id in verdicts if told[task_id] != true[task_id]}
    assert not lies, f"{len(lies)} of {len(verdicts)}: {lies}"
    harmed = {
        task_id: (diary.get(task_id), record[task_id])
        for task_id in neighbours
        if not _unharmed(task_id, diary, record)
    }
    assert not harmed, f"{len(harmed)} of {len(neighbours)} innocents: {harmed}"
    ends = Counter(true.values())
    print(f"{len(verdicts)} cancels, {len(neighbours)} innocents unharmed: {dict(ends)}")  # noqa: T201 - the result
    assert ends[STORIES["finished"]], "all were hit too early"
    assert ends[STORIES["interrupted"]], "all were hit too late"


async def _shots(marksman: Marksman, count: int) -> None:
    for _ in range(count):
        await marksman.shoot()


def _unharmed(task_id: str, diary: dict[str, list[tuple[int, str]]], record: dict[str, tuple[str, str]]) -> bool:
    once = diary.get(task_id) == [(0, "started"), (0, "finished")]
    return once and record[task_id] == ("completed", "succeeded")


async def _record(recording: Recording, wanted: set[str]) -> dict[str, tuple[str, str]]:
    """Status and outcome of these tasks, as soon as all of them are over."""
    query = "SELECT task_id, status, outcome FROM tasks WHERE status IN ('completed', 'failed')"

    async def look() -> dict[str, tuple[str, str]]:
        rows = {row["task_id"]: (row["status"], row["outcome"]) for row in await recording.rows(query)}
        assert wanted <= rows.keys(), f"{len(wanted - rows.keys())} are not over in the record"
        return rows

    return await eventually(look, "all tasks are over in the record")
