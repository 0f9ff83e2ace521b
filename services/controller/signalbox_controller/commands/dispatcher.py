"""Dispatcher of commands: each is checked, carried out once by its handler, and answered."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from signalbox.bus.consumer import Entry
from signalbox.errors import BadSignature, UnreadableMessage
from signalbox.messages.base import utc_now
from signalbox.messages.codec import decode_command, decode_unknown_command, verify
from signalbox.messages.commands import (
    AllowTask,
    AnyCommand,
    CancelTask,
    CancelTasks,
    Command,
    ForgetHosts,
    RestartProcesses,
    StartProcesses,
    StopProcesses,
    UnknownCommand,
)
from signalbox.messages.events import CommandDone, CommandGiven, CommandRefused
from signalbox.messages.receipts import Answered
from signalbox.messages.verdicts import Verdict
from signalbox_controller.commands.admission import LASTING, Admission
from signalbox_controller.commands.allow import allow_task
from signalbox_controller.commands.cancel import cancel_task
from signalbox_controller.commands.cancel_many import cancel_tasks
from signalbox_controller.commands.deduplication import Deduplication
from signalbox_controller.commands.ports import Ports, Result
from signalbox_controller.commands.processes import restart_processes, start_processes, stop_processes
from signalbox_controller.commands.spread import delay_of

log = logging.getLogger(__name__)

Handler = Callable[[Any, Ports], Awaitable[Result]]

#: Exactly one handler for each command that a host carries out.
COMMAND_HANDLERS: Mapping[type[Command], Handler] = {
    CancelTask: cancel_task,
    CancelTasks: cancel_tasks,
    AllowTask: allow_task,
    StopProcesses: stop_processes,
    StartProcesses: start_processes,
    RestartProcesses: restart_processes,
}

#: The answer to a command of a newer release.
OLDER = "this controller is older than what sent it: update it"
#: Characters of an unknown type that the answer repeats.
_SHOWN = 60


class Unacceptable(Exception):
    """An entry for the dead letters; the text is the reason."""


class Dispatcher:
    """Takes entries of the command stream, many at the same time."""

    def __init__(self, ports: Ports, deduplication: Deduplication, key: str, admission: Admission) -> None:
        self._ports = ports
        self._deduplication = deduplication
        self._key = key
        self._admission = admission

    async def take(self, entry: Entry) -> None:
        """Carry out an entry; when this returns, it is done, published and durable, and may be acknowledged.

        Raises:
            Unacceptable: it belongs to the dead letters.
        """
        try:
            command = decode_command(entry.data)
        except UnreadableMessage as error:
            if (unknown := decode_unknown_command(entry.data)) is None:
                raise Unacceptable(str(error)) from error
            await self._take_unknown(unknown, entry)
            return
        try:
            verify(self._key, entry.data, entry.signature)
        except BadSignature as error:
            if self._deduplication.find(command.command_id) is None:  # or anybody could spoil the answer to a real one
                await self._refuse(command, str(error))
            raise Unacceptable(str(error)) from error
        if isinstance(command, ForgetHosts):  # for the record
            return
        if self._addressed(command) and not await self._answered_before(command):
            await self._consider(command)

    async def _take_unknown(self, command: UnknownCommand, entry: Entry) -> None:
        """Answer a command of a newer release, if it is for this host and somebody may still wait for it."""
        try:
            verify(self._key, entry.data, entry.signature)
        except BadSignature as error:  # not answered: it may bear the id of a real command
            raise Unacceptable(str(error)) from error
        if command.hosts and self._ports.host not in command.hosts:
            return
        if await self._admission.is_current(command.expires_at):
            await self._refuse(command, f"{OLDER} (it does not know {command.type[:_SHOWN]!r})")

    def _addressed(self, command: AnyCommand) -> bool:
        hosts = () if isinstance(command, LASTING) else command.hosts
        return not hosts or self._ports.host in hosts

    async def _answered_before(self, command: AnyCommand) -> bool:
        """Publish the known answer again; a command that is still being carried out is answered when it is done."""
        former = self._deduplication.find(command.command_id)
        if former is None:
            return self._deduplication.carried_out_before(command.command_id)
        if former.answer is not None:
            await self._ports.outbox.published(receipts=[former.answer])
        else:
            former.came_again = True
        return True

    async def _consider(self, command: AnyCommand) -> None:
        admission = await self._admission.of(command)
        if admission == "accepted":
            await self._carry_out(command)
        elif admission == "expired":
            expired = f"it expired at {command.expires_at:%H:%M:%S} UTC, before this host could carry it out"
            await self._refuse(command, expired)

    async def _refuse(self, command: AnyCommand | UnknownCommand, reason: str) -> None:
        log.warning("%s %s by %s: refused, as %s", _name(command), command.command_id, command.issued_by, reason)
        event = CommandRefused(at=utc_now(), host=self._ports.host, command_id=command.command_id, reason=reason)
        await self._ports.outbox.published(
            event, receipts=[self._answer(command, Result(verdict="refused", detail=reason))]
        )

    async def take_here(self, command: AnyCommand) -> Answered:
        """Carry out a command from this host and answer at once; its events are published as soon as Redis is there."""
        self._ports.outbox.put(CommandGiven(at=utc_now(), host=self._ports.host, command=command))
        result = await self._do(command)
        answer = self._answer(command, result)
        self._ports.outbox.put(*result.events, _done(answer), receipts=[answer], kept=result.kept_all)
        await self._ports.cancelled.on_disk()
        return answer

    async def _carry_out(self, command: AnyCommand) -> None:
        self._deduplication.begin(command.command_id, command.expires_at)
        result = await self._do(command)
        await asyncio.sleep(delay_of(command, result, self._ports.hosts_present()))
        answer = self._answer(command, result)
        await self._ports.outbox.published(*result.events, _done(answer), receipts=[answer])
        result.kept_all()
        if self._deduplication.finish(answer):
            await self._ports.outbox.published(receipts=[answer])
        cancelled = self._ports.cancelled
        await asyncio.gather(self._deduplication.sync(), cancelled.on_disk(), cancelled.in_redis())

    async def _do(self, command: AnyCommand) -> Result:
        try:
            result = await COMMAND_HANDLERS[type(command)](command, self._ports)
        except Exception:
            log.exception("%s %s: our own code failed", _name(command), command.command_id)
            result = _broken(command)
        log.info("%s %s by %s: %s", _name(command), command.command_id, command.issued_by, result.verdict)
        return result

    def _answer(self, command: AnyCommand | UnknownCommand, result: Result) -> Answered:
        return Answered(
            command_id=command.command_id,
            at=utc_now(),
            host=self._ports.host,
            verdict=result.verdict,
            detail=result.detail,
            task_id=command.task_id if isinstance(command, CancelTask) else None,
            task_name=result.task_name,
            proof=result.proof,
            tasks=result.tasks,
            processes=result.processes,
            tasks_killed=result.tasks_killed,
        )


def _done(answer: Answered) -> CommandDone:
    """The answer as an event for the record."""
    return CommandDone(**{field: getattr(answer, field) for field in CommandDone.__struct_fields__})


def _broken(command: AnyCommand) -> Result:
    """The result when a handler of ours raised."""
    verdict: Verdict = "unproven" if isinstance(command, LASTING) else "incomplete"
    return Result(verdict=verdict, detail="The controller failed at it; its log says how.")


def _name(command: AnyCommand | UnknownCommand) -> str:
    name = type(command).__name__
    match command:
        case CancelTask():
            return f"{name} {command.task_id}"
        case AllowTask():
            return f"{name} {command.task_id}"
        case CancelTasks():
            return f"{name} of {len(command.task_ids)} tasks"
        case UnknownCommand():
            return repr(command.type[:_SHOWN])
        case _:
            return name
