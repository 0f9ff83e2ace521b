"""External workers of this host: launched by others, with our agent in them."""

import logging
import os
from collections.abc import Callable, Collection, Sequence

import msgspec

from signalbox.messages.receipts import ProcessReport
from signalbox.service import Jobs
from signalbox_agent.proc import Proc, boot_id
from signalbox_controller.agents.admission import ANOTHER_NAMESPACE
from signalbox_controller.agents.connection import Connection
from signalbox_controller.agents.protocol import Hello
from signalbox_controller.agents.session import Agent
from signalbox_controller.external.notes import Note, Notes, ended_unnoticed
from signalbox_controller.external.refused import RefusedWorker, RefusedWorkers, name_for
from signalbox_controller.external.worker import ExternalWorker
from signalbox_controller.linux.peers import Peer
from signalbox_controller.processes.context import HostContext

log = logging.getLogger(__name__)


class ExternalWorkers:
    """Admits external workers, and keeps them until they have ended."""

    def __init__(self, context: HostContext, notes: Notes) -> None:
        self._context = context
        self._notes = notes
        #: The names of our own processes.
        self.ours: Callable[[], Collection[str]] = tuple
        self._external: dict[str, ExternalWorker] = {}
        #: Those that may not join.
        self.refused = RefusedWorkers(context.host, context.publish)
        self._jobs = Jobs("workers launched by others")

    def open(self) -> None:
        """Wait for the workers that a former controller knew, and account for those that have ended since."""
        noted = dict(self._notes.value)
        for instance, note in {**noted, **ended_unnoticed(self._context.launcher.socket.parent, noted)}.items():
            if note.alive:
                self._add(instance, self._renamed(instance, note)).status.publish()
            else:
                gone = msgspec.structs.replace(note, proc=Proc(note.proc.pid, -1))
                self._add(instance, gone)

    def _renamed(self, instance: str, note: Note) -> Note:
        """Give it another name if the file has given its name to a process of ours."""
        if note.name not in self.ours():
            return note
        renamed = msgspec.structs.replace(note, name=name_for(note.node, note.proc.pid, {note.name, *self.ours()}))
        self._notes.note(instance, renamed)
        return renamed

    def detach(self) -> None:
        """Stop watching them."""
        for worker in self._external.values():
            worker.detach()

    def admit(self, connection: Connection, hello: Hello) -> Agent | RefusedWorker | None:
        """Admit a worker that we did not launch; return its agent, or what is shown of one that may not join."""
        why, proc = refusal(hello, connection.peer, uid=os.getuid()), connection.peer.proc
        if why or proc is None:
            return self.refused.refuse(connection, hello, why or "it is gone", self._taken())
        for former in [worker for worker in self._external.values() if worker.note.proc == proc]:
            self._external.pop(former.instance)
            self._notes.forget(former.instance)
            former.supersede()
        name = name_for(hello.node, hello.pid, self._taken())
        note = Note(name=name, node=hello.node, proc=proc, boot=boot_id())
        if name != name_for(hello.node, hello.pid, ()):
            log.warning(
                "%s (pid %d) has a name that is taken on this host: it is shown as %s", note.node, proc.pid, name
            )
        log.info("%s (%s, pid %d) was launched by others, and has joined", name, note.node, proc.pid)
        self._notes.note(hello.instance, note)
        return self._add(hello.instance, note).agent

    def select(self, names: Sequence[str] = ()) -> list[ExternalWorker]:
        """The external workers of these names; all of them when no name is given."""
        return [worker for worker in self._external.values() if not names or worker.note.name in names]

    def reports(self, names: Sequence[str] = ()) -> list[ProcessReport]:
        """The status of the external workers of these names, or of all, with those that may not join."""
        refused = (worker.status for worker in self.refused.all())
        others = [status.report() for status in refused if not names or status.name in names]
        return [worker.report() for worker in self.select(names)] + others

    def _taken(self) -> set[str]:
        """The names of this host's processes."""
        refused = {worker.status.name for worker in self.refused.all()}
        return {worker.note.name for worker in self._external.values()} | refused | set(self.ours())

    def _add(self, instance: str, note: Note) -> ExternalWorker:
        worker = self._external[instance] = ExternalWorker(instance, note, self._context)
        worker.watch()
        self._jobs.begin(self._remove_when_ended(worker))
        return worker

    async def _remove_when_ended(self, worker: ExternalWorker) -> None:
        await worker.ended.wait()
        self._external.pop(worker.instance, None)
        self._notes.forget(worker.instance)


def refusal(hello: Hello, peer: Peer, *, uid: int) -> str:
    """Why a worker is refused; empty when it is admitted.

    Args:
        hello: the first line of its agent.
        peer: its process, by the kernel.
        uid: the controller's own user.
    """
    if peer.uid not in {0, uid}:
        return f"it runs as user {peer.uid}; only workers of root and of the controller's own user ({uid}) may join"
    if peer.pid != hello.pid:
        return ANOTHER_NAMESPACE
    if not hello.node:
        return "it has no node name: only workers may join"
    return ""
