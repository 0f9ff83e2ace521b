"""Launching a Celery process: its command line, its environment, its log file."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from signalbox.settings import Settings
from signalbox_controller.specs import ProcessSpec, WatchSpec

#: What goes on the PYTHONPATH of every process: the agent, and nothing else of ours.
AGENT_FOLDER = Path(__file__).parent / "agent"


class Launcher(msgspec.Struct, frozen=True, kw_only=True):
    """All that launching needs and that is the same for every process of a host."""

    host: str
    #: The controller's folders; see `folders.py`.
    logs: Path
    state: Path
    #: Where the agents find us.
    socket: Path
    #: What the processes inherit.
    environ: Mapping[str, str]

    def log(self, spec: ProcessSpec) -> Path:
        """The file that its output goes to."""
        return self.logs / f"{spec.name}.log"

    def launch(self, spec: ProcessSpec, instance: str) -> subprocess.Popen[bytes]:
        """Launch it in a session of its own; returns when the interpreter runs, long before Celery is ready.

        Raises:
            OSError: the interpreter cannot be run.
        """
        with self.log(spec).open("ab") as log:
            return subprocess.Popen(
                command_line(spec, self.host, self.state),
                cwd=spec.directory,
                env=environment(spec, instance, self.socket, self.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def inheritable(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """The controller's own environment without ours, and without any variable that holds one of our secrets.

    What an application needs of these must be given to it on purpose, in its own table of the file.
    """
    secrets = {settings.redis_url, settings.database_url, settings.key} - {""}
    return {
        name: value for name, value in environ.items() if not name.startswith("SIGNALBOX_") and value not in secrets
    }


def environment(spec: ProcessSpec, instance: str, socket: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of one process; the agent's folder comes first on its PYTHONPATH."""
    return {
        **helper_environment(spec, environ),
        "SIGNALBOX_AGENT_SOCKET": str(socket),
        "SIGNALBOX_INSTANCE": instance,
    }


def helper_environment(spec: ProcessSpec | WatchSpec, environ: Mapping[str, str]) -> dict[str, str]:
    """The same for a process of ours that needs the application, and is no agent."""
    variables = {**environ, **spec.environment}
    path = variables.get("PYTHONPATH")
    return {**variables, "PYTHONPATH": f"{AGENT_FOLDER}:{path}" if path else str(AGENT_FOLDER)}


def command_line(spec: ProcessSpec, host: str, state: Path) -> Sequence[str]:
    """What is run; Celery's own events, gossip and mingle stay off, as the agent does their work."""
    celery = (spec.python, "-m", "signalbox_agent", "-A", spec.app)
    if spec.kind == "beat":
        schedule = str(state / f"{spec.name}.schedule")
        return (*celery, "beat", "-s", schedule, "--pidfile=", "-l", "INFO", *spec.options)
    consumes = ("-Q", ",".join(spec.queues), "-c", str(spec.concurrency), "-P", spec.pool)
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return (*celery, "worker", "-n", spec.node(host), *consumes, *quiet, "-l", "INFO", *spec.options)
