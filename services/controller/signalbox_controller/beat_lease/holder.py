"""The holder of one beat's lease: gets it, keeps it and loses it, in one loop for each application of the host."""

import asyncio
import contextlib
import logging
import time
from typing import Protocol

from redis.exceptions import RedisError

from signalbox.errors import BusUnavailable
from signalbox_controller.beat_lease.fencing import FencingTokens
from signalbox_controller.beat_lease.record import EntryTimes, Grant, LeaseRecord, LeaseState, Renewal

log = logging.getLogger(__name__)

#: Looks and renewals within one lease time. Who takes over needs half of it to be sure, and the rest to start beat.
TURNS = 10
#: Turns without an answer of a beat, or with a tick overdue, after which it is held for hung.
HUNG = 5
#: Seconds that Redis has for one step.
STEP = 2.0


class Beat(Protocol):
    """The beat that the lease is for."""

    @property
    def competes(self) -> bool:
        """Whether it should run here, if it may."""

    @property
    def present(self) -> bool:
        """Whether there is, or may be, a process."""

    def answers(self) -> bool:
        """Ask it for a sign of life; false when it owes one from before."""

    def permit(self, taken: Grant) -> None:
        """It may run, from now on."""

    def revoke(self, why: str, *, kill: bool = False) -> None:
        """It may run no longer."""

    def released(self) -> None:
        """It has ended, and the lease is given away."""

    def stand_by(self, host: str) -> None:
        """Another host has it."""

    def redis_is_away(self) -> None:
        """Nobody can tell who has it, because Redis is away."""


class Expiry:
    """The expiry of a lease that does not change, by our own clock: its holder is gone, or only between two renewals.

    Only the time in which it could be seen counts.
    """

    def __init__(self, patience: float) -> None:
        """`patience` is in seconds."""
        self._patience = patience
        self._state: LeaseState | None = None
        self._since = 0.0

    def expired(self, state: LeaseState, now: float) -> bool:
        """Take in how it is at `now`; answer whether it has expired."""
        if state != self._state:
            self._state, self._since = state, now
        return now - self._since >= self._patience

    def forget(self) -> None:
        """Begin again: while Redis was away, its holder could not renew it either."""
        self._state = None


