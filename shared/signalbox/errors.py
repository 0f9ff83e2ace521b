"""Errors of Signalbox, as one tree.

SignalboxError
├── SettingsError          a setting is missing or makes no sense
├── MessageError           bytes that are not a message of ours
│   ├── UnreadableMessage      not JSON, or of no known type or shape
│   └── BadSignature           not signed with our key
├── BusUnavailable         Redis does not answer
│   └── BusMalformed           a key holds what none of us wrote
├── DatabaseUnavailable    PostgreSQL does not answer
│   └── QueryTimeout           it ended a statement that took longer than its limit
├── ControllerUnreachable  no controller answers on this host's own socket
├── LoopDied               a loop of a service ended that must not end
├── MigrationError         the tables cannot be brought up to date
└── CommandError           a command was given and did not succeed
    ├── UnknownHost            no controller of that name is known
    ├── UnknownTask            no worker and no record knows the task
    ├── TaskAlreadyFinished    it ended before it could be cancelled
    ├── CannotCancel           the pool cannot kill a single task
    ├── StillAlive             the process outlived SIGKILL
    └── NotProven              no proof came within the wait
"""


class SignalboxError(Exception):
    """Base of every error that Signalbox raises on purpose; its text is meant for a person."""


class SettingsError(SignalboxError):
    """A setting is missing or makes no sense; the text names it and says what to set."""


class MessageError(SignalboxError):
    """Bytes on the bus that are not an acceptable message."""


class UnreadableMessage(MessageError):
    """Not JSON, or of no known type, or with a field of the wrong shape."""


class BadSignature(MessageError):
    """The signature is missing or was not made with our key."""


class BusUnavailable(SignalboxError):
    """Redis does not answer, so nothing can be published or read."""


class BusMalformed(BusUnavailable):
    """A key holds a value that none of us wrote; it was put aside, or will be: try again."""


class DatabaseUnavailable(SignalboxError):
    """PostgreSQL does not answer, so the record can be neither read nor written."""


class DatabaseConflict(DatabaseUnavailable):
    """PostgreSQL works, and has rolled a transaction back as it met another one; to be tried again at once."""


class QueryTimeout(DatabaseUnavailable):
    """PostgreSQL works, and has ended a statement that took longer than the `statement_timeout` of its connection."""


class ControllerUnreachable(SignalboxError):
    """The controller of this host cannot be asked through its own socket."""


class LoopDied(SignalboxError):
    """A loop in the background of a service ended without having been cancelled."""


class MigrationError(SignalboxError):
    """The tables cannot be brought up to date with the code; waiting does not heal it."""


class CommandError(SignalboxError):
    """A command was given and did not succeed."""


class UnknownHost(CommandError):
    """The command names a host that nobody knows; nothing was done anywhere."""


class UnknownTask(CommandError):
    """No worker and no record knows a task of this id."""


class TaskAlreadyFinished(CommandError):
    """The task ended by itself before it could be cancelled; it keeps its result."""


class CannotCancel(CommandError):
    """The worker's pool cannot kill a single task; the process can be stopped instead."""


class StillAlive(CommandError):
    """A process outlived SIGKILL; it is still there, and so is its task."""


class NotProven(CommandError):
    """The command is under way, but no proof came within the wait."""
