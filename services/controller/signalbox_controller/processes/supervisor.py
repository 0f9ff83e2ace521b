"""One supervised process: takes inputs from people, its agent, the kernel and clocks; does what the machine says."""

import asyncio
import logging
import signal
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from signalbox.service import Jobs
from signalbox_agent.proc import Proc, boot_id, identify
from signalbox_controller import words
from signalbox_controller.agents import protocol
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.launches import Launch
from signalbox_controller.linux.signals import kill_all
from signalbox_controller.logs.logfile import LogFile
from signalbox_controller.processes import exit_reason
from signalbox_controller.processes.clocks import Clock, Clocks
from signalbox_controller.processes.context import HostContext
from signalbox_controller.processes.desired import Desired
from signalbox_controller.processes.exit_cleanup import clean_up_after
from signalbox_controller.processes.exit_reason import ExitReport
from signalbox_controller.processes.instance import Instance
from signalbox_controller.processes.machine import ALIVE, Action, Input, step
from signalbox_controller.processes.restart_policy import Failures
from signalbox_controller.processes.status import Identity, ProcessStatus
from signalbox_controller.processes.stop_orders import PendingStop
from signalbox_controller.words import Order

log = logging.getLogger(__name__)

Mode = Literal["graceful", "immediate"]

#: Seconds before the deadline of a stop at which running tasks are ended by QUIT, Celery's cold shutdown: a busy
#: worker exits about 1.4 s after it (measured on Celery 5.7). Of short time-outs it is the second half.
LAST_CALL = 2.0
#: Seconds between two looks into the log of a worker without an agent.
LOOK_EVERY = 1.0


