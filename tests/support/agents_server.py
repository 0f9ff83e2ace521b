"""The controller's end of the agents' socket, with what it reports and publishes."""

import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from pathlib import Path

from redis.asyncio import Redis as Client

from signalbox.bus import names
from signalbox.bus.connection import connect
from signalbox.bus.consumer import entries_of
from signalbox.messages.codec import decode_event
from signalbox.messages.events import AnyEvent
from signalbox_agent.proc import identify
from signalbox_controller.agents import protocol
from signalbox_controller.agents.child_deaths import ChildDeaths
from signalbox_controller.agents.server import Agents
from signalbox_controller.agents.session import Agent
from signalbox_controller.linux.out_of_memory import OutOfMemory
from signalbox_controller.linux.reaper import Reaper
from signalbox_controller.state.outbox import Outbox
from support.stores.server import Redis
from support.streams import parts_of


class Reports:
    """A supervisor that keeps what is reported to it."""

    leased = False

    def __init__(self) -> None:
        self.words: list[str] = []

    def on_report(self, report: protocol.ProcessReport) -> None:
        match report:
            case protocol.Hello():
                self.words.append("greeted, ready" if report.ready else "greeted")
            case protocol.Claim():
                self.words.append(f"claims {report.entry}")
            case protocol.Begin():
                self.words.append(f"begins {sorted(report.runs)} under {report.fence}")
            case _:
                self.words.append(type(report).__name__)

    def on_silent(self) -> None:
        self.words.append("silent")

    def on_late(self, ticked: datetime) -> None:
        assert ticked.tzinfo is not None
        self.words.append("late")

    def on_answer(self) -> None:
        self.words.append("answers again")


class AgentsServer:
    """The controller's side: a socket, an outbox, one worker that was launched."""

    def __init__(self, redis: Client, path: Path) -> None:
        self.redis = redis
        self.path = path
        self.outbox = Outbox(redis, limit=50)
        self.agents = Agents("web-01", self.outbox, ChildDeaths(Reaper(), OutOfMemory()), lambda: ["cancelled before"])
        self.reports = Reports()
        self.agent: Agent = self.agents.expect("ours", "worker", self.reports)
        self.agent.main = identify(os.getpid())  # the test speaks for the worker

    async def events(self) -> list[AnyEvent]:
        rows = entries_of(await self.redis.xread({names.EVENTS: b"0"}))
        return [part for row in rows for part in parts_of(decode_event(row.data))]


@asynccontextmanager
async def an_agents_server(redis: Redis, path: Path) -> AsyncIterator[AgentsServer]:
    """One that listens, and publishes nothing by itself."""
    async with aclosing(connect(redis.url)) as client:
        one = AgentsServer(client, path)
        async with one.agents.listening(path):
            yield one
