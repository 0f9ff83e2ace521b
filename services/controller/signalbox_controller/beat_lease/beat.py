"""A supervised beat under a lease: it is launched only while its host holds that."""

import time

from signalbox_controller.agents.protocol import Begin, Claim, Claimed, Hello, Lease, ProcessReport, Sent
from signalbox_controller.beat_lease.holder import LeaseHolder
from signalbox_controller.beat_lease.record import Grant
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.processes.context import HostContext
from signalbox_controller.processes.desired import Desired
from signalbox_controller.processes.instance import Instance
from signalbox_controller.processes.machine import ALIVE, Input
from signalbox_controller.processes.supervisor import Mode, Supervised
from signalbox_controller.words import Order

#: Seconds for which a claim counts after beat made it, on the clock that goes on while the machine sleeps.
CLAIM_COUNTS = 2.0
#: Seconds that a beat may take to send one message before it counts as late.
SEND_WITHIN = 20.0


class LeasedBeat(Supervised):
    """A beat that runs only while its `LeaseHolder` holds the lease."""

    leased = True

    def __init__(
        self,
        spec: ProcessSpec,
        context: HostContext,
        desired: Desired,
        holder: LeaseHolder,
        *,
        configured: bool = True,
    ) -> None:
        super().__init__(spec, context, desired, configured=configured)
        self._holder = holder
        self._grant: Grant | None = None
        self._asking = False
        #: One that is not configured keeps the lease as long as it runs.
        self.competes = desired == "running" or not configured

    # Orders of people.

    def start(self) -> None:
        self.competes = True
        if self._grant is not None:
            super().start()
            return
        self.status.desired = "running"
        self._failures.forget()
        self._asking = True
        self._rest("waits for the lease of beat")
        self._holder.hurry()

    def stop(self, order: Order, mode: Mode = "graceful", timeout: float | None = None) -> None:
        self.competes = self._asking = self.status.standby = False
        super().stop(order, mode, timeout)
        self._holder.hurry()

    def reconfigure(self, spec: ProcessSpec, desired: Desired) -> None:
        again = not self.configured
        super().reconfigure(spec, desired)
        if again:
            self.competes = desired == "running"

    def unconfigure(self) -> None:
        self.status.standby = self._asking = False
        super().unconfigure()
        self.competes = self.present

    @property
    def decided(self) -> bool:
        return not self._asking and super().decided

    # Calls of the lease holder.

    @property
    def present(self) -> bool:
        return self.status.state in ALIVE

    def answers(self) -> bool:
        """Ask it for a sign of life; false when one from before is due, although it runs."""
        state = self.status.state
        if self.instance is None or not (
            state == "running" or (state == "unknown" and self.instance.agent.ticks.overdue)
        ):
            return True
        return self.instance.agent.ping()

    def permit(self, grant: Grant) -> None:
        """It may run, from now on; one that still runs goes on with what ran meanwhile elsewhere."""
        self._grant = grant
        self._asking = self.status.standby = False
        if self.instance is not None:
            self._hand_over(self.instance)
        elif self.configured:
            super().start()

    def revoke(self, why: str, *, kill: bool = False) -> None:
        self._grant = None
        if self.instance is not None:
            self._hand_over(self.instance)
        order = Order(by="its controller", reason=why)
        self._end(order, "immediate" if kill else "graceful", None, f"stopped by {order.words}")

    def released(self) -> None:
        self._grant = None

    def stand_by(self, host: str) -> None:
        """Another host has it; one that a former controller left running here is ended."""
        self._asking = False
        if self.present and self.status.state != "stopping":
            self.revoke(f"beat runs on {host} now")
        elif not self.present:
            self.status.standby = True
            self._rest(f"standby: beat runs on {host or 'another host'}")

    def redis_is_away(self) -> None:
        self._asking = False
        if not self.present and self.competes and self._grant is None:
            self._rest("waits for Redis, which knows the host that may run beat")

    def _rest(self, message: str) -> None:
        """Stay without a process, for this reason."""
        if not self.present:
            self._feed(Input.HALT, message)

    # Reports of its agent.

    def on_report(self, report: ProcessReport) -> None:
        match report:
            case Claim():
                self._jobs.begin(self._answer(report))
            case Sent():
                self._jobs.begin(self._holder.sent(report.fence, report.runs))
            case Begin():
                self._holder.begin(report.fence, report.runs, report.lock)
            case _:
                super().on_report(report)

    def _on_hello(self, hello: Hello) -> None:
        super()._on_hello(hello)
        if self.instance is not None and not hello.error:
            self._hand_over(self.instance)

    def _hand_over(self, instance: Instance) -> None:
        grant = self._holder.grant if self._grant else Grant(0, {})
        instance.agent.send(Lease(fence=grant.fence, runs=dict(grant.runs), lock=grant.lock))

    async def _answer(self, claim: Claim) -> None:
        fresh = time.clock_gettime(time.CLOCK_BOOTTIME) - claim.asked < CLAIM_COUNTS
        granted = fresh and await self._holder.claim(claim.fence)
        if self.instance is not None:
            self.instance.agent.send(Claimed(number=claim.number, granted=granted))
            if granted:  # what is sent and not noted may be sent again: a KILL must not come before the broker's answer
                self.instance.agent.ticks.expect(SEND_WITHIN)
        if granted and not claim.confirms:
            await self._holder.sent(claim.fence, {claim.entry: claim.at})

    # Its end.

    @property
    def _relaunches(self) -> bool:
        return super()._relaunches and self._grant is not None

    def _on_exit(self, event: Input, message: str) -> None:
        super()._on_exit(event, message)
        if self._grant is not None and self.status.state in {"stopped", "fatal"}:
            self.competes = False  # another host may have more luck
        if not self.configured:
            self.competes = False
        self._holder.hurry()
