"""Protocol between the controller and a watch (`signalbox_agent.agentless.watch`): JSON, one object a line."""

from collections.abc import Callable

import msgspec

from signalbox.lines import reader
from signalbox_controller.agents.protocol import Line, Numbered


class WatchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: the application to watch."""

    app: str
    host: str
    #: Whether to turn on the events of workers that send none.
    enable_events: bool
    #: Seconds of silence after which the tasks of a worker are given up.
    lost_after: float
    #: Node names of workers that have an agent.
    agents: list[str]
    #: The tasks that were open before.
    open: dict[str, "OpenTask"]


class OpenTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that an agentless worker has, as far as is known."""

    node: str
    name: str
    retries: int
    started: bool
    #: Its id, where that is not the key by which it is listed.
    id: str = ""


class Agents(Line, frozen=True, kw_only=True):
    """The node names of workers that have an agent."""

    nodes: list[str]


class Revoke(Line, frozen=True, kw_only=True):
    """Revoke this task in the workers, as far as Celery can."""

    command_id: str
    task_id: str


class Revoked(Line, frozen=True, kw_only=True):
    """The answer to a revoke; `detail` says in words what is known."""

    command_id: str
    task_id: str
    detail: str


class Nodes(Line, frozen=True, kw_only=True):
    """The node names of the workers without an agent that were heard of lately, busy or idle."""

    names: list[str]


WatchLine = Numbered | Revoked | Nodes

#: Takes a line and raises UnreadableMessage when it is something else.
decode: Callable[[bytes], WatchLine] = reader(msgspec.json.Decoder(WatchLine))
