"""Commander: publishes a command and collects its receipts; the api, the clients and the tests all use it."""

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Literal, TypedDict, Unpack, cast

import msgspec
from redis.asyncio import Redis

from signalbox.bus import names
from signalbox.bus.clock import BusClock
from signalbox.bus.connection import bus_errors
from signalbox.bus.lock import release
from signalbox.bus.presence import RollCall, present, roll_call
from signalbox.bus.publisher import COMMANDS_LENGTH, publish_command, publish_events
from signalbox.bus.receipts import Receipts
from signalbox.client.bulk import Bulk, Progress
from signalbox.client.receipts import Collected, Patience
from signalbox.client.results import AllowResult, BulkResult, CancelResult, ForgetResult, ProcessesResult
from signalbox.errors import BusUnavailable, UnknownHost
from signalbox.messages.base import weakest
from signalbox.messages.codec import encode, sign
from signalbox.messages.commands import (
    AllowTask,
    CancelTask,
    CancelTasks,
    ForgetHosts,
    RestartProcesses,
    StartProcesses,
    StopProcesses,
)
from signalbox.messages.receipts import Answered, Concluded
from signalbox.messages.verdicts import worst_of_processes

#: Seconds after which a command that nobody carried out is refused.
COMMAND_TTL = 60.0
#: Seconds for hosts that are not present to answer all the same: they may only have lost sight of Redis.
BLINK = 3.0
#: Verdicts that hold only once no host is missing.
_UNPROVEN_ALONE = frozenset({"stopped", "started", "unknown"})

#: Publishes a cancel unless one of the same task is under way; answers the id of the one that is.
_PUBLISH_ONCE = """
local holder = redis.call('GET', KEYS[1])
if holder and redis.call('PTTL', KEYS[1]) > 0 then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'data', ARGV[4], 'sig', ARGV[5])
return ARGV[1]
"""


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """Issuer of a command: who, from where, and why, for the audit trail."""

    #: `user:alice`, `token:deploys`, `service:billing`.
    name: str
    address: str = ""
    reason: str = ""


class Targets(TypedDict, total=False):
    """Hosts and processes of a command; none means all."""

    hosts: Sequence[str]
    processes: Sequence[str]


class StopOptions(Targets, total=False):
    """Targets of a stop or a restart, and what it does to their running tasks."""

    #: `graceful` lets running tasks finish until the time-out; `immediate` does not wait.
    mode: Literal["graceful", "immediate"]
    #: Seconds that each process may take; none means what its host's configuration says.
    timeout: float | None
    #: Whether tasks that are acknowledged late and do not finish in time go back to their queue.
    redeliver: bool


