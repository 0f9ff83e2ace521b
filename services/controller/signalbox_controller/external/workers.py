"""External workers of this host: launched by others, with our agent in them."""

import logging
import os
from collections.abc import Collection, Sequence

import msgspec

from signalbox.service import Jobs
from signalbox_agent.proc import Proc, boot_id, identify
from signalbox_controller.agents.connection import Connection
from signalbox_controller.agents.protocol import Hello
from signalbox_controller.agents.session import Agent
from signalbox_controller.external.admission import name_for, refusal
from signalbox_controller.external.notes import Note, Notes, ended_unnoticed
from signalbox_controller.external.worker import ExternalWorker
from signalbox_controller.processes.context import HostContext

log = logging.getLogger(__name__)

#: Pids whose refusal is remembered: a refused worker comes again every two seconds, and is logged once.
REMEMBERED = 1000


class ExternalWorkers:
    """Admits external workers, and keeps them until they have ended."""

    def __init__(self, context: HostContext, notes: Notes, configured: Collection[str]) -> None:
        """`configured` are the names of our own processes."""
        self._context = context
        self._notes = notes
        self._configured = frozenset(configured)
        self._external: dict[str, ExternalWorker] = {}
        self._refused: dict[int, None] = {}
        self._jobs = Jobs("workers launched by others")

    def open(self) -> None:
        """Wait for the workers that a former controller knew, and account for those that have ended since."""
        noted = dict(self._notes.value)
        for instance, note in {**noted, **ended_unnoticed(self._context.launcher.socket.parent, noted)}.items():
            if note.alive:
                self._add(instance, note).status.publish()
            else:
                gone = msgspec.structs.replace(note, proc=Proc(note.proc.pid, -1))
                self._add(instance, gone)

    def detach(self) -> None:
        """Stop watching them."""
        for worker in self._external.values():
            worker.detach()

    def admit(self, connection: Connection, hello: Hello) -> Agent | None:
        """Admit a worker that we did not launch; return its agent, or None when it is refused."""
        peer = connection.peer()
        why = refusal(hello, peer, uid=os.getuid())
        proc = identify(hello.pid)
        if why or proc is None:
            self._refuse(hello, why or "it is gone")
            return None
        for former in self._of_the_process(proc):
            self._external.pop(former.instance)
            self._notes.forget(former.instance)
            former.supersede()
        taken = {worker.note.name for worker in self._external.values()} | self._configured
        name = name_for(hello.node, hello.pid, taken)
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

    def _of_the_process(self, proc: Proc) -> list[ExternalWorker]:
        return [worker for worker in self._external.values() if worker.note.proc == proc]

    def _add(self, instance: str, note: Note) -> ExternalWorker:
        worker = self._external[instance] = ExternalWorker(instance, note, self._context)
        worker.watch()
        self._jobs.begin(self._remove_when_ended(worker))
        return worker

    async def _remove_when_ended(self, worker: ExternalWorker) -> None:
        await worker.ended.wait()
        self._external.pop(worker.instance, None)
        self._notes.forget(worker.instance)

    def _refuse(self, hello: Hello, why: str) -> None:
        if hello.pid not in self._refused:
            while len(self._refused) >= REMEMBERED:
                del self._refused[next(iter(self._refused))]
            self._refused[hello.pid] = None
            log.warning("%s (pid %d) was launched by others, and may not join: %s", hello.node, hello.pid, why)
