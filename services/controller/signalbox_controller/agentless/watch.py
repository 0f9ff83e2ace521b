"""Watch of the agentless workers of one application: a helper process, launched again whenever it ends."""

import asyncio
import logging
import socket
import subprocess
from collections.abc import Collection
from functools import partial

import msgspec

from signalbox.errors import UnreadableMessage
from signalbox.lines import encode_line
from signalbox.messages.commands import CancelTask
from signalbox.messages.events import TaskEvent
from signalbox.service import Backoff
from signalbox_controller.agentless import protocol
from signalbox_controller.agentless.open_tasks import OpenTasks
from signalbox_controller.agents.protocol import Ack, Numbered, decode_event
from signalbox_controller.config.specs import WatchSpec
from signalbox_controller.linux.accounts import look_up
from signalbox_controller.linux.helper import Helper
from signalbox_controller.logs.logfile import LogFile
from signalbox_controller.processes.context import HostContext
from signalbox_controller.state.outbox import Outbox

log = logging.getLogger(__name__)

#: Bytes of one line.
LINE_LIMIT = 1 << 20
#: Seconds that a watch may take to answer a revoke; Celery waits a second for the workers.
ANSWER_WITHIN = 4.0


class AgentlessWatch:
    """Launches the helper, publishes its events, and sends it revokes."""

    def __init__(self, spec: WatchSpec, context: HostContext, outbox: Outbox) -> None:
        self.spec = spec
        self.tasks = OpenTasks(context.launcher.state / f"watch-{spec.label}.json")
        self.log = LogFile(context.launcher.logs / f"watch-{spec.label}.log", context.logs)
        self._launcher = context.launcher
        self._reaper = context.reaper
        self._outbox = outbox
        self._agents: list[str] = []
        #: The node names of its workers, busy or idle.
        self.nodes: frozenset[str] = frozenset()
        self._writer: asyncio.StreamWriter | None = None
        #: Answers that are due, by command and task, as one command may be about many tasks.
        self._asked: dict[tuple[str, str], asyncio.Future[str]] = {}

    async def run(self) -> None:
        """Keep the helper running, until cancelled."""
        backoff = Backoff(first=1.0, most=60.0)
        while True:
            try:
                await self._once(backoff)
            except OSError as error:
                log.warning("The watch of %s cannot be run: %s", self.spec.label, error)
            await backoff.pause()

    def set_agents(self, agents: Collection[str]) -> None:
        """Exclude workers that have an agent."""
        nodes = sorted(agents)
        if nodes != self._agents:
            self._agents = nodes
            self._send(protocol.Agents(nodes=nodes))

    def send_revoke(self, command: CancelTask) -> bool:
        """Send a revoke; return whether the helper is connected."""
        return self._send(protocol.Revoke(command_id=command.command_id, task_id=command.task_id))

    async def revoke(self, command: CancelTask) -> str:
        """Revoke a task that one of the workers has; return in words what is known afterwards."""
        node, question = self.tasks.value[command.task_id].node, (command.command_id, command.task_id)
        answer = self._asked[question] = asyncio.get_running_loop().create_future()
        try:
            if self.send_revoke(command):
                return await asyncio.wait_for(answer, ANSWER_WITHIN)
        except TimeoutError:
            log.warning("The watch of %s did not answer in time", self.spec.label)
        finally:
            self._asked.pop(question, None)
        return f"its worker {node} has no agent of Signalbox, and could not be asked"

    def _send(self, line: Ack | protocol.Agents | protocol.Revoke) -> bool:
        if self._writer is None or self._writer.is_closing():
            return False
        self._writer.write(encode_line(line))
        return True

    async def _once(self, backoff: Backoff) -> None:
        await look_up([self.spec.user])
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                helper = Helper(self._launch(theirs), self._reaper)
        except OSError:
            ours.close()
            raise
        reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT)
        try:
            writer.write(encode_line(self._request()))
            self._writer = writer
            async for line in reader:
                backoff.reset()
                self._on_line(line)
                await self._outbox.wait_for_space()  # meanwhile the broker keeps the events
        except (OSError, ValueError) as error:
            log.warning("The connection to the watch of %s failed: %s", self.spec.label, error)
        finally:
            self._writer = None
            writer.close()
            helper.kill()  # it ends by itself when its socket closes, if the application lets it
            helper.forget()
        log.warning("The watch of %s ended; it is launched again. Its log is %s", self.spec.label, self.log.path)

    def _launch(self, line: socket.socket) -> subprocess.Popen[bytes]:
        with self.log.path.open("ab") as errors:
            module, end = ("-m", "signalbox_agent.agentless.watch"), line.fileno()
            return self._launcher.helper(self.spec, *module, stdin=end, stdout=end, stderr=errors)

    def _request(self) -> protocol.WatchRequest:
        return protocol.WatchRequest(
            app=self.spec.app,
            host=self._launcher.host,
            enable_events=self.spec.enable_events,
            lost_after=self.spec.lost_after,
            agents=self._agents,
            open=self.tasks.value,
        )

    def _on_line(self, data: bytes) -> None:
        try:
            line = protocol.decode(data)
            if isinstance(line, Numbered):
                self._event(line)
            elif isinstance(line, protocol.Nodes):
                self.nodes = frozenset(line.names)
            elif (answer := self._asked.get((line.command_id, line.task_id))) is not None and not answer.done():
                answer.set_result(line.detail)
        except UnreadableMessage as error:
            log.error("The watch of %s sent an unreadable line: %s", self.spec.label, error)  # noqa: TRY400

    def _event(self, line: Numbered) -> None:
        event = decode_event(line.event)
        if isinstance(event, TaskEvent) and event.certainty == "seen":  # the watch is told by the workers
            event = msgspec.structs.replace(event, certainty="told")
        self.tasks.apply(event)
        # The event gets no host: a node name proves none.
        self._outbox.put(event, kept=partial(self._acknowledge, line.seq))

    def _acknowledge(self, seq: int) -> None:
        self._send(Ack(seq=seq))
