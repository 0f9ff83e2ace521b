"""Process trees: which processes belong together, also after a parent has died and the tree has come apart."""

from collections.abc import Iterable

from signalbox.messages.base import Evidence
from signalbox_agent.cgroup import Cgroup
from signalbox_agent.proc import Proc, descendants, ended, identify, pids, stat, variable
from signalbox_controller.linux.procfs import INSTANCE_VARIABLE, TASK_VARIABLE, bearing, in_our_namespace
from signalbox_controller.linux.reaper import Reaper


class Descendants:
    """Some processes and all that descends from them; remembers all that it has found."""

    def __init__(self) -> None:
        self._members: dict[Proc, None] = {}

    def find(self, roots: Iterable[Proc] = ()) -> list[Proc]:
        """All of them that have not ended, roots first."""
        for root in (*roots, *self._members):
            if not ended(root):
                self._members[root] = None
                self._members.update(dict.fromkeys(descendants([root.pid])))
        self._members = {proc: None for proc in self._members if not ended(proc)}
        return list(self._members)


class Tree:
    """A main process, which leads a session, and its descendants."""

    def __init__(self, main: Proc, reaper: Reaper, *, ours: bool, gone: str = "", cgroup: Cgroup | None = None) -> None:
        """`ours` tells that we launched it, so that its orphans come to us and not to pid 1.

        `gone` is the instance of a main process that we have never seen alive. Its pid, and with it its session, may
        have been given to somebody else long ago; then only the environment tells what belonged to it, and the cgroup.
        """
        self.main = main
        self.ours = ours
        #: That of the launch, if it has one.
        self.cgroup = cgroup
        self._gone = gone
        self._reaper = reaper
        self._descendants = Descendants()

    def find(self) -> list[Proc]:
        """Everything of the tree that has not ended, the main process first."""
        roots = self._of_the_session()
        return self._descendants.find(roots if self._gone else [self.main, *roots])

    def rest(self, tasks: Iterable[str] = ()) -> list[Proc]:
        """What of the tree is left once the main process is gone, with what these tasks had launched."""
        launched = launched_by(frozenset(tasks), self._reaper, ours=self.ours)
        found = self._descendants.find([*self._of_the_session(), *launched])
        return [proc for proc in found if proc != self.main]

    @property
    def cgroups(self) -> list[Cgroup]:
        """The cgroups that hold it: that of the launch, or none."""
        return [self.cgroup] if self.cgroup else []

    @property
    def evidence(self) -> Evidence:
        """What proves its end, as long as it runs: the kernel, if the main process is in the cgroup of the launch."""
        return "cgroup" if self.cgroup is not None and self.cgroup.has(self.main.pid) else "search"

    def _of_the_session(self) -> list[Proc]:
        contained = self.cgroup.procs() if self.cgroup else []
        if self._gone:
            return [*contained, *bearing(INSTANCE_VARIABLE, self._gone)]
        candidates = (proc.pid for proc in self._reaper.orphans()) if self.ours else pids()
        seen = (stat(pid) for pid in candidates)
        return contained + [
            one.proc
            for one in seen
            if one is not None and one.session == self.main.pid and one.proc.started >= self.main.started
        ]


def launched_by(tasks: frozenset[str], reaper: Reaper, *, ours: bool) -> list[Proc]:
    """What these tasks had launched and has lost its parent since, known by the variable that the agent sets.

    Orphans of a worker that we did not launch ourselves went to pid 1: all of our pid namespace is searched for them. A
    container below us may run the same task once more.
    """
    if not tasks:
        return []
    candidates = (proc.pid for proc in reaper.orphans()) if ours else filter(in_our_namespace, pids())
    found = (identify(pid) for pid in candidates if variable(pid, TASK_VARIABLE) in tasks)
    return [proc for proc in found if proc is not None]
