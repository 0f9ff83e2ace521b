"""Child process that is started, watched and stopped, and never outlives this one."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from signalbox_controller.linux.signals import death
from signalbox_local.errors import DidNotStart
from signalbox_local.processes.identity import Identity
from signalbox_local.processes.waiting import ended_within

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)

#: A signal, and the seconds to wait for its effect.
Step = tuple[signal.Signals, float]
#: The last resort; what outlives SIGKILL hangs in the kernel.
_KILL: Step = (signal.SIGKILL, 10.0)


class Child:
    """One process with a log file and a record of its identity in the data folder.

    It is in a session of its own: a Ctrl-C in the terminal reaches only us, and we stop things in order. When
    we die, even by SIGKILL, the kernel sends it `death_signal` (prctl(2), PR_SET_PDEATHSIG). The kernel ties
    that to the *thread* that started it, so start children from the main thread only.
    """

    def __init__(self, name: str, data: Path, *, death_signal: signal.Signals = signal.SIGTERM) -> None:
        self.name = name
        self.log = data / "logs" / f"{name}.log"
        self._record = data / "run" / name
        self._death_signal = death_signal
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self, command: Sequence[str | Path], *, environ: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> None:
        """Start it; `environ` replaces the whole environment, `stdin` is written to it and closed."""
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._process is None and self.log.exists():
            # One log per run; the one before it is kept to show why it ended.
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=environ,
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent(self._death_signal),  # noqa: PLW1509 - two system calls, bound before the fork
            )
        if stdin is not None and self._process.stdin is not None:
            with self._process.stdin as pipe:
                pipe.write(stdin.encode())
        if identity := Identity.of(self._process.pid):
            identity.save(self._record)

    @property
    def pid(self) -> int | None:
        """Its pid, None before it was first started."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs or when it was never started."""
        return None if self._process is None else self._process.poll()

    async def exited(self) -> None:
        """Wait until it ends; at once when it does not run."""
        if self._process is not None and self._process.poll() is None:
            await death(self._process.pid)
            self._process.wait()

    async def stop(self, *steps: Step) -> None:
        """Send each signal in turn and wait that many seconds for the end; SIGKILL comes last.

        Raises:
            TimeoutError: it outlived SIGKILL.
        """
        for number, timeout in (*steps, _KILL):
            if self._process is None or self._process.poll() is not None:
                break
            self._process.send_signal(number)
            if await ended_within(self._process.pid, timeout):
                self._process.wait()
        else:
            if self.running:
                raise TimeoutError(f"{self.name} (pid {self.pid}) outlived SIGKILL")
        self._record.unlink(missing_ok=True)

    async def end_leftover(self, *steps: Step) -> bool:
        """End the process that a killed earlier run left of this child; return whether there was one.

        It got its death signal already, so each step waits first and then signals.
        """
        left = Identity.load(self._record)
        found = left is not None and left.alive()
        if left is not None and found:
            for number, timeout in (*steps, _KILL):
                if await ended_within(left.pid, timeout):
                    break
                left.send(number)
        self._record.unlink(missing_ok=True)
        return found

    def last_lines(self, count: int = 15) -> str:
        """The end of its log, indented, for an error message."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 16_384))
                lines = log.read().decode(errors="replace").splitlines()[-count:]
        except OSError:
            lines = []
        return "\n".join(f"    {line}" for line in lines) or "    (nothing)"

    def failure(self, what: str) -> DidNotStart:
        """An error with `what` happened, the end of the log, and the path of the log."""
        return DidNotStart(f"{self.name} {what}; the last lines of {self.log}:\n{self.last_lines()}")


def _die_with_parent(number: signal.Signals) -> Callable[[], None]:
    parent, value, prctl, exit_now = os.getpid(), int(number), _LIBC.prctl, os._exit

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, value, 0, 0, 0)
        if os.getppid() != parent:
            exit_now(1)

    return in_child
