"""One supervised process: takes inputs from people, its agent, the kernel and clocks; does what the machine says."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine
from typing import Literal

import msgspec

from signalbox.messages.events import Event
from signalbox_controller import procfs, wording
from signalbox_controller.aftermath import Aftermath, clear_up
from signalbox_controller.agents.server import Agents
from signalbox_controller.clocks import Clocks
from signalbox_controller.desired import Wish
from signalbox_controller.ending import kill_all
from signalbox_controller.instances import Instances, Launch
from signalbox_controller.life import Life
from signalbox_controller.logtail import last_words, size
from signalbox_controller.machine import ALIVE, Action, Input, step
from signalbox_controller.pacing import Exit, Pacing, Strikes, judge
from signalbox_controller.procfs import Proc
from signalbox_controller.reaper import Reaper
from signalbox_controller.spawn import Launcher
from signalbox_controller.specs import ProcessSpec
from signalbox_controller.standing import Standing
from signalbox_controller.wording import Order

log = logging.getLogger(__name__)

Mode = Literal["graceful", "immediate"]


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What all supervised processes of a host share."""

    host: str
    launcher: Launcher
    reaper: Reaper
    agents: Agents
    instances: Instances
    #: Where events go.
    tell: Callable[[Event], None]
    pacing: Pacing = Pacing()


