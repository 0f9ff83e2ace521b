"""All workers of this host that others launched and that have our agent in them."""

import logging
import os
from collections.abc import Collection, Iterable, Sequence

import msgspec

from signalbox.messages.events import ProcessChanged
from signalbox.service import Jobs
from signalbox_controller.agents.connection import Connection
from signalbox_controller.agents.protocol import Hello
from signalbox_controller.agents.session import Agent
from signalbox_controller.external.admission import name_for, refusal
from signalbox_controller.external.notes import Note, Notes, missed
from signalbox_controller.external.worker import Guest
from signalbox_controller.linux import procfs
from signalbox_controller.linux.procfs import Proc
from signalbox_controller.processes.context import HostContext

log = logging.getLogger(__name__)

#: Refusals that are remembered, so that one that comes again every two seconds is told once.
REMEMBERED = 1000


class Guests:
    """Lets them in, and keeps them until they are gone."""

    def __init__(self, context: HostContext, notes: Notes, configured: Collection[str]) -> None:
        """`configured` are the names of our own processes."""
        self._context = context
        self._notes = notes
        self._configured = frozenset(configured)
        self._guests: dict[str, Guest] = {}
        self._refused: dict[int, None] = {}
        self._jobs = Jobs("workers launched by others")

    def open(self) -> None:
        """Wait for those that were here before, and account for those that have ended since."""
        noted = dict(self._notes.value)
        for instance, note in {**noted, **missed(self._context.launcher.socket.parent, noted)}.items():
            if note.alive:
                self._take_in(instance, note).publish()
            else:
                gone = msgspec.structs.replace(note, proc=Proc(note.proc.pid, -1))
                self._take_in(instance, gone)

    def leave(self) -> None:
        """Let them be."""
        for guest in self._guests.values():
            guest.leave()

    def admit(self, connection: Connection, hello: Hello) -> Agent | None:
        """Who comes as a guest: its agent, or none when it may not."""
        peer = connection.peer()
        why = refusal(hello, peer, uid=os.getuid())
        proc = procfs.identify(hello.pid)
        if why or proc is None:
            self._refuse(hello, why or "it is gone")
            return None
        for former in self._of_the_process(proc):
            self._guests.pop(former.instance)
            self._notes.forget(former.instance)
            former.supersede()
        taken = {guest.note.name for guest in self._guests.values()} | self._configured
        name = name_for(hello.node, hello.pid, taken)
        note = Note(name=name, node=hello.node, proc=proc, boot=procfs.boot_id())
        if name != name_for(hello.node, hello.pid, ()):
            log.warning(
                "%s (pid %d) has a name that is taken on this host: it is shown as %s", note.node, proc.pid, name
            )
        log.info("%s (%s, pid %d) was launched by others, and has joined", name, note.node, proc.pid)
        self._notes.note(hello.instance, note)
        return self._take_in(hello.instance, note).agent

    def select(self, names: Sequence[str]) -> list[Guest]:
        """Those of these names; all of them when no name is given."""
        return [guest for guest in self._guests.values() if not names or guest.note.name in names]

    def status(self) -> tuple[ProcessChanged, ...]:
        """How they are."""
        return tuple(guest.event() for guest in self._guests.values())

    @property
    def complete(self) -> bool:
        """Whether `running` is all: every one has told what it runs."""
        return all(guest.agent.complete for guest in self._guests.values())

    def running(self) -> Iterable[tuple[str, str]]:
        """The tasks that run in them at this moment, with their runs."""
        runs = (run for guest in self._guests.values() for run in guest.agent.runs.running.values())
        return ((run.task_id, run.run) for run in runs)

    def _of_the_process(self, proc: Proc) -> list[Guest]:
        return [guest for guest in self._guests.values() if guest.note.proc == proc]

    def _take_in(self, instance: str, note: Note) -> Guest:
        guest = self._guests[instance] = Guest(instance, note, self._context)
        guest.watch()
        self._jobs.begin(self._see_off(guest))
        return guest

    async def _see_off(self, guest: Guest) -> None:
        await guest.buried.wait()
        self._guests.pop(guest.instance, None)
        self._notes.forget(guest.instance)

    def _refuse(self, hello: Hello, why: str) -> None:
        if hello.pid not in self._refused:
            while len(self._refused) >= REMEMBERED:
                del self._refused[next(iter(self._refused))]
            self._refused[hello.pid] = None
            log.warning("%s (pid %d) was launched by others, and may not join: %s", hello.node, hello.pid, why)
