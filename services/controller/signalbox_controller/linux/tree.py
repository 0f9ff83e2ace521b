"""Who belongs together, also after a parent has died and the tree has come apart."""

from collections.abc import Iterable

from signalbox_controller.linux import procfs
from signalbox_controller.linux.procfs import Proc
from signalbox_controller.linux.reaper import Reaper


class Kin:
    """Some processes and all that descends from them; remembers whom it has seen."""

    def __init__(self) -> None:
        self._known: dict[Proc, None] = {}

    def look(self, roots: Iterable[Proc] = ()) -> list[Proc]:
        """Everyone that still can do something, in the order of acquaintance."""
        for root in (*roots, *self._known):
            if procfs.alive(root):
                self._known[root] = None
                self._known.update(dict.fromkeys(procfs.descendants(root.pid)))
        self._known = {proc: None for proc in self._known if procfs.alive(proc)}
        return list(self._known)


class Tree:
    """A main process, which leads a session, and its descendants."""

    def __init__(self, main: Proc, reaper: Reaper, *, ours: bool, gone: str = "") -> None:
        """`ours` tells that we launched it, so that its orphans come to us and not to pid 1.

        `gone` is the instance of a main process that we have never seen alive. Its pid, and with it its session, may
        have been given to somebody else long ago; then only the environment tells what belonged to it.
        """
        self.main = main
        self.ours = ours
        self._gone = gone
        self._reaper = reaper
        self._kin = Kin()

    def look(self) -> list[Proc]:
        """Everything of the tree that still lives, the main process first."""
        roots = self._of_the_session()
        return self._kin.look(roots if self._gone else [self.main, *roots])

    def rest(self, tasks: Iterable[str] = ()) -> list[Proc]:
        """What of the tree is left once the main process is gone, with what these tasks had launched."""
        launched = launched_by(frozenset(tasks), self._reaper, ours=self.ours)
        found = self._kin.look([*self._of_the_session(), *launched])
        return [proc for proc in found if proc != self.main]

    def _of_the_session(self) -> list[Proc]:
        if self._gone:
            return procfs.bearing(procfs.INSTANCE_VARIABLE, self._gone)
        pids = (proc.pid for proc in self._reaper.orphans()) if self.ours else procfs.pids()
        seen = (procfs.stat(pid) for pid in pids)
        return [
            one.proc
            for one in seen
            if one is not None and one.session == self.main.pid and one.proc.started >= self.main.started
        ]


def launched_by(tasks: frozenset[str], reaper: Reaper, *, ours: bool) -> list[Proc]:
    """What these tasks had launched and has lost its parent since, known by the variable that the agent sets.

    Orphans of a worker that we did not launch ourselves went to pid 1: all of the host is searched for them.
    """
    if not tasks:
        return []
    pids = (proc.pid for proc in reaper.orphans()) if ours else procfs.pids()
    found = (procfs.identify(pid) for pid in pids if procfs.variable(pid, procfs.TASK_VARIABLE) in tasks)
    return [proc for proc in found if proc is not None]
