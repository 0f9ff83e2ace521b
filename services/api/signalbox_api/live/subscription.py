"""Subscription of a browser: the part of the record that it shows, and which changes belong to that; pure."""

from collections.abc import Iterator

import msgspec

from signalbox.messages.base import Outcome, Status
from signalbox.messages.ids import task_key
from signalbox_api.answers.bodies import LONGEST_TEXT
from signalbox_api.errors import BadMessage
from signalbox_api.live.changes import Change, TaskNames, TaskState

#: Letters of a text by which a list is filtered, and of an id: as many as the lists themselves take.
LONGEST = LONGEST_TEXT


class ListFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Filter of a list of tasks, as of `GET /scheduler/tasks/`; null means any."""

    status: Status | None = None
    outcome: Outcome | None = None
    host: str | None = None
    queue: str | None = None
    name: str | None = None
    #: A part of the name, the id, the error or the arguments, whatever the case.
    q: str | None = None


class Subscription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a browser shows."""

    #: A list of tasks; null: none is shown.
    tasks: ListFilter | None = None
    #: The id of a task whose page is shown, with its logs.
    task: str | None = None
    #: Processes and hosts.
    processes: bool = False
    #: The audit trail.
    commands: bool = False


class Subscribe(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="subscribe"
):
    """Message of a browser: from now on it shows something else; null: everything."""

    subscription: Subscription | None
    #: The position that it has reached: what belongs to the new subscription and came since is sent first.
    since: str = ""


_subscription = msgspec.json.Decoder(Subscription)
_message = msgspec.json.Decoder(Subscribe)


def read_subscription(text: str | bytes) -> Subscription:
    """The subscription in this JSON.

    Raises:
        BadMessage: it is none; the text says what is wrong with it.
    """
    try:
        return _checked(_subscription.decode(text))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadMessage(f"This is no subscription: {error}") from error


def read_message(text: str | bytes) -> Subscribe:
    """The message in this JSON.

    Raises:
        BadMessage: it is none; the text says what is wrong with it.
    """
    try:
        message = _message.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadMessage(f"This is no message that this connection takes: {error}") from error
    if message.subscription is None:
        return message
    return msgspec.structs.replace(message, subscription=_checked(message.subscription))


def _checked(subscription: Subscription) -> Subscription:
    if any(len(text) > LONGEST for text in _texts(subscription.tasks)):
        raise BadMessage(f"A text in this subscription is longer than {LONGEST:,} letters")
    if subscription.task is None:
        return subscription
    if len(subscription.task) > LONGEST:
        raise BadMessage(f"The id in this subscription is longer than {LONGEST:,} letters")
    return msgspec.structs.replace(subscription, task=task_key(subscription.task))


def _texts(shown: ListFilter | None) -> Iterator[str]:
    return filter(None, msgspec.structs.astuple(shown)) if shown else iter(())


def wants(subscription: Subscription, change: Change) -> bool:
    """Whether the change belongs to what is shown: the row does, did before, or may have done so."""
    match change.kind:
        case "task":
            return subscription.task == change.key or _lists(subscription.tasks, change)
        case "log":
            return subscription.task is not None and change.task_id in {None, subscription.task}
        case "process" | "host":
            return subscription.processes
        case "command":
            return subscription.commands
        case _:
            return True


def _lists(shown: ListFilter | None, change: Change) -> bool:
    if shown is None:
        return False
    if change.names is None or change.state is None:
        return True
    if not _fits_names(shown, change.names):
        return False
    if _fits_state(shown, change.names, change.state):
        return True
    return change.before is None or _fits_state(shown, change.names, change.before)


def _fits_names(shown: ListFilter, names: TaskNames) -> bool:
    return shown.name in {None, names.name, names.celery_name}


def _fits_state(shown: ListFilter, names: TaskNames, state: TaskState) -> bool:
    return (
        shown.status in {None, state.status}
        and shown.outcome in {None, state.outcome}
        and shown.host in {None, state.host}
        and shown.queue in {None, state.queue}
        and (shown.q is None or _finds(shown.q.lower(), names, state))
    )


def _finds(text: str, names: TaskNames, state: TaskState) -> bool:
    return text in names.text or (state.error is not None and text in state.error.lower())
