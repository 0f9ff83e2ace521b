"""Seeing to it that what a dead worker had taken from its broker is given back at once.

An AMQP broker does so by itself. Redis does not know who holds what: see `signalbox_agent.broker.ownership`. The work
is done by a process in the environment of the worker that died, so no broker credentials are needed here. What is owed
is on disk before anything is tried, so a controller that is killed does it after its restart.
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import msgspec

from signalbox.service import Backoff
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.launch.launcher import Launcher
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.state.remembered import RememberedTable

log = logging.getLogger(__name__)

#: Tries, with pauses of up to `LONGEST` seconds; after that the broker's own visibility time-out has to do.
TRIES = 20
LONGEST = 60.0
#: Seconds that one try may take, on top of what the helper allows itself.
DEADLINE = 70.0


class Debt(msgspec.Struct, kw_only=True):
    """What has to be given back in the name of one launch of a worker."""

    #: The process' name.
    process: str
    #: Tasks that were stopped, and must not run again.
    forget: tuple[str, ...] = ()
    #: Tasks that ran when it died by itself.
    crashed: tuple[str, ...] = ()
    tries: int = 0


class Returns:
    """What is owed, by instance, until it is settled."""

    def __init__(self, path: Path, specs: Iterable[ProcessSpec], launcher: Launcher, reaper: Reaper) -> None:
        """`path` is where it is kept.

        Raises:
            StateUnreadable: that file is damaged.
        """
        self._specs = {spec.name: spec for spec in specs}
        self._launcher = launcher
        self._reaper = reaper
        meaning = "which workers died with tasks in their hands"
        self._debts: RememberedTable[Debt] = RememberedTable(path, dict[str, Debt], meaning)
        self._owing = asyncio.Event()
        if self._debts.value:
            self._owing.set()

    def owe(self, instance: str, debt: Debt) -> None:
        """This launch of a worker is dead, and has not given back what it held."""
        spec = self._specs.get(debt.process)
        if spec is not None and spec.kind == "worker":
            self._debts.note(instance, debt)
            self._owing.set()

    async def run(self) -> None:
        """Settle what is owed, for ever."""
        backoff = Backoff(first=0.5, most=LONGEST)
        while True:
            await self._owing.wait()
            debts = dict(self._debts.value)
            settled = [await self._settle(spec, group) for spec, group in self._grouped(debts)]
            if all(settled):
                backoff.reset()
            else:
                await backoff.pause()
            if not self._debts.value:
                self._owing.clear()

    def _grouped(self, debts: Mapping[str, Debt]) -> list[tuple[ProcessSpec, dict[str, Debt]]]:
        """Workers that are alike but for their queues and size are done together."""
        groups: dict[object, tuple[ProcessSpec, dict[str, Debt]]] = {}
        for instance, debt in debts.items():
            spec = self._specs.get(debt.process)
            if spec is None:  # not configured any more: nobody knows where its broker is
                self._debts.forget(instance)
                continue
            key = (spec.app, spec.python, spec.directory, tuple(sorted(spec.environment.items())))
            groups.setdefault(key, (spec, {}))[1][instance] = debt
        return list(groups.values())

    async def _settle(self, spec: ProcessSpec, debts: Mapping[str, Debt]) -> bool:
        order = {
            "app": spec.app,
            "queues": sorted({queue for debt in debts.values() for queue in self._specs[debt.process].queues}),
            "debts": {key: {"forget": debt.forget, "crashed": debt.crashed} for key, debt in debts.items()},
        }
        names = ", ".join(sorted({debt.process for debt in debts.values()}))
        counts = await self._help(spec, msgspec.json.encode(order))
        for instance, debt in debts.items():
            debt.tries += 1
            if counts is not None or debt.tries >= TRIES:
                self._debts.value.pop(instance, None)
        self._debts.save()
        if counts is not None:
            said = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing was left"
            log.info("What %s had taken from the broker: %s", names, said)
        elif not any(instance in self._debts.value for instance in debts):
            log.error("What %s had taken from the broker returns after its visibility time-out only", names)
        return counts is not None

    async def _help(self, spec: ProcessSpec, order: bytes) -> dict[str, int] | None:
        """Run the helper; what it did, or None when it failed (its log says how)."""
        try:
            with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as told:
                given.write(order)
                given.seek(0)
                code = await self._run(spec, given, told)
                told.seek(0)
                last = told.read().rpartition(b"\n{")[2]
            return msgspec.json.decode(b"{" + last, type=dict[str, int])
        except OSError as error:
            log.warning("%s cannot be run to give back what %s had taken: %s", spec.python, spec.name, error)
        except msgspec.DecodeError:
            log.warning("Giving back what %s had taken failed (exit code %d); see its log", spec.name, code)
        return None

    def _launch(self, spec: ProcessSpec, given: IO[bytes], told: IO[bytes]) -> subprocess.Popen[bytes]:
        with self._launcher.log(spec).open("ab") as errors:
            return subprocess.Popen(
                (spec.python, "-m", "signalbox_agent.broker.restore"),
                cwd=spec.directory,
                env=self._launcher.helper_environment(spec),
                stdin=given,
                stdout=told,
                stderr=errors,
                start_new_session=True,
            )

    async def _run(self, spec: ProcessSpec, given: IO[bytes], told: IO[bytes]) -> int:
        ended = asyncio.Event()
        helper = self._launch(spec, given, told)

        def collect() -> None:
            helper.wait()
            ended.set()

        self._reaper.leave_to(helper.pid, collect)
        try:
            async with asyncio.timeout(DEADLINE):
                await ended.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(helper.pid, signal.SIGKILL)
            await ended.wait()
        finally:
            if not ended.is_set():  # we are ending: it has a deadline of its own
                self._reaper.forget(helper.pid)
                helper.returncode = 0
        return helper.returncode
