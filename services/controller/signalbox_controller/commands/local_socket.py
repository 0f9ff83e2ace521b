"""Local socket of the controller: an operator on this host gives the same commands here as over the bus.

It works without Redis and PostgreSQL. Only root and the controller's own user may use it; the kernel says who it is.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from signalbox.errors import UnreadableMessage
from signalbox.lines import encode_line
from signalbox.local.protocol import (
    ISSUER,
    REQUEST_LIMIT,
    ApplyConfiguration,
    FindUnseen,
    NotDone,
    Reply,
    ShowStatus,
    Unseen,
    decode_request,
)
from signalbox.messages.commands import AnyCommand
from signalbox_controller.commands.admission import LASTING
from signalbox_controller.commands.apply import Configurations
from signalbox_controller.commands.dispatcher import Dispatcher
from signalbox_controller.errors import ConfigurationError
from signalbox_controller.host.heartbeat import Heartbeat
from signalbox_controller.linux.accounts import name_of
from signalbox_controller.linux.peers import peer_of

log = logging.getLogger(__name__)

#: Seconds within which a client has to send its request.
REQUEST_WITHIN = 5.0
#: Requests that are carried out at the same time.
AT_ONCE = 32


class LocalSocket:
    """Takes one request from each connection, and answers it on the same connection."""

    def __init__(
        self,
        host: str,
        dispatcher: Dispatcher,
        heartbeat: Heartbeat,
        find_unseen: Callable[[], Awaitable[Unseen]],
        configurations: Configurations,
    ) -> None:
        self._host = host
        self._dispatcher = dispatcher
        self._heartbeat = heartbeat
        self._find_unseen = find_unseen
        self._configurations = configurations
        self._slots = asyncio.Semaphore(AT_ONCE)

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        """Take requests until the body ends."""
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - before anything else runs
        server = await asyncio.start_unix_server(self._serve, path, limit=REQUEST_LIMIT)
        path.chmod(0o600)  # noqa: ASYNC240 - nobody else can enter the folder meanwhile
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)  # noqa: ASYNC240

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._slots:
                writer.write(encode_line(await self._reply(reader, writer)))
                await writer.drain()
        except (OSError, TimeoutError) as error:
            log.info("A client of the local socket did not wait for the answer: %s", error or "time-out")
        finally:
            writer.close()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Reply:
        async with asyncio.timeout(REQUEST_WITHIN):
            try:
                line = await reader.readline()
            except ValueError as error:  # too long
                return NotDone(message=f"That is not a request of this version: {error}")
        if (uid := peer_of(writer.get_extra_info("socket")).uid) not in {0, os.getuid()}:
            log.warning("User id %d may not give commands here: refused", uid)
            return NotDone(message="Only root and the user that the controller runs as may give commands here.")
        try:
            request = decode_request(line)
        except UnreadableMessage as error:
            return NotDone(message=f"That is not a request of this version: {error}")
        if isinstance(request, ShowStatus):
            return self._heartbeat.status()
        if isinstance(request, FindUnseen):
            return await self._find_unseen()
        return await self._answer(request, f"{ISSUER}:{await name_of(uid)}@{self._host}")

    async def _answer(self, request: AnyCommand | ApplyConfiguration, issuer: str) -> Reply:
        if isinstance(request, ApplyConfiguration):
            return await self._apply(request, issuer)
        return await self._carry_out(request, issuer)

    async def _apply(self, request: ApplyConfiguration, issuer: str) -> Reply:
        try:
            return await self._configurations.apply(request, issuer)
        except ConfigurationError as error:
            return NotDone(message=f"Nothing was changed: {error}")

    async def _carry_out(self, command: AnyCommand, issuer: str) -> Reply:
        command = msgspec.structs.replace(command, issued_by=issuer, issued_from=self._host)
        if not isinstance(command, LASTING):
            if not set(command.hosts) <= {self._host}:
                return NotDone(message=f"This is {self._host}; its own socket reaches no other host.")
            command = msgspec.structs.replace(command, hosts=(self._host,))
        return await self._dispatcher.take_here(command)
