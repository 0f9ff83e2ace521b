"""Interface of a pool: what it can do, and how it ends one task, be that a process or a greenlet.

A pool that can end a single task has a folder beside this file, with a module that is named in `MODULES`. That has
`ABILITIES`, and `control(pool, context)`, which answers a `PoolControl`, or None where this very pool cannot end one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

from signalbox_agent.cancel.kill import Kill, KillObserver
from signalbox_agent.cgroup import Cgroup
from signalbox_agent.child.slots import Slots
from signalbox_agent.link.loop import Loop
from signalbox_agent.tasks.runs import Run

#: The package of Celery's own pools.
CONCURRENCY = "celery.concurrency."
#: Our modules by the module of Celery's pool.
MODULES = {
    "celery.concurrency.prefork": "prefork.control",
    "celery.concurrency.gevent": "greenlets.pool",
    "celery.concurrency.eventlet": "greenlets.pool",
}


@dataclass(frozen=True)
class Abilities:
    """The abilities of a pool. The defaults may be assumed of one that has not reported any."""

    #: Whether one of its tasks can be ended while the others run on.
    cancels_one: bool = True
    #: Whether its tasks and the agent run in turn in one thread.
    takes_turns: bool = False
    #: Whether the agent answers at once, whatever the tasks do.
    answers_while_busy: bool = False


class Context(NamedTuple):
    """The parts of the agent that a pool's control needs."""

    loop: Loop
    slots: Slots
    #: Whether Celery's event loop drives the pool.
    has_hub: bool
    #: That of this worker, in which each child makes one of its own.
    cgroup: Cgroup | None = None


def name_of(pool: Any) -> str:
    """The name of a pool on the command line; of one that is derived from a pool of Celery's, the name of that."""
    modules = [base.__module__ for base in type(pool).__mro__]
    known = [module for module in modules if module.startswith(CONCURRENCY) and module != f"{CONCURRENCY}base"]
    name = (known or modules)[0].rpartition(".")[2]
    return "threads" if name == "thread" else name


def abilities_of(pool: Any) -> Abilities:
    """The abilities of a pool; one without a module, such as `threads` and `solo`, cannot end a single task."""
    module = _module(pool)
    return module.ABILITIES if module else Abilities(cancels_one=False)


def control_of(pool: Any, context: Context) -> PoolControl:
    """The control of a pool."""
    module = _module(pool)
    return (module and module.control(pool, context)) or PoolControl()


def _module(pool: Any) -> Any:
    name = next((MODULES[base.__module__] for base in type(pool).__mro__ if base.__module__ in MODULES), None)
    return import_module(f"{__package__}.{name}") if name else None


class PoolControl:
    """The control of a pool; this one is for a pool that cannot end a single task."""

    can_kill = False

    def kill(self, run: Run, grace: float, observer: KillObserver) -> Kill | None:  # noqa: ARG002
        """A kill that has not begun; None when there is nothing left to kill. `grace` is in seconds."""
        return None

    def in_background(self, work: Callable[[], None]) -> None:
        """Do work that may wait for a store."""
        work()

    def watch(self, pid: int) -> bool:  # noqa: ARG002
        """Notice the death of this process from now on; false when the pool has no such process."""
        return True

    def when_dead(self, run: Run, callback: Callable[[], None]) -> None:  # noqa: ARG002
        """Call back when what runs a task is dead; where that cannot be seen, at once."""
        callback()

    def prepare(self, task: Any) -> None:
        """Have the `run` of a task tell that it runs."""

    def on_exit(self, exiting: Callable[[int], None]) -> None:
        """Have `exiting(pid)` called when a process of the pool is about to exit."""

    def resume(self, hub: Any) -> None:
        """Celery's event loop turns again."""

    def population(self) -> dict[str, Any] | None:
        """How many processes are `up` and `wanted`, and `within` how many seconds one has to be up."""
        return None

    def on_up(self, up: Callable[[], None]) -> None:
        """Have `up` called when a process of the pool takes work."""

    def wait_for_start(self, seconds: float) -> float | None:  # noqa: ARG002
        """Wait so long for a process that starts, where nobody has said how long; answers it if it is so."""
        return None

    def keep_sent(self) -> None:
        """Let the shutdown of the pool wait for what its processes were sent, and may run."""

    def has_unread(self) -> bool:
        """Whether a process of the pool was sent something that it has not read yet."""
        return False

    def read_reports(self, hub: Any) -> None:
        """Let Celery read now what the processes of the pool have sent."""

    def has_sent(self, request: Any) -> bool:  # noqa: ARG002
        """Whether a request that was handed to the pool has left this process."""
        return False
