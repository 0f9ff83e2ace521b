"""Apply of an edited configuration: what it changes is said first; then only that is changed."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Literal

from signalbox.local.protocol import ISSUER, Applied, ApplyConfiguration
from signalbox.messages.base import utc_now
from signalbox.messages.commands import AnyCommand, RestartProcesses, StartProcesses, StopProcesses
from signalbox.messages.receipts import Answered
from signalbox.messages.verdicts import MEANING
from signalbox_controller.commands.dispatcher import Dispatcher
from signalbox_controller.config.settings import Configuration
from signalbox_controller.errors import ConfigurationError, NameServiceSilent
from signalbox_controller.fleet.fleet import Fleet
from signalbox_controller.fleet.plan import Plan, plan
from signalbox_controller.launch.launcher import other_account
from signalbox_controller.linux.accounts import look_up

log = logging.getLogger(__name__)

#: Why the processes are started, stopped and restarted, for the audit trail.
REASON = "signalbox.toml was edited"
#: Seconds within which a command for this host is begun.
TTL = timedelta(seconds=60)
#: Of a new beat, and of the former ones that have not ended.
NOT_STARTED = "{} was not started, as {} has not ended: two beats must not run side by side; apply again when it has"


class Configurations:
    """The configuration that is in effect, and the way to the next one."""

    def __init__(
        self,
        host: str,
        current: Configuration,
        read: Callable[[], Configuration],
        fleet: Fleet,
        dispatcher: Dispatcher,
        users: Collection[str],
    ) -> None:
        """`read` reads the file; it raises ConfigurationError. `users` are those that agents may connect as."""
        self._host = host
        self._current = current
        self._read = read
        self._fleet = fleet
        self._users = frozenset(users)
        self._dispatcher = dispatcher
        self._one_at_a_time = asyncio.Lock()

    async def apply(self, request: ApplyConfiguration, issuer: str) -> Applied:
        """Compare the file with what runs, and change what differs, unless that was only to be said.

        Raises:
            ConfigurationError: the file makes no sense; nothing was changed.
        """
        async with self._one_at_a_time:
            configuration = await asyncio.to_thread(self._read)
            others = {report.name for report in self._fleet.external.reports()}
            await _look_up({spec.runs_as for spec in configuration.processes})
            users = {spec.runs_as for spec in configuration.processes if other_account(spec.runs_as)}
            found = plan(self._fleet.present(), configuration.processes, others, users - self._users)
            later = (*_restart_of_controller(self._current, configuration), *found.later)
            if request.dry_run:
                return Applied(host=self._host, changes=found.changes, later=later)
            for line in (*(f"{one.action} {one.name}: {one.detail}" for one in found.changes), *later):
                log.info("signalbox.toml: %s", line)
            errors = await self._carry_out(found, request.restart, issuer)
            return Applied(host=self._host, changes=found.changes, later=later, done=True, errors=errors)

    async def _carry_out(self, found: Plan, restart: Literal["rolling", "none"], issuer: str) -> tuple[str, ...]:
        """Stop, start and restart by the commands that people give, so that the audit trail has them.

        A new beat may be a former one under another name: it is not supervised before each that leaves has ended.
        """
        specs, starting = found.specs, found.of("start")
        self._fleet.reconfigure([spec for spec in specs if spec.kind != "beat" or spec.name not in starting])
        stopped = await self._order([(StopProcesses, found.of("stop"))], issuer)
        leaving = self._fleet.beats_no_longer_configured(found.of("stop"))
        held = [spec.name for spec in specs if leaving and spec.kind == "beat" and spec.name in starting]
        self._fleet.reconfigure([spec for spec in specs if spec.name not in held])
        present = self._fleet.present()
        new = [name for name in starting if name in present and present[name].wanted]  # a person may have stopped it
        changed = found.of("restart") if restart == "rolling" else ()
        started = await self._order([(StartProcesses, new), (RestartProcesses, changed)], issuer)
        waiting = (NOT_STARTED.format(name, " and ".join(leaving)) for name in held)
        return (*stopped, *waiting, *started)

    async def _order(
        self,
        orders: Sequence[tuple[type[StopProcesses | StartProcesses | RestartProcesses], Sequence[str]]],
        issuer: str,
    ) -> tuple[str, ...]:
        """Give these commands for the processes named; answer what went wrong, in words."""
        commands = [self._command(kind, processes, issuer) for kind, processes in orders if processes]
        answers = await asyncio.gather(*map(self._dispatcher.take_here, commands))
        return tuple(filter(None, map(_error, answers)))

    def _command(
        self, kind: type[StopProcesses | StartProcesses | RestartProcesses], processes: Sequence[str], issuer: str
    ) -> AnyCommand:
        now = utc_now()
        return kind(
            command_id=str(uuid.uuid4()),
            issued_by=issuer,
            issued_from=self._host,
            issued_at=now,
            expires_at=now + TTL,
            reason=REASON,
            hosts=(self._host,),
            processes=tuple(processes),
        )

    async def on_hangup(self) -> None:
        """Apply the file, as SIGHUP asks for, one process after the other."""
        try:
            applied = await self.apply(ApplyConfiguration(), f"{ISSUER}:SIGHUP@{self._host}")
        except Exception as error:  # noqa: BLE001 - a file that makes no sense changes nothing
            log.error("signalbox.toml was not applied: %s", error)  # noqa: TRY400
            return
        log.info("signalbox.toml was applied: %d changes", len(applied.changes))
        for error_text in applied.errors:
            log.error("signalbox.toml: %s", error_text)


async def _look_up(users: Collection[str]) -> None:
    try:
        await look_up(users)
    except NameServiceSilent as error:
        raise ConfigurationError(str(error)) from error


def _error(answer: Answered) -> str:
    return "" if MEANING[answer.verdict].status == "success" else answer.detail or answer.verdict


def _restart_of_controller(current: Configuration, edited: Configuration) -> tuple[str, ...]:
    """What of the file counts only when the controller is started anew."""
    parts = {"host": "host", "logs": "logs", "watches": "watch"}
    return tuple(
        f"{key}: has changed" for field, key in parts.items() if getattr(current, field) != getattr(edited, field)
    )
