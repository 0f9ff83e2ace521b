"""Client: the client of other services for code that does not await; each method of AsyncClient, run to its end."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from signalbox.client.asynchronous import AsyncClient

P = ParamSpec("P")
T = TypeVar("T")


def _waiting(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Client", P], T]:
    """The same method, with its signature and docstring, as one that blocks until its result is there."""

    @wraps(method)
    def call(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(method(self.awaited, *args, **kwargs))

    return call


class Client:
    """Client with an event loop of its own, in a thread: usable from any code, also inside another loop.

    `on_progress` of `cancel_many` is called in that thread.
    """

    def __init__(self, client: AsyncClient) -> None:
        #: The client that carries out each method.
        self.awaited = client
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="signalbox-client", daemon=True)
        self._thread.start()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """As AsyncClient.from_env."""
        return cls(AsyncClient.from_env(environ))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back and end the thread; a second call does nothing."""
        if self._loop.is_closed():
            return
        self.run(self.awaited.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5.0)
        self._loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await a coroutine in the client's own loop, and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    cancel = _waiting(AsyncClient.cancel)
    cancel_many = _waiting(AsyncClient.cancel_many)
    allow = _waiting(AsyncClient.allow)
    stop = _waiting(AsyncClient.stop)
    start = _waiting(AsyncClient.start)
    restart = _waiting(AsyncClient.restart)
