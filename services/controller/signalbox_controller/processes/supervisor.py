"""One supervised process: people, its agent, the kernel and clocks move its state machine, whose actions it does."""

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Literal

import msgspec

from signalbox.messages.base import Evidence
from signalbox.messages.receipts import ProcessReport
from signalbox.service import Jobs
from signalbox_agent.proc import Proc
from signalbox_controller import words
from signalbox_controller.agents import protocol
from signalbox_controller.config.differences import outdated
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.errors import NameServiceSilent
from signalbox_controller.launch.launches import Launch
from signalbox_controller.linux.accounts import are_known, look_up
from signalbox_controller.linux.signals import kill_all, send
from signalbox_controller.logs.logfile import LogFile
from signalbox_controller.processes import exit_reason
from signalbox_controller.processes.agent_reports import AgentReports
from signalbox_controller.processes.backoff import Failures
from signalbox_controller.processes.clocks import Clock, Clocks
from signalbox_controller.processes.context import HostContext
from signalbox_controller.processes.desired import Desired
from signalbox_controller.processes.exit_cleanup import Cleanup, clean_up_after
from signalbox_controller.processes.exit_reason import ExitReport
from signalbox_controller.processes.instance import Instance, adopt, launch
from signalbox_controller.processes.leftovers import Leftovers, outlived
from signalbox_controller.processes.machine import ALIVE, EXITS, Action, Input, step
from signalbox_controller.processes.readiness import logs_ready, overdue
from signalbox_controller.processes.status import Identity, ProcessStatus
from signalbox_controller.processes.stop_orders import PendingStop
from signalbox_controller.words import Order

log = logging.getLogger(__name__)

Mode = Literal["graceful", "immediate"]

#: Seconds before the deadline of a stop at which running tasks are ended by QUIT, Celery's cold shutdown: a busy
#: worker exits about 1.4 s after it (measured on Celery 5.7). Of short time-outs it is the second half.
QUIT_BEFORE_KILL = 2.0