class Commander:
    """Commander: publishes commands, signed with the installation's key, and waits for their receipts.

    Every method raises BusUnavailable when Redis is away: nothing is then known to have been done.
    """

    def __init__(self, redis: Redis, key: str) -> None:
        self._redis = redis
        self._key = key
        self._clock = BusClock(redis)

    async def cancel(
        self,
        task_id: str,
        issuer: Issuer,
        *,
        grace: float | None = None,
        wait: float = 10.0,
        record_wait: float = 0.0,
        holders: frozenset[str] = frozenset(),
    ) -> CancelResult:
        """Cancel a task and wait up to `wait` seconds for the proof, then up to `record_wait` for the record.

        A second cancel of a task joins the one that is under way and gets the same answers. `holders` are hosts that
        are known to run it: there is no proof without their answers.
        """
        command = CancelTask(**await self._heading(issuer), task_id=task_id, grace=grace)
        command_id, hosts = await self._publish_once(command)
        collected = await self._collect(command_id, hosts, Patience(wait, record_wait), holders=holders)
        result = _cancel_result(task_id, command_id, collected)
        if result.verdict is not None and not result.verified:
            await release(
                self._redis, names.cancelling(command.task_id), command_id
            )  # the next cancel is a command of its own
        return result

    async def cancel_many(
        self,
        task_ids: Sequence[str],
        issuer: Issuer,
        *,
        selection: str = "",
        grace: float | None = None,
        wait: float = 30.0,
        record_wait: float = 0.0,
        on_progress: Progress | None = None,
    ) -> BulkResult:
        """Cancel tasks and wait up to `wait` seconds for the proof, then up to `record_wait` for the record.

        Args:
            task_ids: any number; beyond MOST_TASKS they take several commands.
            issuer: who gives the command.
            selection: how the tasks were chosen, in words, for the audit trail.
            grace: seconds from TERM to KILL; none means what each worker's configuration says.
            wait: seconds for all hosts to answer.
            record_wait: seconds for the record, once they have.
            on_progress: is called with the tasks that are done and their total, a few times a second.
        """
        bulk = Bulk(task_ids, on_progress)
        if not bulk.parts:
            return BulkResult(command_ids=(), tasks=(), recorded=True)
        hosts = await present(self._redis)
        commands = [
            CancelTasks(**await self._heading(issuer), task_ids=part, selection=selection, grace=grace)
            for part in bulk.parts
        ]
        for command in commands:
            await publish_command(self._redis, self._key, command)
        wait = wait if hosts else min(wait, BLINK)
        patience = Patience(wait, record_wait, stragglers=wait)
        collected = [
            self._collect(command.command_id, hosts, patience, bulk.following(part))
            for part, command in enumerate(commands)
        ]
        return bulk.result([command.command_id for command in commands], await asyncio.gather(*collected))

    async def allow(self, task_id: str, issuer: Issuer, *, wait: float = 10.0, record_wait: float = 0.0) -> AllowResult:
        """Let an id run again that was cancelled; wait up to `wait` seconds for the hosts that read commands.

        Hosts that are away learn of it when they return.
        """
        command = AllowTask(**await self._heading(issuer), task_id=task_id)
        await publish_command(self._redis, self._key, command)
        async with bus_errors(self._redis):
            await self._redis.delete(names.cancelling(command.task_id))  # the next cancel is a command of its own
        hosts = await present(self._redis)
        patience = Patience(wait if hosts else 0.0, record_wait, stragglers=wait)
        collected = await self._collect(command.command_id, hosts, patience)
        verdicts = {answer.verdict for answer in collected.answers.values()}
        return AllowResult(
            task_id=task_id,
            command_id=command.command_id,
            allowed=verdicts <= {"allowed"},
            detail=_refusals(collected),
            recorded=collected.all_recorded,
            silent=collected.silent,
        )

    async def forget(self, hosts: Sequence[str], issuer: Issuer, *, wait: float = 10.0) -> ForgetResult:
        """Forget hosts that have left for good, and wait up to `wait` seconds for the record.

        It is refused where one of them reports, or is not known to the record.
        """
        command = ForgetHosts(**await self._heading(issuer), hosts=tuple(dict.fromkeys(hosts)))
        await publish_command(self._redis, self._key, command)
        clock, receipts = asyncio.get_running_loop().time, Receipts(self._redis, command.command_id)
        ends_at, answer = clock() + wait, None
        while answer is None and (left := ends_at - clock()) > 0:
            answer = next((one for one in await receipts.next(left) if isinstance(one, Answered)), None)
        return ForgetResult(
            hosts=command.hosts,
            command_id=command.command_id,
            verdict=answer.verdict if answer else None,
            detail=answer.detail if answer else "",
        )

    async def stop(
        self, issuer: Issuer, *, wait: float = 60.0, record_wait: float = 0.0, **options: Unpack[StopOptions]
    ) -> ProcessesResult:
        """Stop workers and beat; empty targets mean all. Durations are in seconds.

        Raises:
            UnknownHost: one of the hosts is not known; nothing was done.
        """
        return await self._steer(StopProcesses, issuer, options, wait, record_wait)

    async def start(
        self, issuer: Issuer, *, wait: float = 60.0, record_wait: float = 0.0, **targets: Unpack[Targets]
    ) -> ProcessesResult:
        """Start workers and beat, as `stop` stops them; empty targets mean all that are configured."""
        return await self._steer(StartProcesses, issuer, targets, wait, record_wait)

    async def restart(
        self, issuer: Issuer, *, wait: float = 600.0, record_wait: float = 0.0, **options: Unpack[StopOptions]
    ) -> ProcessesResult:
        """Restart workers and beat one after the other, with the options of `stop`; empty targets mean all that run."""
        return await self._steer(RestartProcesses, issuer, options, wait, record_wait)

    async def _steer(
        self,
        kind: type[StopProcesses | StartProcesses | RestartProcesses],
        issuer: Issuer,
        options: StopOptions | Targets,
        wait: float,
        record_wait: float,
    ) -> ProcessesResult:
        targets = {"hosts": tuple(options.get("hosts", ())), "processes": tuple(options.get("processes", ()))}
        command = kind(**{**options, **targets, **await self._heading(issuer)})
        hosts = await roll_call(self._redis)
        asked = _asked(command.hosts, hosts)
        await publish_command(self._redis, self._key, command)
        reading = asked & hosts.present
        wait = wait if reading or not asked else min(wait, BLINK)
        collected = await self._collect(
            command.command_id, reading or asked, Patience(wait, record_wait, stragglers=wait)
        )
        if asked and asked <= collected.answers.keys():
            await self._conclude(command.command_id)
        return _processes_result(command.command_id, collected, asked, hosts.away)

    async def _conclude(self, command_id: str) -> None:
        """Tell hosts that come later that it is over; it is, whether or not Redis is there to say so."""
        with contextlib.suppress(BusUnavailable):
            now = await self._clock.now()
            await publish_events(self._redis, (), [Concluded(command_id=command_id, at=now)])

    async def _heading(self, issuer: Issuer) -> dict[str, Any]:
        """The fields that every command has; its times are by the clock of the bus."""
        now = await self._clock.now()
        return {
            "command_id": str(uuid.uuid4()),
            "issued_by": issuer.name,
            "issued_from": issuer.address,
            "reason": issuer.reason,
            "issued_at": now,
            "expires_at": now + timedelta(seconds=COMMAND_TTL),
        }

    async def _publish_once(self, command: CancelTask) -> tuple[str, frozenset[str]]:
        data = encode(command)
        keys = (names.cancelling(command.task_id), names.COMMANDS)
        arguments = (command.command_id, int(COMMAND_TTL * 1000), COMMANDS_LENGTH, data, sign(self._key, data))
        async with bus_errors(self._redis, {keys[0]: "string"}):
            holder, hosts = await asyncio.gather(
                self._redis.eval(_PUBLISH_ONCE, len(keys), *keys, *arguments),
                present(self._redis),
            )
        return cast("bytes", holder).decode(errors="replace"), hosts

    async def _collect(
        self,
        command_id: str,
        hosts: frozenset[str],
        patience: Patience,
        follow: Callable[[Collected], None] = lambda _collected: None,
        holders: frozenset[str] = frozenset(),
    ) -> Collected:
        clock = asyncio.get_running_loop().time
        given, collected, receipts = clock(), Collected(hosts, holders=holders), Receipts(self._redis, command_id)
        while (left := collected.ends_at(patience) - (clock() - given)) > 0:
            for receipt in await receipts.next(left):
                collected.note(receipt, clock() - given)
            follow(collected)
        return collected


