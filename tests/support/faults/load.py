"""The load: twenty tasks a second of several kinds, and about one cancel a second."""

import asyncio
import dataclasses
import itertools
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from support.faults.site import Site
from support.faults.truth import Claim

#: Tasks a second, and seconds between two cancels.
RATE, CANCEL_EVERY = 20, 1.0
#: Seconds that a broker has to take a task, and the api to answer a cancel with its proof.
SEND_WITHIN, PROOF_WITHIN = 1.0, 5.0


class Kind(NamedTuple):
    """A kind of task."""

    name: str
    seconds: float
    countdown: float | None = None


QUICK = Kind("quick", 0.05)
#: Those that are cancelled: while they run, and while they wait.
LONG, LATER = Kind("quick", 4.0), Kind("quick", 0.1, countdown=4.0)
#: A second of the load.
SECOND = (
    *(QUICK,) * 11,
    *(Kind("late", 0.1),) * 3,
    *(Kind("fails", 0.05),) * 2,
    Kind("again", 0.05),
    LONG,
    Kind("late", 4.0),
    LATER,
)
assert len(SECOND) == RATE


class Load:
    """Sends and cancels until it is stopped."""

    def __init__(self, site: Site, seed: int) -> None:
        self._site = site
        self._dice = random.Random(seed)  # noqa: S311 - tries, not secrets
        self._celery = self._connect()
        self._stopped = asyncio.Event()
        self._work: list[asyncio.Task[None]] = []
        self._asked: list[asyncio.Task[None]] = []
        #: Ids by the time at which they were sent, and those of them that may be cancelled.
        self.sent: dict[str, float] = {}
        self._targets: list[str] = []
        self.cancels = 0
        #: What the api said that it had proved.
        self.verified: list[Claim] = []

    def start(self) -> None:
        """Begin."""
        self._work = [asyncio.create_task(self._send_all()), asyncio.create_task(self._cancel_some())]

    async def stop(self) -> None:
        """Send no more, and wait for the answers to the cancels."""
        self._stopped.set()
        await asyncio.gather(*self._work)
        await asyncio.gather(*self._asked)
        self._celery.close()

    def before(self, moment: float) -> set[str]:
        """The ids that were sent before."""
        return {task_id for task_id, at in self.sent.items() if at < moment}

    def _connect(self) -> Celery:
        app = Celery("load", broker=self._site.broker.url, backend="disabled://", set_as_current=False)
        timeouts = {"socket_timeout": SEND_WITHIN, "socket_connect_timeout": SEND_WITHIN}
        app.conf.broker_transport_options = timeouts
        return app

    async def _send_all(self) -> None:
        end = time.monotonic()
        for kind in self._kinds():
            end = max(end + 1 / RATE, time.monotonic() - 1.0)  # what a frozen broker has held up is not made good for
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, end - time.monotonic())):
                    await self._stopped.wait()
            if self._stopped.is_set():
                return
            self._asked.append(asyncio.create_task(self._send(kind)))

    def _kinds(self) -> Iterator[Kind]:
        while True:
            yield from self._dice.sample(SECOND, len(SECOND))

    async def _send(self, kind: Kind) -> None:
        task_id = str(uuid4())
        self.sent[task_id] = time.time()
        with suppress(OperationalError, RedisError, OSError):  # whether the broker has it is not known then
            await asyncio.to_thread(self._publish, kind, task_id)
        if kind in {LONG, LATER}:
            self._targets.append(task_id)

    def _publish(self, kind: Kind, task_id: str) -> None:
        options: dict[str, Any] = {"task_id": task_id, "countdown": kind.countdown, "retry": False}
        self._celery.send_task(f"diary.{kind.name}", kwargs={"seconds": kind.seconds}, ignore_result=True, **options)

    async def _cancel_some(self) -> None:
        for _ in itertools.count():
            with suppress(TimeoutError):
                async with asyncio.timeout(CANCEL_EVERY):
                    await self._stopped.wait()
            if self._stopped.is_set():
                return
            recent = self._targets[-3:]
            if recent:
                target = self._dice.choice(recent)
                self._targets.remove(target)
                self._asked.append(asyncio.create_task(self._cancel(target)))

    async def _cancel(self, task_id: str) -> None:
        self.cancels += 1
        with suppress(httpx.HTTPError):
            async with self._site.system.client() as client:
                answer = await client.post(f"/scheduler/cancel-task/{task_id}/", json={"wait": PROOF_WITHIN})
            said = answer.json()
            if answer.status_code == 200 and said["status"] == "success" and said["verified"]:
                claim = Claim(by="the answer to its cancel", task_id=task_id, status="failed", outcome="cancelled")
                self.verified.append(dataclasses.replace(claim, finished_at=time.time()))
