"""Watch of the queues that a worker consumes: by its command line, its application, or remote control."""

from __future__ import annotations

from typing import Any

from signalbox_agent.link.link import Link
from signalbox_agent.link.loop import Loop
from signalbox_agent.safety import guarded
from signalbox_agent.tasks.texts import clean

#: Seconds between two looks: remote control may add a queue, or cancel one, at any time.
EVERY = 1.0
#: Queues that are reported.
LIMIT = 200


class QueueWatch:
    """Reports the names whenever they change."""

    def __init__(self, loop: Loop, link: Link) -> None:
        self._loop = loop
        self._link = link
        #: Celery's, which is another one for each connection to the broker.
        self._consumer: Any = None
        self._latest: list[str] = []

    def take(self, consumer: Any) -> None:
        """Watch this consumer, which has just been given its queues."""
        first = self._consumer is None
        self._consumer = consumer
        with self._loop.lock:
            self._look()
            if first:
                self._loop.call_later(EVERY, self._look_again)

    def names(self) -> list[str]:
        """The queues as kombu consumes them; none while there is no connection to the broker."""
        tasks = getattr(self._consumer, "task_consumer", None)
        return [clean(queue.name).replace("\n", " ") for queue in tasks.queues][:LIMIT] if tasks is not None else []

    def _look_again(self) -> None:
        self._loop.call_later(EVERY, self._look_again)
        self._look()

    @guarded
    def _look(self) -> None:
        names = self.names()
        if names and names != self._latest:
            self._latest = names
            self._link.send({"type": "queues", "names": names})
