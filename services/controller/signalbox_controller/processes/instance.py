"""An instance: one launch of one process, from the moment it runs until the last of it is gone."""

import asyncio
import os
import subprocess
import uuid
from collections.abc import Callable
from typing import Literal

import msgspec

from signalbox_agent.cgroup import Cgroup
from signalbox_agent.proc import Proc, boot_id, identify, present
from signalbox_controller.agents.session import Agent, Supervisor
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.launcher import other_account
from signalbox_controller.launch.launches import Launch
from signalbox_controller.linux.cgroups import delegate
from signalbox_controller.linux.procfs import code_of, pid_namespace
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.linux.tree import Tree
from signalbox_controller.logs.logfile import LogFile
from signalbox_controller.processes.context import HostContext

#: It did not begin to consume, its scheduler hung, or it began to shut down and did not end.
Fault = Literal["unready", "hung", "lingered"]


class Instance:
    """A main process that is watched until it exits; launched by us, or adopted from a former controller."""

    def __init__(
        self,
        id_: str,
        main: Proc,
        agent: Agent,
        reaper: Reaper,
        popen: subprocess.Popen[bytes] | None = None,
        log_start: int = 0,
        *,
        gone: bool = False,
        cgroup: Cgroup | None = None,
        spec: ProcessSpec | None = None,
    ) -> None:
        """Without a `popen` the process is adopted: not our child any more; one that is `gone` ended before we came."""
        self.id = id_
        self.main = main
        self.agent = agent
        agent.main = main
        #: What it was launched from; None where that is not known.
        self.spec = spec
        self.tree = Tree(main, reaper, ours=popen is not None, gone=id_ if gone else "", cgroup=cgroup)
        #: Where its part of the log begins.
        self.log_start = log_start
        #: On the loop's clock, as soon as it consumed.
        self.ready_at: float | None = None
        #: Whether a stop was asked for.
        self.asked = False
        #: Why we ended it, if that was its own fault.
        self.fault: Fault | None = None
        self.exited = False
        self._popen = popen
        self._reaper = reaper
        self._pidfd: int | None = None

    def watch(self, exited: Callable[[int | None], None]) -> None:
        """Call `exited` with the exit code, once, as soon as the main process has died; None where it is not known."""

        def collect() -> None:
            if not self.exited:
                self.exited = True
                code = self._popen.wait() if self._popen else code_of(self.main)
                self._unwatch()
                exited(code)

        if self._popen is not None:
            self._reaper.collect_with(self.main.pid, collect)
        loop = asyncio.get_running_loop()
        try:
            self._pidfd = os.pidfd_open(self.main.pid)
        except ProcessLookupError:
            loop.call_soon(collect)
            return
        loop.add_reader(self._pidfd, collect)
        if not present(self.main):
            loop.call_soon(collect)

    def _unwatch(self) -> None:
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        self._reaper.forget(self.main.pid)

    def detach(self) -> None:
        """Stop watching: the process runs on, for the next controller to adopt."""
        self._unwatch()
        if self._popen is not None and self._popen.returncode is None:
            self._popen.returncode = 0  # or its destructor would warn, and wait for what is not ours any more

    def consumed(self) -> float:
        """Seconds since it was ready; 0.0 when it never was."""
        return 0.0 if self.ready_at is None else asyncio.get_running_loop().time() - self.ready_at


def launch(spec: ProcessSpec, context: HostContext, supervisor: Supervisor, log: LogFile) -> Instance:
    """Launch it once; `supervisor` takes the reports of its agent.

    Raises:
        OSError: the interpreter cannot be run.
    """
    instance = uuid.uuid4().hex
    cgroup = context.containment.of_launch(instance)
    path = cgroup.path if cgroup else ""
    if cgroup and (account := other_account(spec.runs_as)):
        delegate(cgroup, account)
    node = spec.node(context.host)
    note = Launch(
        instance=instance,
        boot=boot_id(),
        log_start=log.position(),
        cgroup=path,
        spec=spec,
        node=node,
        namespace=pid_namespace(os.getpid()),
    )
    context.launches.note(spec.name, note)
    agent = context.agents.expect(instance, spec.name, supervisor, cgroup=cgroup)
    try:
        popen = context.launcher.launch(spec, instance, path)
    except OSError:
        if cgroup:
            cgroup.remove()
        context.agents.retire(note.instance)
        context.launches.forget(spec.name)
        raise
    if cgroup and other_account(spec.user):
        cgroup.take(popen.pid)  # it may not enter by itself: that takes the rights above the cgroup, too
    main = identify(popen.pid) or Proc(popen.pid, 0)
    context.launches.note(spec.name, msgspec.structs.replace(note, proc=main))
    return Instance(note.instance, main, agent, context.reaper, popen, note.log_start, cgroup=cgroup, spec=spec)


def adopt(
    launched: Launch, main: Proc, name: str, context: HostContext, supervisor: Supervisor, log: LogFile
) -> Instance:
    """What a former controller launched as the process of this name, running or gone; see `launch`."""
    cgroup = Cgroup(launched.cgroup) if launched.cgroup else None
    agent = context.agents.expect(launched.instance, name, supervisor, adopted=True, cgroup=cgroup)
    if (stop := context.stop_orders.of(name)) is not None:
        agent.runs.seed(stop.runs)
    log_start = min(launched.log_start, log.position())
    reaper, gone = context.reaper, launched.gone
    return Instance(launched.instance, main, agent, reaper, None, log_start, gone=gone, cgroup=cgroup)