class LeaseHolder:
    """The loop that competes for the lease of one beat, and renews it."""

    def __init__(self, record: LeaseRecord, fencing_tokens: FencingTokens, label: str, lease: float) -> None:
        """`lease` is the time in seconds within which another host's beat is to send."""
        self._record = record
        self._fencing_tokens = fencing_tokens
        self._label = label
        self._turn = lease / TURNS
        self._patience = lease / 2
        self._expiry = Expiry(self._patience)
        #: On the loop's clock: until then, other hosts may take what this one has given up.
        self._stands_back_until = 0.0
        self._runs: dict[str, float] = {}
        self._lock = ""
        self._fence = 0
        self._restore = False
        self._silent_turns = 0
        self._hurry = asyncio.Event()

    def hurry(self) -> None:
        """Something changed: take the next turn at once."""
        self._hurry.set()

    async def run(self, beat: Beat) -> None:
        """Compete, for ever."""
        while True:
            self._hurry.clear()
            try:
                async with asyncio.timeout(STEP):
                    await self._step(beat)
            except (BusUnavailable, RedisError, TimeoutError):  # the outbox says so in the log
                self._expiry.forget()
                self._restore = True
                beat.redis_is_away()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._turn)

    async def _step(self, beat: Beat) -> None:
        if self._fence:
            await self._keep(beat)
        elif beat.competes and asyncio.get_running_loop().time() >= self._stands_back_until:
            await self._seek(beat)

    async def _keep(self, beat: Beat) -> None:
        self._silent_turns = 0 if beat.answers() else self._silent_turns + 1
        if self._silent_turns >= HUNG:
            await self._give_up_hung(beat)
        elif not beat.competes and not beat.present:
            beat.released()
            await self._record.release(self._lose())
        elif not await self._renewed():
            self._lose()
            state = await self._record.read()
            log.warning("The lease of the beat of %s was lost to %s", self._label, state.host or "nobody")
            beat.revoke(f"beat runs on {state.host or 'another host'} now")

    async def _give_up_hung(self, beat: Beat) -> None:
        log.error("The beat of %s does not tick, or does not answer: it is ended, its lease given away", self._label)
        self._stands_back_until = asyncio.get_running_loop().time() + self._patience
        fence = self._lose()
        beat.revoke("it hung", kill=True)
        await self._record.release(fence)

    async def _renewed(self) -> bool:
        whole, self._restore = self._restore, False
        renewal = await self._record.renew(self._fence, *((self._runs, self._lock) if whole else ({},)))
        if renewal is Renewal.PUT_BACK:
            renewal = await self._record.renew(self._fence, self._runs, self._lock)
        return renewal is not Renewal.LOST

    async def _seek(self, beat: Beat) -> None:
        state = await self._record.read()
        greatest = self._fencing_tokens.fence(self._label)
        self._fencing_tokens.learn(self._label, state.fence)
        if self._taken_by_another(state, greatest):
            beat.stand_by(state.host)
        elif (taken := await self._record.take(state, greatest)) is not None:
            self._fencing_tokens.learn(self._label, taken.fence)
            taken = Grant(taken.fence, _by_our_clock(taken.runs), taken.lock)
            log.info("Holds the lease of the beat of %s, fence %d", self._label, taken.fence)
            self._fence, self._runs, self._lock, self._silent_turns = taken.fence, dict(taken.runs), taken.lock, 0
            beat.permit(taken)
        else:
            self.hurry()

    def _taken_by_another(self, state: LeaseState, greatest: int) -> bool:
        """Whether to wait.

        What is older than what we know comes from a Redis that has lost its memory: its holder, should there be one,
        is given time to put it right.
        """
        if self._record.ours(state):
            return False
        free = not state.owner and state.fence >= greatest
        return not free and not self._expiry.expired(state, asyncio.get_running_loop().time())

    def _lose(self) -> int:
        fence, self._fence = self._fence, 0
        self._expiry.forget()
        return fence

    @property
    def grant(self) -> Grant:
        """The lease as it is now, for a beat that begins."""
        return Grant(self._fence, dict(self._runs), self._lock)

    async def claim(self, fence: int) -> bool:
        """Whether the beat that was permitted with this fence may send an entry now.

        Nothing is noted yet: what is due and not sent stays due, for whoever holds the lease next.
        """
        if not fence or fence != self._fence:
            return False
        try:
            async with asyncio.timeout(STEP):
                # What the next holder has to know must be there before anything is sent.
                granted = await (self._renewed() if self._restore else self._record.claim(fence))
        except (BusUnavailable, RedisError, TimeoutError):
            self._restore = True
            return False
        if not granted:
            self.hurry()
        return granted

    async def sent(self, fence: int, runs: EntryTimes) -> None:
        """Note when entries were sent, so that the next holder does not send them again."""
        if not fence or fence != self._fence:
            return
        self._learn(runs)
        try:
            async with asyncio.timeout(STEP):
                await self._record.renew(fence, {entry: self._runs[entry] for entry in runs})
        except (BusUnavailable, RedisError, TimeoutError):
            self._restore = True

    def begin(self, fence: int, runs: EntryTimes, lock: str) -> None:
        """Note from when on entries count that have never been sent, so that the next holder misses none of them."""
        if fence == self._fence:
            self._learn(runs)
            self._lock = lock
            self._restore = True

    def _learn(self, runs: EntryTimes) -> None:
        for entry, at in runs.items():
            self._runs[entry] = max(at, self._runs.get(entry, at))

    async def leave(self, beat: Beat) -> None:
        """Give it away if its beat is gone; one that runs on keeps it for the next controller."""
        if self._fence and not beat.present:
            with contextlib.suppress(BusUnavailable, RedisError, TimeoutError):
                async with asyncio.timeout(STEP):
                    await self._record.release(self._lose())


def _by_our_clock(runs: EntryTimes) -> EntryTimes:
    """A former holder whose clock was ahead must not keep us silent until ours has caught up."""
    now = time.time()
    return {entry: min(at, now) for entry, at in runs.items()}
