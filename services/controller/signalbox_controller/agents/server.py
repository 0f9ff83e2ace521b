"""The server of the socket that the agents of this host connect to."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from signalbox_agent.cgroup import Cgroup
from signalbox_controller.agents.admission import checked, speaks_for
from signalbox_controller.agents.child_deaths import ChildDeaths
from signalbox_controller.agents.connection import Connection, Listener
from signalbox_controller.agents.liveness import EVERY
from signalbox_controller.agents.protocol import PROTOCOL, Hello, Refused
from signalbox_controller.agents.session import Agent, Supervisor
from signalbox_controller.linux.peers import Peer
from signalbox_controller.state.outbox import Outbox

log = logging.getLogger(__name__)

#: Processes that are logged because they spoke in the name of another one.
IMPOSTORS = 1000
#: Seconds between two looks whether all workers are connected.
POLL = 0.02

#: Answers the agent of a worker that we did not launch; when it may not join, who waits for its end, if anybody does.
AdmitExternal = Callable[[Connection, Hello], Agent | Listener | None]


class Agents:
    """The agents of all processes that we launched, and of those that joined us, by instance."""

    def __init__(
        self,
        host: str,
        outbox: Outbox,
        deaths: ChildDeaths,
        cancelled: Callable[[], Sequence[str]],
        allowed: Callable[[], Sequence[str]] = list,
    ) -> None:
        """`cancelled` answers the ids that must never run, `allowed` those that may run again."""
        self._host = host
        self._outbox = outbox
        self._deaths = deaths
        self._cancelled = cancelled
        self._allowed = allowed
        self._agents: dict[str, Agent] = {}
        #: Decides about workers that somebody else launched.
        self.admit_external: AdmitExternal = lambda _connection, _hello: None
        self._impostors: set[tuple[str, Peer]] = set()
        outbox.on_full = self._hold
        self._full = False

    def expect(
        self,
        instance: str,
        name: str,
        supervisor: Supervisor,
        *,
        adopted: bool = False,
        cgroup: Cgroup | None = None,
    ) -> Agent:
        """Let the agent of this launch in when it comes; see `Agent`."""
        agent = Agent(self._host, name, self._outbox, self._deaths, supervisor, adopted=adopted, cgroup=cgroup)
        self._agents[instance] = agent
        return agent

    def retire(self, instance: str) -> None:
        """The process is gone; nobody may speak in its name any more."""
        self._agents.pop(instance, None)

    async def check(self) -> None:
        """Look whether those who are connected answer, for ever."""
        while True:
            await asyncio.sleep(EVERY)
            # An answer may wait to be read.
            for agent in [] if self._full else list(self._agents.values()):
                agent.check()

    def workers(self) -> list[Agent]:
        """Those who have to be asked about a task: connected, or expected back."""
        return [agent for agent in self._agents.values() if agent.answers]

    def refuse(self, task_ids: Sequence[str]) -> None:
        """Have every worker refuse these, drop what waits of them, and end what runs."""
        for agent in self.workers():
            agent.refuse(task_ids)

    def allow(self, task_ids: Sequence[str]) -> None:
        """Have every worker run these again, should they come."""
        for agent in self.workers():
            agent.allow(task_ids)

    async def silent(self, within: float) -> list[str]:
        """Wait for all workers to be connected; return the names of those that are not after so many seconds."""
        clock = asyncio.get_running_loop().time
        until = clock() + within
        while (silent := [agent.name for agent in self.workers() if not agent.audible]) and clock() < until:  # noqa: ASYNC110
            await asyncio.sleep(POLL)
        return silent

    @asynccontextmanager
    async def listening(self, path: Path, users: Collection[int] | None = None) -> AsyncIterator[None]:
        """Take connections until the body ends; the path stays, for agents to find the next controller at.

        With `users` anybody may connect, and is hung up on unless the kernel says that it is one of these.
        """
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - before anything else runs
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: Connection(self._admit, users), path, backlog=128)
        if users is not None:
            path.chmod(0o666)  # noqa: ASYNC240
        try:
            yield
        finally:
            server.close()
            for agent in self._agents.values():
                agent.close()

    def _admit(self, connection: Connection, hello: Hello) -> Listener | None:
        admitted: Agent | Listener | None = self._agents.get(hello.instance)
        if isinstance(admitted, Agent) and not speaks_for(admitted.main, connection.peer):
            self._log_impostor(admitted, connection.peer)
            return None
        if admitted is None and hello.guest:
            admitted = self.admit_external(connection, hello)
        elif admitted is None:
            log.warning("Pid %d claims to be instance %s, which we did not launch: refused", hello.pid, hello.instance)
        return self._greet(admitted, connection, hello) if isinstance(admitted, Agent) else admitted

    def _greet(self, agent: Agent, connection: Connection, hello: Hello) -> Agent | None:
        if hello.protocol != PROTOCOL:
            log.error("The agent of %s speaks protocol %d, we %d: refused", agent.name, hello.protocol, PROTOCOL)
            return None
        hello = checked(hello, connection.peer, agent.main)
        if hello.error:
            connection.send(Refused(why=hello.error))
        agent.greet(connection, hello, self._cancelled(), self._allowed())
        agent.hold(self._full)
        return agent

    def _log_impostor(self, agent: Agent, peer: Peer) -> None:
        """Log it once: whoever it is may come again and again."""
        if (agent.name, peer) not in self._impostors and len(self._impostors) < IMPOSTORS:
            self._impostors.add((agent.name, peer))
            text = "Pid %d of user %d speaks in the name of %s, and is no process of it: refused"
            log.warning(text, peer.pid, peer.uid, agent.name)

    def _hold(self, full: bool) -> None:
        self._full = full
        for agent in self._agents.values():
            agent.hold(full)
