"""The client of other services, for code that does not await."""

import asyncio
import os
import threading
from collections.abc import Coroutine, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from signalbox.client.asynchronous import AsyncClient
from signalbox.client.bulk import Progress
from signalbox.client.results import BulkResult, CancelResult, ProcessesResult

T = TypeVar("T")


class Client:
    """AsyncClient with an event loop of its own, in a thread: usable from any code, also inside another loop."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="signalbox-client", daemon=True)
        self._thread.start()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """As AsyncClient.from_env."""
        return cls(AsyncClient.from_env(environ))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back and end the thread; a second call does nothing."""
        if self._loop.is_closed():
            return
        self._wait(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5.0)
        self._loop.close()

    def cancel(self, task_id: str, *, reason: str = "", wait: float = 10.0, grace: float | None = None) -> CancelResult:
        """As AsyncClient.cancel."""
        return self._wait(self._client.cancel(task_id, reason=reason, wait=wait, grace=grace))

    def cancel_many(
        self,
        task_ids: Sequence[str],
        *,
        reason: str = "",
        wait: float = 30.0,
        grace: float | None = None,
        on_progress: Progress | None = None,
    ) -> BulkResult:
        """As AsyncClient.cancel_many; `on_progress` is called in the client's own thread."""
        return self._wait(
            self._client.cancel_many(task_ids, reason=reason, wait=wait, grace=grace, on_progress=on_progress)
        )

    def stop(
        self,
        *,
        hosts: Sequence[str] = (),
        processes: Sequence[str] = (),
        mode: Literal["graceful", "immediate"] = "graceful",
        timeout: float | None = None,
        redeliver: bool = False,
        reason: str = "",
        wait: float = 60.0,
    ) -> ProcessesResult:
        """As AsyncClient.stop."""
        return self._wait(
            self._client.stop(
                hosts=hosts,
                processes=processes,
                mode=mode,
                timeout=timeout,
                redeliver=redeliver,
                reason=reason,
                wait=wait,
            )
        )

    def start(
        self, *, hosts: Sequence[str] = (), processes: Sequence[str] = (), reason: str = "", wait: float = 60.0
    ) -> ProcessesResult:
        """As AsyncClient.start."""
        return self._wait(self._client.start(hosts=hosts, processes=processes, reason=reason, wait=wait))

    def restart(
        self,
        *,
        hosts: Sequence[str] = (),
        processes: Sequence[str] = (),
        mode: Literal["graceful", "immediate"] = "graceful",
        timeout: float | None = None,
        redeliver: bool = False,
        reason: str = "",
        wait: float = 600.0,
    ) -> ProcessesResult:
        """As AsyncClient.restart."""
        return self._wait(
            self._client.restart(
                hosts=hosts,
                processes=processes,
                mode=mode,
                timeout=timeout,
                redeliver=redeliver,
                reason=reason,
                wait=wait,
            )
        )

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
