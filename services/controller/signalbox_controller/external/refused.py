"""Workers that have the agent and may not join: each is shown with the reason for as long as its connection lasts."""

import asyncio
import logging
from collections.abc import Callable, Collection

from signalbox.messages.events import Event
from signalbox_controller.agents.connection import Connection
from signalbox_controller.agents.protocol import AgentLine, Hello, Refused
from signalbox_controller.processes.status import Identity, ProcessStatus

log = logging.getLogger(__name__)

#: Workers that are shown at the same time; of more only the log tells.
SHOWN = 50
#: Seconds without a connection after which one has ended; an older agent hangs up, and comes again every two seconds.
GONE_AFTER = 10.0


class RefusedWorker:
    """One of them; its connection is held open, so that its end is seen."""

    def __init__(self, status: ProcessStatus, why: str, gone: Callable[["RefusedWorker"], None]) -> None:
        self.status = status
        self.why = why
        self._gone = gone
        self._connections: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, connection: Connection) -> None:
        """Take a connection, and have the worker log the reason."""
        self._connections.add(connection)
        if self._timer is not None:
            self._timer.cancel()
        connection.send(Refused(why=self.why))

    def handle_line(self, line: AgentLine) -> None:
        """Whatever it reports is not believed."""

    def on_disconnect(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._timer = asyncio.get_running_loop().call_later(GONE_AFTER, self._gone, self)


class RefusedWorkers:
    """The workers of this host that may not join, by node name and reason."""

    def __init__(self, host: str, publish: Callable[[Event], None]) -> None:
        self._host = host
        self._publish = publish
        self._refused: dict[tuple[str, str], RefusedWorker] = {}

    def all(self) -> list[RefusedWorker]:
        """Those that live, as far as is known."""
        return list(self._refused.values())

    def refuse(self, connection: Connection, hello: Hello, why: str, taken: Collection[str]) -> RefusedWorker | None:
        """Refuse a worker, with the reason; None where there are too many to show them."""
        pid = connection.peer.pid
        worker = self._refused.get((hello.node, why))
        if worker is None:
            log.warning("%s (pid %d) was launched by others, and may not join: %s", hello.node, pid or hello.pid, why)
            if len(self._refused) >= SHOWN:
                connection.send(Refused(why=why))
                return None
            worker = self._refused[hello.node, why] = self._show(hello, pid, why, taken)
        worker.take(connection)
        return worker

    def _show(self, hello: Hello, pid: int, why: str, taken: Collection[str]) -> RefusedWorker:
        names = {*taken, *(one.status.name for one in self._refused.values())}
        identity = Identity(
            name=name_for(hello.node or hello.kind, hello.pid, names),
            kind="worker",
            node=hello.node,
            host=self._host,
            guest=True,
        )
        status = ProcessStatus(identity, "running", self._publish)
        status.enter("unknown")
        status.message, status.pid = f"has not joined, so what it runs is not seen: {why}", pid or None
        status.publish()
        return RefusedWorker(status, why, self._forget)

    def _forget(self, worker: RefusedWorker) -> None:
        for key in [key for key, one in self._refused.items() if one is worker]:
            del self._refused[key]
        status = worker.status
        status.enter("stopped")
        status.desired, status.pid, status.message = "stopped", None, "ended; it had not joined"
        status.publish()


def name_for(node: str, pid: int, taken: Collection[str]) -> str:
    """The name of a worker on this host: the first half of its node name, with its pid when that name is taken."""
    name = node.partition("@")[0]
    return f"{name}-{pid}" if name in taken else name