class Supervised:
    """One configured process."""

    def __init__(self, spec: ProcessSpec, site: Site, wish: Wish) -> None:
        self.spec = spec
        self.standing = Standing(spec, site.host, wish, site.tell)
        self.life: Life | None = None
        #: How many running tasks went with it since it was last told to stop.
        self.tasks_killed = 0
        self._site = site
        self._order: Order | None = None
        self._timeout = spec.stop_timeout
        self._clocks = Clocks()
        self._strikes = Strikes(site.pacing)
        self._jobs: set[asyncio.Task[None]] = set()
        self._actions: dict[Action, Callable[[], None]] = {
            Action.SPAWN: self._spawn,
            Action.TERMINATE: self._terminate,
            Action.KILL_TREE: lambda: self._begin(self._kill_tree()),
            Action.ARM_DEADLINE: self._arm_deadline,
            Action.ARM_BACKOFF: self._arm_backoff,
            Action.DISARM: self._clocks.stop,
        }

    # What people ask for.

    def start(self) -> None:
        """Have it run; a process that is being stopped is started again once it is gone."""
        self.standing.wish = "running"
        self._strikes.forget()
        leaving = self.standing.state in {"draining", "stopping"}
        self._feed(Input.START, "will be started again as soon as it has stopped" if leaving else "")

    def stop(self, order: Order, mode: Mode = "graceful", timeout: float | None = None) -> None:
        """Have it stop; `timeout` is the time from TERM to KILL in seconds, unless the mode is `immediate`."""
        self.standing.wish = "stopped"
        self._order = order
        self._timeout = self.spec.stop_timeout if timeout is None else timeout
        message = f"stopped by {order.words}"
        self.tasks_killed = 0  # those of an earlier end are not told again
        if self.standing.state in ALIVE:
            message += "" if mode == "immediate" else f"; killed in at most {wording.seconds(self._timeout)}"
        if self.life is not None:
            self.life.asked = True
        graceful = Input.DRAIN if self.spec.kind == "worker" else Input.HALT
        self._feed(Input.KILL if mode == "immediate" else graceful, message)

    def adopt(self, instance: str, main: Proc) -> None:
        """Take over a process that a former controller launched and that still runs."""
        agent = self._site.agents.expect(instance, self.spec.name, self, adopted=True)
        self._live(Life(instance, main, agent, self._site.reaper))
        self._feed(Input.ADOPTED, "was running when the controller started; waits for its agent")

    def leave(self) -> None:
        """Let it run on without us, for the next controller to adopt."""
        self._clocks.stop()
        if self.life is not None:
            self.life.leave()

    # What its agent says.

    def greeted(self, *, ready: bool) -> None:
        if ready:
            self.ready()
        else:
            self._feed(Input.GREETED, "its agent answers; it does not consume yet")

    def ready(self) -> None:
        if self.life is not None and self.life.ready_at is None:
            self.life.ready_at = asyncio.get_running_loop().time()
        self._feed(Input.READY)

    def leaving(self) -> None:
        self._feed(Input.LEAVING, "is shutting down, and was not asked to by us")

    # The machine. An action must not feed it again before it returns: the order of events would be wrong.

    def _feed(self, event: Input, message: str = "") -> None:
        standing = self.standing
        before, transition = standing.state, step(standing.state, event)
        if transition.state != before:
            log.info("%s: %s → %s, because %s", self.spec.name, before, transition.state, event)
            standing.enter(transition.state)
            standing.message = message
        elif transition.actions or event is Input.START:
            standing.message = message or standing.message
        for action in transition.actions:
            self._actions[action]()
        standing.kill_at = self._clocks.kill_at
        standing.tell()

    def _begin(self, job: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: our own code failed", self.spec.name, exc_info=error)

    # Its actions.

    def _spawn(self) -> None:
        name, site = self.spec.name, self._site
        note = Launch(instance=uuid.uuid4().hex, boot=procfs.boot_id())
        log_start = size(site.launcher.log(self.spec))
        self._order = self.standing.exit_code = None
        site.instances.note(name, note)
        agent = site.agents.expect(note.instance, name, self)
        try:
            popen = site.launcher.launch(self.spec, note.instance)
        except OSError as error:
            site.agents.retire(note.instance)
            site.instances.forget(name)
            asyncio.get_running_loop().call_soon(self._exited, None, f"cannot be launched: {error}")
            return
        main = procfs.identify(popen.pid) or Proc(popen.pid, 0)
        site.instances.note(name, msgspec.structs.replace(note, proc=main))
        self._live(Life(note.instance, main, agent, site.reaper, popen, log_start))

    def _live(self, life: Life) -> None:
        self.life = life
        self.standing.instance, self.standing.pid = life.instance, life.main.pid
        life.watch(lambda code: self._begin(self._clear_up(life, code)))

    def _terminate(self) -> None:
        if self.life is not None:
            self.life.terminate()

    def _arm_deadline(self) -> None:
        self._clocks.deadline(self._timeout, lambda: self._feed(Input.DEADLINE, "did not stop in time: killed"))

    def _arm_backoff(self) -> None:
        pause = self._strikes.pause()
        self.standing.message += f"; next try in {wording.seconds(pause)}"
        self._clocks.pause(pause, lambda: self._feed(Input.BACKOFF_ELAPSED))

    async def _kill_tree(self) -> None:
        life = self.life
        if life is not None and (survivors := await kill_all(life.tree.look, self._site.reaper)):
            self._outlived(survivors)

    def _outlived(self, survivors: list[Proc]) -> None:
        pids = ", ".join(str(proc.pid) for proc in survivors)
        self.standing.message = f"outlived KILL: pid {pids}; the kernel holds it, look for state D in ps"
        log.error("%s %s", self.spec.name, self.standing.message)
        self.standing.tell()

    # Its end.

    async def _clear_up(self, life: Life, code: int | None) -> None:
        aftermath = await clear_up(life, self._site.reaper)
        self._account(life, code, aftermath)
        self._site.agents.retire(life.instance)
        self._site.instances.forget(self.spec.name)
        self.standing.exit_code = code
        self._exited(life, self._how(life, code))
        if aftermath.survivors:
            self._outlived(aftermath.survivors)

    def _account(self, life: Life, code: int | None, aftermath: Aftermath) -> None:
        """Tell which tasks went with it."""
        self.tasks_killed = len(aftermath.lost)
        asked = life.asked and self._order is not None
        error = wording.stopped(self._order) if asked and self._order else wording.lost(code)
        for run in aftermath.lost:
            self._site.tell(run.failed(self._site.host, "stopped" if asked else "worker_lost", error))

    def _exited(self, life: Life | None, how: str) -> None:
        self.life = None
        self.standing.pid = None
        exit_ = Exit(
            wanted=self.standing.wish == "running",
            asked=life is not None and life.asked,
            code=self.standing.exit_code,
            ran=life.consumed() if life else 0.0,
        )
        event = judge(exit_, self.spec.restart, self._strikes)
        self._feed(event, self._epitaph(event, how))

    def _how(self, life: Life, code: int | None) -> str:
        words = "" if life.asked or code == 0 else last_words(self._site.launcher.log(self.spec), life.log_start)
        return f"{wording.exit_words(code)}{': ' if words else ''}{words}"

    def _epitaph(self, event: Input, how: str) -> str:
        match event:
            case Input.EXITED | Input.EXITED_TO_RESTART:
                return f"stopped by {self._order.words}" if self._order else "stopped"
            case Input.EXITED_TOO_OFTEN:
                count = self._strikes.count
                return f"gave up after {count} failures in a row ({how}); start it again once the cause is gone"
            case Input.EXITED_FOR_GOOD:
                return f"ended by itself ({how})"
            case _:
                return f"failed ({how})"
