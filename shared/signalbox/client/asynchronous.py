"""AsyncClient: the client of other services, awaited."""

import os
from collections.abc import Mapping, Sequence
from typing import Self, Unpack

from signalbox.bus.connection import connect
from signalbox.client.bulk import Progress
from signalbox.client.commander import Commander, Issuer, StopOptions, Targets
from signalbox.client.results import AllowResult, BulkResult, CancelResult, ProcessesResult, succeed_or_raise
from signalbox.settings import Settings


class AsyncClient:
    """Client that publishes commands on behalf of a service; durations are in seconds.

    Every method raises BusUnavailable when Redis is away.
    """

    def __init__(self, redis_url: str, key: str, *, service: str = "client") -> None:
        self._redis = connect(redis_url)
        self._commander = Commander(self._redis, key)
        self._service = f"service:{service}"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read `SIGNALBOX_REDIS_URL`, `SIGNALBOX_KEY` and, for the audit trail, `SIGNALBOX_SERVICE`.

        Raises:
            SettingsError: one is missing or makes no sense.
        """
        settings = Settings.from_env(environ)
        return cls(settings.redis_url, settings.key, service=environ.get("SIGNALBOX_SERVICE", "client"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._redis.aclose()

    async def cancel(
        self, task_id: str, *, reason: str = "", wait: float = 10.0, grace: float | None = None
    ) -> CancelResult:
        """End a task and return once it is proven; `grace`, from TERM to KILL, is by default the worker's own.

        Raises:
            UnknownTask, TaskAlreadyFinished, CannotCancel, StillAlive, NotProven: see `signalbox.errors`.
        """
        result = await self._commander.cancel(task_id, self._issuer(reason), wait=wait, grace=grace)
        return succeed_or_raise(result)

    async def allow(self, task_id: str, *, reason: str = "", wait: float = 10.0) -> AllowResult:
        """Let an id run again that was cancelled; hosts that are away learn of it when they return."""
        return await self._commander.allow(task_id, self._issuer(reason), wait=wait)

    async def cancel_many(
        self,
        task_ids: Sequence[str],
        *,
        reason: str = "",
        wait: float = 30.0,
        grace: float | None = None,
        on_progress: Progress | None = None,
    ) -> BulkResult:
        """End tasks; return when each has a verdict, or when the wait is over.

        `on_progress` is called with the tasks that are done and their total, a few times a second; it must not block.
        """
        return await self._commander.cancel_many(
            task_ids, self._issuer(reason), wait=wait, grace=grace, on_progress=on_progress
        )

    async def stop(self, *, reason: str = "", wait: float = 60.0, **options: Unpack[StopOptions]) -> ProcessesResult:
        """Stop workers and beat; `hosts` and `processes` name some of them, otherwise all are meant.

        `mode`, `timeout` and `redeliver` say what becomes of running tasks: see `StopOptions`.
        """
        return await self._commander.stop(self._issuer(reason), wait=wait, **options)

    async def start(self, *, reason: str = "", wait: float = 60.0, **targets: Unpack[Targets]) -> ProcessesResult:
        """Start workers and beat; `hosts` and `processes` name some of them, otherwise all that are configured."""
        return await self._commander.start(self._issuer(reason), wait=wait, **targets)

    async def restart(
        self, *, reason: str = "", wait: float = 600.0, **options: Unpack[StopOptions]
    ) -> ProcessesResult:
        """Restart workers and beat, one after the other over all hosts, with the options of `stop`.

        Without targets all that run are meant. The first process that does not come back ends the restart.
        """
        return await self._commander.restart(self._issuer(reason), wait=wait, **options)

    def _issuer(self, reason: str) -> Issuer:
        return Issuer(name=self._service, reason=reason)
