"""Which guests there are, on disk, so that a restarted controller accounts for those that end meanwhile."""

import contextlib
from collections.abc import Collection
from pathlib import Path

import msgspec

from signalbox_controller.agents import spool
from signalbox_controller.agents.protocol import Hello
from signalbox_controller.linux import procfs
from signalbox_controller.linux.procfs import Proc
from signalbox_controller.state.remembered import RememberedTable


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One guest."""

    #: As people here call it.
    name: str
    #: Celery's name for it.
    node: str
    proc: Proc
    #: The boot of the machine that the process belongs to.
    boot: str

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        return self.boot == procfs.boot_id() and procfs.alive(self.proc)


class Notes(RememberedTable[Note]):
    """Guests by instance. No fsync: whatever makes the disk forget them ends them, too."""

    def __init__(self, path: Path) -> None:
        """Read the file, where there is one.

        Raises:
            StateUnreadable: it is damaged.
        """
        super().__init__(path, dict[str, Note], "which workers of others were here")


def missed(folder: Path, known: Collection[str]) -> dict[str, Note]:
    """Workers that came and went while no controller was here, by what they wrote down beside its socket."""
    found: dict[str, Note] = {}
    for path in folder.glob("*.diary"):
        instance = path.stem
        if instance in known:
            continue
        hello = next((line for line in spool.read(path) if isinstance(line, Hello) and line.guest), None)
        if hello is not None and (note := _missed(instance, hello)) is not None:
            found[instance] = note
    return found


def _missed(instance: str, hello: Hello) -> Note | None:
    """What the id of a guest tells (`signalbox_agent.guest`); none while it lives: it will come by itself."""
    with contextlib.suppress(ValueError):
        pid, ticks, _ = instance.split("-")
        proc = Proc(int(pid), int(ticks))
        if not procfs.alive(proc):
            return Note(name=hello.node.partition("@")[0], node=hello.node, proc=proc, boot="")
    return None
