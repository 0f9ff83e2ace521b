"""Specs of supervised processes, as configured: everything that is needed to launch and to stop them."""

from pathlib import Path
from typing import Literal

import msgspec

from signalbox.messages.base import ProcessKind

#: Which unrequested exits lead to a restart.
RestartPolicy = Literal["on-failure", "always", "never"]


class AppSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One application: what is needed to run something of it."""

    #: What follows `celery -A`.
    app: str
    #: The application's name in the file.
    label: str
    directory: Path
    #: The interpreter of the user's environment.
    python: str
    #: The user's variables, resolved.
    environment: dict[str, str]
    #: The account to run it as; empty for the controller's own.
    user: str = ""
    #: Whether no arguments of its tasks leave its workers, and the patterns of what is redacted in all other texts.
    hide_arguments: bool = False
    redact: tuple[str, ...] = ()


class ProcessSpec(AppSpec, frozen=True, kw_only=True):
    """One worker or beat of one application; durations are in seconds."""

    #: Unique on the host; also the first half of Celery's node name.
    name: str
    kind: ProcessKind
    #: More arguments for Celery.
    options: tuple[str, ...]
    #: From TERM to KILL, when the process is stopped.
    stop_timeout: float
    #: From its launch until its agent connects, and again from then until it consumes (or, for beat, ticks).
    start_timeout: float = 30.0
    restart: RestartPolicy = "on-failure"
    #: Failures in a row after which it is given up.
    restart_limit: int = 8
    #: How many other workers of the application must run on the host while it is restarted.
    minimum_running: int = 0
    #: From TERM to KILL for one cancelled task, when the caller does not say.
    kill_after: float = 5.0
    #: Of a beat: seconds after the death of its host within which another host's beat takes over; 0 without a lease.
    lease: float = 0.0
    #: None: those of the application.
    queues: tuple[str, ...] = ()
    concurrency: int = 1
    pool: str = ""
    #: What comes before the interpreter on the command line, such as `nice`; it has to execute the rest in its place.
    command: tuple[str, ...] = ()
    #: Features of Celery that a worker of ours does without unless the file wants them; see `docs/celery.md`.
    gossip: bool = False
    mingle: bool = False
    heartbeat: bool = False
    events: bool = False

    @property
    def runs_as(self) -> str:
        """The account that it comes to run as: `user`, or what Celery's own option `--uid` says; empty for ours."""
        for place, option in enumerate(self.options):
            if option == "--uid":
                return "".join(self.options[place + 1 : place + 2])
            if option.startswith("--uid="):
                return option.removeprefix("--uid=")
        return self.user

    def node(self, host: str) -> str:
        """Celery's name for it; beat has none."""
        return f"{self.name}@{host}" if self.kind == "worker" else ""


class WatchSpec(AppSpec, frozen=True, kw_only=True):
    """The watch of one application's workers without an agent."""

    #: Whether to turn on the events of workers that send none.
    enable_events: bool
    #: Seconds of silence after which the tasks of a worker are given up.
    lost_after: float
