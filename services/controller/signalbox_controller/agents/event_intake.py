"""Intake of one agent's events: numbered, corrected, into the outbox, and acknowledged once they outlive us."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import msgspec

from signalbox.errors import UnreadableMessage
from signalbox.messages.base import utc_now
from signalbox.messages.events import AnyTaskEvent, EventsLost
from signalbox_agent.cgroup import Cgroup
from signalbox_controller.agents import protocol
from signalbox_controller.agents.acknowledgements import Acknowledgements
from signalbox_controller.agents.cancel_request import CancelRequest, WithheldProof
from signalbox_controller.agents.cancel_requests import CancelRequests
from signalbox_controller.agents.child_deaths import ChildDeaths, died
from signalbox_controller.agents.protocol import Numbered, WholeRun
from signalbox_controller.agents.running import RunningTasks
from signalbox_controller.agents.stop_handshake import StopHandshake
from signalbox_controller.state.corrected import corrected
from signalbox_controller.state.outbox import Outbox

log = logging.getLogger(__name__)

Listener = Callable[[AnyTaskEvent], None]

#: Seconds from an event that is kept to its acknowledgement, which stands for all that are kept by then: each one
#: wakes the worker, and costs it as much as an event.
ACKNOWLEDGE_AFTER = 0.05


class EventIntake:
    """What one launch of a worker or beat reports of tasks, on its way to the bus."""

    def __init__(
        self,
        host: str,
        name: str,
        outbox: Outbox,
        deaths: ChildDeaths,
        runs: RunningTasks,
        requests: CancelRequests,
        stop_handshake: StopHandshake,
        send: Callable[[protocol.ControllerLine], bool],
        *,
        adopted: bool,
        cgroup: Cgroup | None,
    ) -> None:
        """`send` sends a line to the agent if it is connected, and answers whether it is; see also `Agent`."""
        self.acknowledgements = Acknowledgements()
        #: Seconds by which its clock is ahead of ours; `runs` and its slots have its times, what is published ours.
        self.ahead = 0.0
        self._host = host
        self._name = name
        self._outbox = outbox
        self._deaths = deaths
        self._runs = runs
        self._requests = requests
        self._stop_handshake = stop_handshake
        self._send = send
        self._adopted = adopted
        self._cgroup = cgroup
        self._acked = 0
        #: Whether an acknowledgement is about to be sent.
        self._acking = False
        self._listeners: set[Listener] = set()

    def take(self, line: Numbered | WholeRun) -> None:
        """Take in the event of a line, unless it is sent again after a reconnect."""
        if not self.acknowledgements.take(line.seq):
            return
        kept = self.acknowledging(line.seq)
        try:
            event = protocol.event_of(line)
        except UnreadableMessage as error:
            log.error(  # noqa: TRY400 - the text says it all
                "An event of %s is unreadable and lost: %s", self._name, error
            )
            kept()
            return
        self.acknowledgements.keep(line.seq, event)
        event = self._note(event)
        if self._requests.withhold(event, line.seq):
            return
        if died(event):
            self._publish_death(event, partial(self._outbox.put, kept=kept))
        else:
            self._outbox.put(event, kept=kept)

    def lost(self, count: int) -> None:
        """Publish that so many events were lost."""
        node = self._runs.node or self._name
        self._outbox.put(EventsLost(at=utc_now(), host=self._host, worker=node, count=count))

    def publish_death(self, event: AnyTaskEvent) -> None:
        """Publish the end of a run whose process is gone, once all that it had launched is."""
        self._publish_death(event, self._outbox.put)

    def _publish_death(self, event: AnyTaskEvent, publish: Callable[[AnyTaskEvent], None]) -> None:
        self._deaths.clean_up(event, publish, ours=not self._adopted, launch=self._cgroup)

    def _note(self, event: AnyTaskEvent) -> AnyTaskEvent:
        """Take in what happened to a task; the event as it is published."""
        msgspec.structs.force_setattr(event, "host", self._host)  # nobody else has it yet
        self._runs.note(event)
        self._stop_handshake.note(event)
        event = corrected(event, self.ahead)
        for listener in self._listeners:
            listener(event)
        return event

    @contextmanager
    def watched_by(self, listener: Listener) -> Iterator[None]:
        """Let somebody listen to what happens to its tasks; they must not do much."""
        self._listeners.add(listener)
        try:
            yield
        finally:
            self._listeners.discard(listener)

    def release(self, request: CancelRequest, *, keep_proof: bool, survivors: int = 0) -> list[WithheldProof]:
        """Close a question; proofs that were kept back are answered, or go out with what outlived KILL all the same."""
        proofs = self._requests.close(request)
        if keep_proof:
            return proofs
        for proof in proofs:
            left = proof.event.left_processes + survivors
            event = msgspec.structs.replace(proof.event, left_processes=left)
            self._outbox.put(event, kept=self.acknowledging(proof.seq))
        return []

    def acknowledging(self, seq: int) -> Callable[[], None]:
        """What the outbox has to call when the event of this number outlives the controller."""

        def kept() -> None:
            self.acknowledgements.settle(seq)
            if not self._acking:
                self._acking = True
                asyncio.get_running_loop().call_later(ACKNOWLEDGE_AFTER, self.acknowledge)

        return kept

    def acknowledge(self) -> None:
        """Send the acknowledgement that is due, if the agent is connected."""
        self._acking = False
        acked = self.acknowledgements.acked
        if self._acked != acked and self._send(protocol.Ack(seq=acked)):
            self._acked = acked

    def acknowledge_by_welcome(self) -> int:
        """The number up to which a welcome acknowledges."""
        self._acked = self.acknowledgements.acked
        return self._acked