class Supervised:
    """One configured process."""

    #: Whether its agent has to ask before it sends anything; see `lease`.
    leased = False

    def __init__(self, spec: ProcessSpec, context: HostContext, desired: Desired) -> None:
        self.spec = spec
        identity = Identity(name=spec.name, kind=spec.kind, node=spec.node(context.host), host=context.host)
        self.status = ProcessStatus(identity, desired, context.publish)
        self.log = LogFile(context.launcher.log(spec), context.logs)
        self.life: Instance | None = None
        #: How many running tasks went with it since it was last told to stop.
        self.tasks_killed = 0
        self._context = context
        self._order: Order | None = None
        #: What a person should know of the process that runs.
        self._notice = ""
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

    # What people ask for.

    def start(self) -> None:
        """Have it run; a process that is being stopped is started again once it is gone."""
        self.status.desired = "running"
        self._failures.forget()
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
        if self.status.state not in ALIVE:
            self.start()
            return
        self.status.desired = "running"
        self._failures.forget()
        self._end(order, mode, timeout, f"restarted by {order.words}")

    def _end(self, order: Order, mode: Mode, timeout: float | None, message: str) -> None:
        self._order = order
        self._timeout = self.spec.stop_timeout if timeout is None else timeout
        self.tasks_killed = 0  # those of an earlier end are not told again
        if self.status.state in ALIVE and mode != "immediate":
            message += f"; killed in at most {words.seconds(self._timeout)}"
        if self.life is not None:
            self.life.asked = True
            self.life.agent.stop_handshake.begin(protocol.Stop(error=words.stopped(order), redeliver=order.redeliver))
            seconds, running = 0.0 if mode == "immediate" else self._timeout, self.life.agent.runs.running.values()
            self._context.stop_orders.begin(self.spec.name, order, seconds, running)
        graceful = Input.DRAIN if self.spec.kind == "worker" else Input.HALT
        self._feed(Input.KILL if mode == "immediate" else graceful, message)

    @property
    def decided(self) -> bool:
        """Whether a start has come to its end: it consumes, failed, or is no longer wanted."""
        ended = self.status.state in {"running", "backoff", "fatal", "stopped"}
        return ended or self.status.desired == "stopped"

    def adopt(self, instance: str, main: Proc, *, gone: bool = False, asked: bool = False) -> None:
        """Take over a process that a former controller launched; one that is `gone` only to account for its end.

        `asked` tells that its end is no failure.
        """
        agent = self._context.agents.expect(instance, self.spec.name, self, adopted=True)
        if (stop := self._context.stop_orders.of(self.spec.name)) is not None:
            agent.runs.seed(stop.runs)
        life = Instance(instance, main, agent, self._context.reaper, gone=gone)
        life.asked = asked
        self._live(life)
        there = "was running when the controller started; waits for its agent"
        self._feed(Input.ADOPTED, "ended while no controller was here" if gone else there)

    def carry_on(self, stop: PendingStop) -> None:
        """Go on with a stop that a former controller has begun; what is wanted afterwards stays as it is."""
        done = "stopped" if self.status.desired == "stopped" else "restarted"
        self._end(stop.order, "graceful" if stop.left else "immediate", stop.left, f"{done} by {stop.order.words}")

    def detach(self) -> None:
        """Let it run on without us, for the next controller to adopt."""
        self._clocks.stop()
        if self.life is not None:
            self.life.detach()

    # What its agent says.

    def greeted(self, *, ready: bool, notice: str) -> None:
        self._notice = notice
        if ready:
            self.ready()
        else:
            adopted = self.status.state == "unknown"
            self._feed(Input.GREETED, "its agent answers; it does not consume yet" if adopted else "")

    def ready(self) -> None:
        if self.life is not None and self.life.ready_at is None:
            self.life.ready_at = asyncio.get_running_loop().time()
        self._feed(Input.READY, self._notice)

    def runs_without_agent(self, notice: str) -> None:
        self._notice = notice
        if self.life is not None and self.status.state in {"starting", "unknown"}:
            self.status.message = notice
            self.status.publish()
            if self.spec.kind == "worker":
                self._jobs.begin(self._ready_by_its_log(self.life))

    async def _ready_by_its_log(self, life: Instance) -> None:
        """Wait until it logs that it is ready, as Celery does at the level INFO."""
        ready, since = f"{self.spec.node(self._context.host)} ready.", life.log_start
        while self.life is life and life.agent.missing and self.status.state in {"starting", "unknown"}:
            end = self.log.position()
            if self.log.contains(ready, since):
                self.ready()
            since = max(since, end - len(ready))
            await asyncio.sleep(LOOK_EVERY)

    def waiting(self) -> None:
        self._feed(Input.WAITING, "its broker is away; it consumes again as soon as that is back")

    def silent(self) -> None:
        self._feed(Input.SILENT, "does not answer, and takes no tasks: its main process is stopped, or stuck")

    def late(self, ticked: datetime) -> None:
        since = f"{ticked:%H:%M:%S} UTC"
        self._feed(Input.LATE, f"has not ticked since {since}: its scheduler hangs, or waits for its broker")

    def heard_again(self) -> None:
        self._feed(Input.HEARD, self._notice)

    def leaving(self) -> None:
        self._feed(Input.LEAVING, "is shutting down, and was not asked to by us")

    def claims(self, claim: protocol.Claim) -> None:
        """A beat asks whether it may send; only a leased one does."""

    def begins(self, fence: int, runs: Mapping[str, float]) -> None:
        """A beat tells from when on its entries count; only a leased one does."""

    # The machine. An action must not feed it again before it returns: the order of events would be wrong.

    def _feed(self, event: Input, message: str = "") -> None:
        status = self.status
        before, transition = status.state, step(status.state, event)
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

    # Its actions.

    def _spawn(self) -> None:
        self._order = self.status.exit_code = None
        if self._context.versions.knows(self.spec):
            self._launch()
        else:
            self._jobs.begin(self._launch_if_supported())

    async def _launch_if_supported(self) -> None:
        context = self._context
        refusal = await context.versions.refusal(self.spec, context.launcher, context.reaper)
        if self.status.state != "starting":
            self._exited(None, "was stopped before it was launched")
        elif refusal:
            self._refused(refusal)
        else:
            self._launch()
            self._arm_ready()
            self.status.publish()

    def _launch(self) -> None:
        name, context = self.spec.name, self._context
        note = Launch(instance=uuid.uuid4().hex, boot=boot_id())
        log_start = self.log.position()
        self._notice = ""
        context.launches.note(name, note)
        agent = context.agents.expect(note.instance, name, self)
        try:
            popen = context.launcher.launch(self.spec, note.instance)
        except OSError as error:
            context.agents.retire(note.instance)
            context.launches.forget(name)
            asyncio.get_running_loop().call_soon(self._exited, None, f"cannot be launched: {error}")
            return
        main = identify(popen.pid) or Proc(popen.pid, 0)
        context.launches.note(name, msgspec.structs.replace(note, proc=main))
        self._live(Instance(note.instance, main, agent, context.reaper, popen, log_start))

    def _live(self, life: Instance) -> None:
        self.life = life
        self.status.instance, self.status.pid = life.instance, life.main.pid
        life.watch(lambda code: self._jobs.begin(self._clear_up(life, code)))

    def _send(self, number: signal.Signals) -> None:
        if self.life is not None:
            self.life.send(number)

    def _arm_deadline(self) -> None:
        self._clocks.hasten(
            Clock.LAST_CALL,
            max(self._timeout - LAST_CALL, self._timeout / 2),
            lambda: self._feed(Input.LAST_CALL, f"{self.status.message}; its tasks are being ended"),
        )
        self._clocks.hasten(
            Clock.DEADLINE,
            self._timeout,
            lambda: self._feed(Input.DEADLINE, "did not stop in time: killed"),
        )

    def _arm_ready(self) -> None:
        self._clocks.start(Clock.READY, self.spec.start_timeout, self._unready)

    def _unready(self) -> None:
        if (life := self.life) is None:  # the question about its Celery has a time of its own
            return
        unknown = self.status.state == "unknown"
        if self._may_work(life):
            seen = "has not logged that it is ready" if life.agent.missing else "its agent is not heard"
            message = f"{seen}; it may be working, so it is not ended"
            self._feed(Input.UNHEARD, "; ".join(filter(None, (message, self._notice))))
        elif unknown and self.spec.kind == "worker":
            self._feed(Input.GREETED, "its agent answers; it does not consume yet")
        elif unknown:
            life.hung, self._timeout = True, self.spec.stop_timeout
            self._feed(Input.UNREADY, "did not tick again in time: it is being ended")
        else:
            life.unready = True
            self._feed(Input.UNREADY, "did not begin to consume, or to tick, in time: killed")

    def _may_work(self, life: Instance) -> bool:
        """Whether it may do its work, and only cannot be heard."""
        if life.agent.missing:
            return not self.leased
        if life.agent.audible:
            return False
        logged = self.spec.kind == "worker" and self.log.contains(self.spec.node(self._context.host), life.log_start)
        return logged or self.status.state == "unknown"

    def _arm_backoff(self) -> None:
        pause = self._failures.pause()
        self.status.message += f"; next try in {words.seconds(pause)}"
        self._clocks.start(Clock.PAUSE, pause, lambda: self._feed(Input.BACKOFF_ELAPSED))

    async def _kill_tree(self) -> None:
        if (life := self.life) is None:
            return
        await life.agent.stop_handshake.let_go()
        self._context.stop_orders.about_to_kill(self.spec.name, life.agent.runs.running.values())
        self._context.pending_events.keep(life.instance, life.agent.waiting)
        if survivors := await kill_all(life.tree.find, self._context.reaper):
            self._outlived(survivors)

    def _outlived(self, survivors: list[Proc]) -> None:
        pids = ", ".join(str(proc.pid) for proc in survivors)
        self.status.message = f"outlived KILL: pid {pids}; the kernel holds it, look for state D in ps"
        log.error("%s %s", self.spec.name, self.status.message)
        self.status.publish()

    # Its end.

    async def _clear_up(self, life: Instance, code: int | None) -> None:
        cleanup = await clean_up_after(life, code, self.spec, self._context, self._order if life.asked else None)
        self.tasks_killed = cleanup.tasks_killed
        self.status.exit_code = code
        self._exited(life, cleanup.end)
        if cleanup.survivors:
            self._outlived(cleanup.survivors)

    def _refused(self, why: str) -> None:
        """It was not launched at all."""
        self._feed(Input.EXITED_UNSUPPORTED, why)

    def _exited(self, life: Instance | None, how: str) -> None:
        self.life = None
        self.status.pid = None
        report = ExitReport(
            how=how,
            code=self.status.exit_code,
            wanted=self._wanted,
            asked=life.asked if life is not None else self._order is not None,
            ran=life.consumed() if life else 0.0,
            unready=life is not None and life.unready,
            hung=life is not None and life.hung,
            order=self._order,
            words=self._words(life) if life else "",
        )
        event, message = exit_reason.read(report, self.spec, self.spec.node(self._context.host), self._failures)
        self._feed(event, message)

    @property
    def _wanted(self) -> bool:
        """Whether it is to be launched again when it has ended."""
        return self.status.desired == "running"

    def _words(self, life: Instance) -> str:
        """The end of its log, where it says why."""
        plain = life.asked or self.status.exit_code == 0
        return "" if plain else self.log.last_lines(life.log_start)
