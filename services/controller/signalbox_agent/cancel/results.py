"""Results of tasks that we ended, stored by a thread: a result backend that hangs holds up nothing else.

Celery stores them on its own loop, and a backend that takes connections and never answers keeps that loop for minutes:
no task would be handed out, and no cancel or stop be answered.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from signalbox_agent.safety import complain, logger

Store = Callable[[], object]

#: Results that wait at most; further ones are given up.
LIMIT = 10_000
#: Seconds after which a result that waits is given up: its id may have been used again.
DEADLINE = 60.0
#: Seconds without work after which the thread ends.
IDLE = 1.0
#: Seconds for which a fork waits for the store that is under way; it takes milliseconds, unless the backend hangs.
FORK = 1.0


class ResultWriter:
    """Stores results in their order, from one thread that lives while there is something to do."""

    def __init__(self, limit: int = LIMIT, deadline: float = DEADLINE) -> None:
        #: Whether to store without a thread: where that would be a greenlet, and holds up nobody.
        self.at_once = False
        self._limit = limit
        self._deadline = deadline
        self._waiting: deque[tuple[float, Store]] = deque()
        #: Reentrant: a signal handler of Celery's may come here, too.
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        #: Whether a store is under way, and whether a fork has waited for it in vain.
        self._storing = self._hangs = False
        self._given_up = False

    def put(self, store: Store) -> None:
        """Have `store` called, after those that came before."""
        if self.at_once:
            _call(store)
            return
        with self._changed:
            if len(self._waiting) >= self._limit:
                self._give_up()
                return
            self._waiting.append((monotonic() + self._deadline, store))
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="signalbox-results", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Wait for at most so long until all are stored, and answer whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def hold(self) -> None:
        """Before a fork: store nothing until it is over.

        A child inherits every lock that is held at its fork, and would wait for it for ever: kombu's cached properties
        have one each. A store that hangs waits for its backend, and holds none; it is waited for once.
        """
        self._changed.acquire()
        if self._storing and not self._hangs:
            self._hangs = not self._changed.wait_for(lambda: not self._storing, FORK)

    def release(self) -> None:
        """After a fork, in the parent: go on."""
        self._changed.release()

    def abandon(self) -> None:
        """After a fork, in the child: the results are the parent's business."""
        self._changed = threading.Condition()
        self._waiting.clear()
        self._thread = None
        self._storing = self._hangs = False

    def _serve(self) -> None:
        while (entry := self._next()) is not None:
            due, store = entry
            if monotonic() < due:
                _call(store)
            else:
                self._give_up()
            with self._changed:
                self._waiting.popleft()
                self._storing = self._hangs = False
                self._changed.notify_all()

    def _next(self) -> tuple[float, Store] | None:
        """The first that waits, which it does until it is stored; None when the thread has to end."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._waiting), IDLE):
                self._thread = None
                return None
            self._storing = True
            return self._waiting[0]

    def _give_up(self) -> None:
        if not self._given_up:
            self._given_up = True
            logger.warning(
                "Signalbox: the result backend does not answer; results of cancelled tasks are not stored in it"
            )


def _call(store: Store) -> None:
    try:
        store()
    except Exception:  # noqa: BLE001 - see safety
        complain("the result of a task that was cancelled")
