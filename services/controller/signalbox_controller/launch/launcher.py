"""Launcher of Celery processes: their command line, environment and log file."""

import errno
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from signalbox.settings import Settings
from signalbox_agent.tasks.privacy import PRIVACY
from signalbox_controller.config.specs import AppSpec, ProcessSpec
from signalbox_controller.launch.user_folders import UserFolders
from signalbox_controller.linux.accounts import Account, account_of, known_account

#: What a person should know of a variable that is withheld.
WITHHELD = (
    "not passed on to Celery, as it holds an address or the key of Signalbox itself;"
    ' an application that needs it is given it in its table `environment`, as in REDIS_URL = "${REDIS_URL}"'
)

#: As `Popen` takes it.
File = int | IO[bytes]


class Launcher(msgspec.Struct, frozen=True, kw_only=True):
    """Launches processes; holds what is the same for all of them."""

    host: str
    #: The controller's folders; see `folders.py`.
    logs: Path
    state: Path
    #: The folder of the copy of the agent's package; comes first on the PYTHONPATH of every process.
    agent: Path
    #: The socket for agents.
    socket: Path
    #: The variables that every process inherits.
    environ: Mapping[str, str]
    #: Those of processes that run as other users; none where there are no such processes.
    user_folders: UserFolders | None = None

    def log(self, spec: ProcessSpec) -> Path:
        """The file for the output of a process."""
        return self.logs / f"{spec.name}.log"

    def socket_of(self, spec: ProcessSpec) -> Path:
        """The socket for agents as this process is given it; its spool and its slots lie beside it."""
        account = other_account(spec.runs_as)
        return self.user_folders.socket_of(account) if account and self.user_folders else self.socket

    def is_ours(self, socket: str, user: int) -> bool:
        """Whether a process of this user is given this socket by us, be it of one that the file names no more.

        Anybody may have put it into an environment: a user of ours is given the socket in its own folder only.
        """
        path = Path(socket)
        if user == os.geteuid() and path == self.socket:
            return True
        of_users = self.user_folders.socket if self.user_folders else None
        theirs = user == os.geteuid() or path.parent.name == str(user)
        return theirs and path.name == self.socket.name and path.parent.parent / path.name == of_users

    def launch(self, spec: ProcessSpec, instance: str, cgroup: str = "") -> subprocess.Popen[bytes]:
        """Launch a process in a session of its own; return when the interpreter runs, long before Celery is ready.

        It enters the cgroup with this path, if there is one.

        Raises:
            OSError: the interpreter cannot be run, or there is no such user.
        """
        if (account := other_account(spec.runs_as)) and self.user_folders:
            self.user_folders.prepare(account)
        state = self.socket_of(spec).parent if account else self.state
        with self.log(spec).open("ab") as log:
            return subprocess.Popen(
                command_line(spec, self.host, state),
                cwd=spec.directory,
                env=self.environment(spec, instance, cgroup),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **_identity(spec),
            )

    def helper(
        self, spec: AppSpec, *arguments: str, stdin: File, stdout: File, stderr: File
    ) -> subprocess.Popen[bytes]:
        """Run the interpreter of an application for us, in a session of its own.

        Raises:
            OSError: the interpreter cannot be run, or there is no such user.
        """
        return subprocess.Popen(
            (spec.python, *arguments),
            cwd=spec.directory,
            env=self.helper_environment(spec),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            **_identity(spec),
        )

    def helper_environment(self, spec: AppSpec) -> dict[str, str]:
        """The variables of a helper process: it imports the application, and runs no agent."""
        account = other_account(spec.user)
        own = {"HOME": account.home, "USER": account.name, "LOGNAME": account.name} if account else {}
        variables = {**self.environ, **own, **spec.environment}
        path, other = variables.get("PYTHONPATH"), account or (isinstance(spec, ProcessSpec) and spec.runs_as)
        agent = self.user_folders.agent() if other and self.user_folders else self.agent
        return {**variables, **_privacy(spec), "PYTHONPATH": f"{agent}:{path}" if path else str(agent)}

    def environment(self, spec: ProcessSpec, instance: str, cgroup: str = "") -> dict[str, str]:
        """The variables of one process; the agent's folder comes first on its PYTHONPATH."""
        ours = {"SIGNALBOX_AGENT_SOCKET": str(self.socket_of(spec)), "SIGNALBOX_INSTANCE": instance}
        if cgroup:
            ours["SIGNALBOX_CGROUP"] = cgroup
        return {**self.helper_environment(spec), **ours}


def other_account(name: str) -> Account | None:
    """The account of this name, unless it is the controller's own, or there is none."""
    account = known_account(name) if name else None
    return None if account is None or account.uid == os.geteuid() else account


def _privacy(spec: AppSpec) -> dict[str, str]:
    """The variable that tells the agent, and a watch, what they must not send."""
    if not spec.hide_arguments and not spec.redact:
        return {}
    return {PRIVACY: msgspec.json.encode({"hide_arguments": spec.hide_arguments, "redact": spec.redact}).decode()}


def _identity(spec: AppSpec) -> dict[str, Any]:
    """What makes Popen launch it as its user.

    Raises:
        OSError: that user is gone, or cannot be looked up now; nothing may run with our rights instead.
    """
    if spec.user and account_of(spec.user) is None:
        raise OSError(errno.ESRCH, f"there is no user {spec.user!r} on this machine")
    account = other_account(spec.user)
    return {"user": account.uid, "group": account.gid, "extra_groups": account.groups} if account else {}


def inheritable(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """The controller's environment without Signalbox's own variables, and without any that holds one of its secrets.

    An application that needs one of them must be given it on purpose, in its own table of the file.
    """
    secret = withheld(environ, settings)
    return {name: value for name, value in environ.items() if not name.startswith("SIGNALBOX_") and name not in secret}


def withheld(environ: Mapping[str, str], settings: Settings) -> list[str]:
    """The variables of others that hold one of Signalbox's secrets: an application may miss them."""
    secrets = {settings.redis_url, settings.database_url, settings.key} - {""}
    return sorted(name for name, value in environ.items() if value in secrets and not name.startswith("SIGNALBOX_"))


def command_line(spec: ProcessSpec, host: str, state: Path) -> Sequence[str]:
    """The command line of a process."""
    celery = (*spec.command, spec.python, "-m", "signalbox_agent", "-A", spec.app)
    if spec.kind == "beat":
        schedule = str(state / f"{spec.name}.schedule")
        return (*celery, "beat", "-s", schedule, "--pidfile=", "-l", "INFO", *spec.options)
    queues = ("-Q", ",".join(spec.queues)) if spec.queues else ()
    pool = ("-c", str(spec.concurrency), "-P", spec.pool)
    return (*celery, "worker", "-n", spec.node(host), *queues, *pool, *_features(spec), "-l", "INFO", *spec.options)


def _features(spec: ProcessSpec) -> Sequence[str]:
    """Celery's own events, gossip, mingle and heartbeat stay off unless wanted, as the agent does their work."""
    off = {"--without-gossip": spec.gossip, "--without-mingle": spec.mingle, "--without-heartbeat": spec.heartbeat}
    return (*(option for option, wanted in off.items() if not wanted), *(("-E",) if spec.events else ()))