def _cancel_result(task_id: str, command_id: str, collected: Collected) -> CancelResult:
    answer = collected.answer
    return CancelResult(
        task_id=task_id,
        command_id=command_id,
        verdict=answer.verdict if answer else None,
        detail=answer.detail if answer else "",
        task_name=next((a.task_name for a in collected.answers.values() if a.task_name), ""),
        proof=answer.proof if answer else None,
        recorded=collected.all_recorded,
        silent=collected.silent,
    )


def _asked(chosen: Sequence[str], hosts: RollCall) -> frozenset[str]:
    """The hosts that a command is meant for; for a moment after Redis was emptied none is known."""
    strangers = frozenset(chosen) - hosts.known if hosts.known else frozenset()
    if strangers:
        listed = ", ".join(sorted(hosts.known))
        raise UnknownHost(f"There is no host {' or '.join(map(repr, sorted(strangers)))}; known are: {listed}")
    return frozenset(chosen) or hosts.known


def _refusals(collected: Collected) -> str:
    refused = sorted((host, a.detail) for host, a in collected.answers.items() if a.verdict == "refused")
    return "; ".join(f"{host} refused: {why}" for host, why in refused)


def _processes_result(
    command_id: str, collected: Collected, asked: frozenset[str], away: frozenset[str]
) -> ProcessesResult:
    answer = collected.answer if collected.complete else None
    verdict = worst_of_processes([a.verdict for a in collected.answers.values()]) if answer else None
    silent = asked - collected.answers.keys()
    return ProcessesResult(
        command_id=command_id,
        verdict=None if silent and verdict in _UNPROVEN_ALONE else verdict,
        detail=(answer.detail if verdict == answer.verdict else _refusals(collected)) if answer else "",
        processes=tuple(report for a in collected.answers.values() for report in a.processes),
        tasks_killed=sum(a.tasks_killed for a in collected.answers.values()),
        proof=weakest(a.proof for a in collected.answers.values()),
        recorded=collected.all_recorded,
        silent=silent,
        away=silent & away,
    )
