"""Notes on external workers, on disk: a restarted controller accounts for those that ended while it was away."""

import contextlib
from collections.abc import Collection
from pathlib import Path

import msgspec

from signalbox_agent.link.spool import SUFFIX
from signalbox_agent.proc import Proc, boot_id, ended
from signalbox_controller.agents import spool
from signalbox_controller.agents.protocol import Hello
from signalbox_controller.state.remembered import RememberedTable


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One external worker."""

    #: Its name on this host.
    name: str
    #: Celery's name for it.
    node: str
    proc: Proc
    #: The boot of the machine in which it was started.
    boot: str

    @property
    def alive(self) -> bool:
        """Whether its process is alive."""
        return self.boot == boot_id() and not ended(self.proc)


class Notes(RememberedTable[Note]):
    """Notes by instance. No fsync: a power cut that loses them ends the workers, too."""

    shape = dict[str, Note]
    meaning = "which external workers were here"


def ended_unnoticed(folder: Path, known: Collection[str]) -> dict[str, Note]:
    """External workers that began and ended without any controller, from the spools of their agents."""
    found: dict[str, Note] = {}
    for path in folder.glob(f"*{SUFFIX}"):
        instance = path.stem
        if instance in known:
            continue
        hello = next((line for line in spool.read(path) if isinstance(line, Hello) and line.guest), None)
        if hello is not None and (note := _ended_unnoticed(instance, hello)) is not None:
            found[instance] = note
    return found


def _ended_unnoticed(instance: str, hello: Hello) -> Note | None:
    """The note from the parts of an instance id (`signalbox_agent.guest`); None while it lives, as it will connect."""
    with contextlib.suppress(ValueError):
        pid, ticks, _ = instance.split("-")
        proc = Proc(int(pid), int(ticks))
        if ended(proc):
            return Note(name=hello.node.partition("@")[0], node=hello.node, proc=proc, boot="")
    return None