class Supervised(AgentReports):
    """One process that we launch, or that a former controller launched."""

    def __init__(self, spec: ProcessSpec, context: HostContext, desired: Desired, *, configured: bool = True) -> None:
        """One that is not `configured` runs until it ends or is stopped, and is not launched again."""
        self.spec = spec
        identity = Identity(name=spec.name, kind=spec.kind, node=spec.node(context.host), host=context.host)
        self.status = ProcessStatus(identity, desired if configured else "stopped", context.publish)
        self.status.configured = configured
        self.log = LogFile(context.launcher.log(spec), context.logs)
        self.instance: Instance | None = None
        #: How many running tasks ended with it since the latest order to stop, and what proves its end.
        self.tasks_killed = 0
        self._proof: Evidence | None = None
        self._leftovers = Leftovers()
        #: The end that is shown as soon as nothing is left, and its message.
        self._held: tuple[Input, str] | None = None
        self._context = context
        self._order: Order | None = None
        self._timeout = spec.stop_timeout
        self._clocks = Clocks()
        self._failures = Failures(context.backoff, spec.restart_limit)
        self._jobs = Jobs(spec.name)
        self._actions: dict[Action, Callable[[], None]] = {
            Action.SPAWN: self._spawn,
            Action.TERMINATE: lambda: self._send(signal.SIGTERM),
            Action.QUIT: lambda: self._send(signal.SIGQUIT),
            Action.KILL_TREE: lambda: self._jobs.begin(self._kill_tree()),
            Action.ARM_DEADLINE: self._arm_deadline,
            Action.ARM_READY: self._arm_ready,
            Action.ARM_BACKOFF: self._arm_backoff,
            Action.DISARM: self._clocks.stop,
        }

    @property
    def configured(self) -> bool:
        """Whether the configuration names it."""
        return self.status.configured

    @property
    def running_spec(self) -> ProcessSpec:
        """What its process was launched from; without a process, what the next one will be."""
        return (self.instance and self.instance.spec) or self.spec

    @property
    def ended(self) -> bool:
        """Whether nothing of it is left, also nothing that had outlived KILL."""
        return self.instance is None and self.status.state not in ALIVE and not self._leftovers.alive

    @property
    def lingers(self) -> bool:
        """Whether only what outlived KILL is left of it."""
        return self._held is not None

    # Orders of people.

    def start(self) -> None:
        """Have it run; a process that is being stopped is started again once it is gone."""
        self.status.desired = "running"
        self._failures.forget()
        if self.lingers:  # a person knows whether to wait for what the kernel holds
            self._held = None
            self._feed(Input.EXITED_TO_RESTART)
            return
        leaving = self.status.state in {"draining", "stopping"}
        self._feed(Input.START, "will be started again as soon as it has stopped" if leaving else "")

    def stop(self, order: Order, mode: Mode = "graceful", timeout: float | None = None) -> None:
        """Have it stop; `timeout` is the time from TERM to KILL in seconds, unless the mode is `immediate`."""
        self.status.desired = "stopped"
        message = f"stopped by {order.words}"
        self._end(order, mode, timeout, message)

    def restart(self, order: Order, mode: Mode = "graceful", timeout: float | None = None) -> None:
        """Have it stop as above and start again; one that does not run is started."""
        self.tasks_killed = 0
        if self.status.state not in ALIVE or self.lingers:
            self.start()
            return
        self.status.desired = "running"
        self._failures.forget()
        self._end(order, mode, timeout, f"restarted by {order.words}")

    def _end(self, order: Order, mode: Mode, timeout: float | None, message: str) -> None:
        self._order = order
        self._timeout = self.spec.stop_timeout if timeout is None else timeout
        self.tasks_killed, self._proof = 0, None  # what was said of an earlier end does not count again
        if self.lingers:
            self._hold(Input.EXITED, f"stopped by {order.words}")
            return
        if self.status.state in ALIVE and mode != "immediate":
            message += f"; killed in at most {words.seconds(self._timeout)}"
        if self.instance is not None:
            self.instance.asked, agent = True, self.instance.agent
            self._proof = self.instance.tree.evidence
            agent.stop_handshake.begin(protocol.Stop(error=words.stopped(order), redeliver=order.redeliver))
            seconds = 0.0 if mode == "immediate" else self._timeout
            self._context.stop_orders.begin(self.spec.name, order, seconds, agent.runs.all())
        graceful = Input.DRAIN if self.spec.kind == "worker" else Input.HALT
        self._feed(Input.KILL if mode == "immediate" else graceful, message)

    def stopped(self) -> ProcessReport:
        """Report on it after an order to stop."""
        report = self.status.report()
        return msgspec.structs.replace(report, proof=self._proof) if report.state == "stopped" else report

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues that it consumes, or consumed last; none where the application chooses them and never told."""
        return self.status.queues or self.running_spec.queues

    @property
    def decided(self) -> bool:
        """Whether a start has come to its end: it consumes, failed, or was taken back."""
        ended = self.status.state in {"running", "backoff", "fatal", "stopped"}
        return ended or self.status.desired == "stopped"

    def adopt(self, launched: Launch, main: Proc, *, asked: bool = False) -> None:
        """Take over what a former controller launched; a process that is gone, only to account for its end.

        `asked` tells that its end is no failure.
        """
        if launched.spec is not None:
            self._log_of(launched.spec)
        instance = adopt(launched, main, self.spec.name, self._context, self, self.log)
        if not (launched.found and self.configured):
            instance.spec = launched.spec and msgspec.structs.replace(launched.spec, name=self.spec.name)
        instance.asked = asked
        self.status.node = launched.node or self.status.node
        self._take(instance)
        there = "was running when the controller started; waits for its agent"
        self._feed(Input.ADOPTED, "ended while no controller was here" if launched.gone else there)

    def resume_stop(self, stop: PendingStop) -> None:
        """Go on with a stop that a former controller has begun; its desired state stays as it is."""
        done = "stopped" if self.status.desired == "stopped" else "restarted"
        self._end(stop.order, "graceful" if stop.left else "immediate", stop.left, f"{done} by {stop.order.words}")

    def reconfigure(self, spec: ProcessSpec, desired: Desired) -> None:
        """Take other options: those of supervision count at once, all others from the next launch on."""
        if spec.restart_limit != self.spec.restart_limit:
            self._failures = Failures(self._context.backoff, spec.restart_limit)
        if not self.configured:
            self.status.configured, self.status.desired = True, desired
        self.spec = spec
        self.status.outdated = self._outdated()
        self.status.publish()

    def unconfigure(self) -> None:
        """Have it run on until it ends or is stopped, and launch it no more: the file does not name it any longer."""
        self.status.configured, self.status.desired, self.status.outdated = False, "stopped", ()
        if self.status.state not in ALIVE:  # takes back what was planned
            self._feed(Input.HALT, "no longer configured")
        self.status.publish()

    def detach(self) -> None:
        """Let it run on without us, for the next controller to adopt."""
        self._clocks.stop()
        if self.instance is not None:
            self.instance.detach()

    # Reports of its agent.

    def _on_ready(self) -> None:
        if self.instance is not None and self.instance.ready_at is None:
            self.instance.ready_at = asyncio.get_running_loop().time()
        super()._on_ready()

    def _on_missing_agent(self) -> None:
        super()._on_missing_agent()
        if self.instance is not None and self.spec.kind == "worker":
            self._jobs.begin(self._watch_log(self.instance))

    async def _watch_log(self, instance: Instance) -> None:
        if await logs_ready(instance, self.status.node, self.log):
            self._on_ready()

    def _on_leaving(self, message: str) -> None:
        if self.status.state not in {"draining", "stopping"}:
            self._timeout = self.spec.stop_timeout
            super()._on_leaving(f"{message}; killed in at most {words.seconds(self._timeout)}")

    # The machine. An action must not feed it again before it returns: the order of events would be wrong.

    def _feed(self, event: Input, message: str = "") -> None:
        status = self.status
        before, transition = status.state, step(status.state, event)
        if transition.state in {"stopped", "fatal"} and self._leftovers.alive:
            self._hold(event if event in EXITS else Input.EXITED, message)
            return
        if transition.state != before:
            log.info("%s: %s → %s, because %s", self.spec.name, before, transition.state, event)
            status.enter(transition.state)
            status.message = message
        elif transition.actions or event is Input.START:
            status.message = message or status.message
        for action in transition.actions:
            self._actions[action]()
        status.kill_at = self._clocks.kill_at
        status.publish()

    def _hold(self, end: Input, message: str) -> None:
        """Show this end only when nothing is left."""
        self._held = end, message
        self._feed(Input.OUTLIVED, "; ".join(filter(None, (message, self._leftovers.words))))

    # Its actions.

    def _spawn(self) -> None:
        self._order = self.status.exit_code = None
        if self._context.versions.knows(self.spec) and are_known((self.spec.user, self.spec.runs_as)):
            self._launch()
        else:
            self._jobs.begin(self._launch_if_possible())

    async def _launch_if_possible(self) -> None:
        context, silent, refusal = self._context, "", ""
        try:
            await look_up((self.spec.user, self.spec.runs_as))
            refusal = await context.versions.refusal(self.spec, context.launcher, context.reaper)
        except NameServiceSilent as error:
            silent = f"cannot be launched: {error}"
        if self.status.state != "starting":
            self._exited(None, "was stopped before it was launched")
        elif silent:
            self._failures.wait(0.0)
            self._on_exit(Input.EXITED_TO_WAIT, silent)
        elif refusal:
            self._on_exit(Input.EXITED_UNSUPPORTED, refusal)
        else:
            self._launch()
            self._arm_ready()
            self.status.publish()

    def _launch(self) -> None:
        self._notice = self._greeting = ""
        self.status.node = self.spec.node(self._context.host)
        self._log_of(self.spec)
        try:
            self._take(launch(self.spec, self._context, self, self.log))
        except OSError as error:
            asyncio.get_running_loop().call_soon(self._exited, None, f"cannot be launched: {error}")

    def _take(self, instance: Instance) -> None:
        self.instance = instance
        self.status.instance, self.status.pid = instance.id, instance.main.pid
        self.status.outdated = self._outdated()
        instance.watch(lambda code: self._jobs.begin(self._clean_up(instance, code)))

    def _log_of(self, spec: ProcessSpec) -> None:
        """Read the log of what is, or was, launched from this spec: it has its name from there."""
        path = self._context.launcher.log(spec)
        if path != self.log.path:
            self.log = LogFile(path, self._context.logs)

    def _outdated(self) -> tuple[str, ...]:
        """The keys whose values in the file are not those that it runs with."""
        if not self.configured or self.instance is None:
            return ()
        renamed = self.status.node != self.spec.node(self._context.host)
        return (*(("name",) if renamed else ()), *outdated(self.running_spec, self.spec))

    def _send(self, number: signal.Signals) -> None:
        """Signal the main process only: TERM is Celery's warm shutdown, QUIT its cold one."""
        if self.instance is not None:
            send(self.instance.main, number)

    def _arm_deadline(self) -> None:
        self._clocks.hasten(
            Clock.GRACE,
            max(self._timeout - QUIT_BEFORE_KILL, self._timeout / 2),
            self._grace_over,
        )
        self._clocks.hasten(Clock.DEADLINE, self._timeout, self._deadline)

    def _grace_over(self) -> None:
        self._end_lingering()
        self._feed(Input.GRACE_OVER, f"{self.status.message}; its tasks are being ended")

    def _deadline(self) -> None:
        self._end_lingering()
        self._feed(Input.DEADLINE, "did not stop in time: killed")

    def _end_lingering(self) -> None:
        """Say what becomes of the tasks of a process that leaves by itself, and too slowly: nobody wants their end."""
        if (instance := self.instance) is not None and not instance.asked and instance.fault is None:
            instance.fault = "lingered"
            error = words.lingered(self._timeout)
            instance.agent.stop_handshake.begin(protocol.Stop(error=error, redeliver=True))

    def _arm_ready(self) -> None:
        self._clocks.start(Clock.READY, self.spec.start_timeout, self._unready)

    def _unready(self) -> None:
        if self.instance is not None:  # the question about its Celery has a time of its own
            event, message = overdue(self.instance, self.spec, self.status, self.log)
            self._timeout = self.spec.stop_timeout
            self._feed(event, "; ".join(filter(None, (message, self._notice))))

    def _arm_backoff(self) -> None:
        pause = self._failures.pause()
        self.status.message += f"; next try in {words.seconds(pause)}"
        self._clocks.start(Clock.PAUSE, pause, lambda: self._feed(Input.BACKOFF_ELAPSED))

    async def _kill_tree(self) -> None:
        if (instance := self.instance) is None:
            return
        await instance.agent.stop_handshake.let_go()
        self._context.stop_orders.about_to_kill(self.spec.name, instance.agent.runs.all())
        self._context.pending_events.keep(instance.id, instance.agent.events.acknowledgements.waiting)
        if survivors := await kill_all(instance.tree.find, self._context.reaper, cgroups=instance.tree.cgroups):
            self._proof, self.status.message = None, outlived(survivors)
            log.error("%s %s", self.spec.name, self.status.message)
            self.status.publish()

    # Its end.

    async def _clean_up(self, instance: Instance, code: int | None) -> None:
        order = self._order if instance.asked else None
        try:
            cleanup = await clean_up_after(instance, code, self.running_spec, self._context, order)
        except Exception:  # whatever is left to be done: a process that is gone must not be shown as one that stops
            log.exception("%s: our own code failed to clean up after it", self.spec.name)
            cleanup = Cleanup(words.exit_words(code), 0, [])
        self.tasks_killed = cleanup.tasks_killed
        self.status.exit_code = code
        self._leftovers.add(cleanup.survivors)
        self._exited(instance, cleanup.end)
        if cleanup.survivors:
            await self._clear_up(instance)

    async def _clear_up(self, instance: Instance) -> None:
        """Show its end, and forget its launch, when nothing of it is left."""
        log.error("%s %s", self.spec.name, self._leftovers.words)
        self._proof = None
        await self._leftovers.end()
        launches = self._context.launches
        if (noted := launches.value.get(self.spec.name)) and noted.instance == instance.id:
            launches.forget(self.spec.name)
        if instance.tree.cgroup is not None:
            instance.tree.cgroup.remove()
        if self._held is not None:
            (event, message), self._held = self._held, None
            self._on_exit(event, message)

    def _exited(self, instance: Instance | None, how: str) -> None:
        self.instance = None
        self.status.pid = None
        report = ExitReport(
            how=how,
            code=self.status.exit_code,
            relaunch=self._relaunches,
            asked=instance.asked if instance is not None else self._order is not None,
            ran=instance.consumed() if instance else 0.0,
            fault=instance.fault if instance else None,
            order=self._order,
            words=self._words(instance) if instance else "",
        )
        event, message = exit_reason.read(report, self.spec, self.status.node, self._failures)
        self._on_exit(event, message)

    def _on_exit(self, event: Input, message: str) -> None:
        self._feed(event, message)

    @property
    def _relaunches(self) -> bool:
        """Whether it is to be launched again when it has ended."""
        return self.status.desired == "running"

    def _words(self, instance: Instance) -> str:
        """The end of its log, where it says why."""
        plain = instance.asked or self.status.exit_code == 0
        return "" if plain else self.log.last_lines(instance.log_start)
