"""Names of all keys in Redis."""

COMMANDS = "signalbox:commands"
EVENTS = "signalbox:events"
CHANGES = "signalbox:changes"

#: Consumer groups.
RECONCILER_GROUP = "reconciler"


def host_group(host: str) -> str:
    """The group by which the controller of `host` reads commands."""
    return f"host:{host}"


def dead(stream: str) -> str:
    """The dead-letter stream: entries of `stream` that nobody could read or carry out."""
    return f"{stream}:dead"


def receipts(command_id: str) -> str:
    """The short-lived stream on which a command's answers arrive."""
    return f"signalbox:receipts:{command_id}"


def cancelling(task_id: str) -> str:
    """The lock of a task: the id of the cancel that is under way."""
    return f"signalbox:cancelling:{task_id}"


#: Sorted set of the ids of tasks that must never run, scored by the epoch second at which each may be forgotten, and
#: the stream of what was added to it lately; see `cancelled`.
CANCELLED = "signalbox:cancelled"
CANCELLED_LATELY = "signalbox:cancelled:lately"

#: Sorted set of the ids that were released, scored by the epoch second up to which what `CANCELLED` says is void.
ALLOWED = "signalbox:cancelled:allowed"


def confirmed(epoch: str) -> str:
    """How many of the events of one start of a controller the record has; see `confirmations`."""
    return f"signalbox:confirmed:{epoch}"


def set_aside(key: str) -> str:
    """What was found under `key` and was none of ours."""
    return f"{key}:malformed"


#: Sorted set of host names, scored by the epoch second (of the server's clock) at which each one's presence runs, or
#: ran, out.
PRESENCE = "signalbox:presence"


#: Sorted set of the node names of workers that have an agent, scored by the epoch second (of the server's clock) at
#: which each one is forgotten.
NODES = "signalbox:nodes"


def beat_lease(label: str) -> str:
    """A hash: which controller may run the beat of this application; kept by the controllers alone."""
    return f"signalbox:beat:{label}:lease"


def beat_runs(label: str) -> str:
    """A hash: when each entry of this application's schedule was last sent, in seconds of the epoch."""
    return f"signalbox:beat:{label}:runs"


#: The stream of questions about tasks that the record shows as waiting; see `waiting`.
WAITING = "signalbox:waiting"

#: The lock of a rolling restart: the host and the command that restart processes now.
RESTARTING = "signalbox:restarting"


def restart_called_off(command_id: str) -> str:
    """The reason why no further host begins with this restart."""
    return f"signalbox:restart-called-off:{command_id}"


def host_holder(host: str) -> str:
    """The lock of the name `host`: the controller that has it."""
    return f"signalbox:host-holder:{host}"
