"""The processes in the cgroup of a pool child: all that its present task has started, however they hide."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from signalbox_agent.cancel.prefork.descendants import Descendants
from signalbox_agent.cgroup import Cgroup
from signalbox_agent.link.loop import Loop
from signalbox_agent.proc import Proc


class Contained(Descendants):
    """The same as `Descendants`; the kernel answers, and nothing has to be searched."""

    def __init__(self, cgroup: Cgroup, root: Proc, loop: Loop, changed: Callable[[], None]) -> None:
        super().__init__(root, loop, changed)
        self._cgroup = cgroup
        self.cgroup = cgroup.name

    def _find(self, *, with_root: bool) -> Iterable[Proc]:  # noqa: ARG002 - the root is no condition
        return self._cgroup.procs()

    def left(self, *, root_gone: bool) -> int:
        """Without the root: what the kernel says is left, be it known by its pid or not."""
        if not root_gone:
            return super().left(root_gone=root_gone)
        if not self._cgroup.populated:
            return 0
        self.refresh(with_root=False)
        return max(1, super().left(root_gone=root_gone))

    @property
    def unwatched(self) -> bool:
        """Whether something lives in it that no descriptor would show the end of."""
        return super().unwatched or (self._cgroup.populated and not self.alive())

    def hold(self, *, with_root: bool) -> None:
        """Nothing has to be stopped before a kill that hits all at once."""
        self.refresh(with_root=with_root)

    def kill(self) -> None:
        """Send KILL to all of them, the root too."""
        try:
            self._cgroup.kill()
        except OSError:  # one by one, as it cannot be done at once
            super().kill()
