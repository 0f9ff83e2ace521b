"""How a process ended, as the kernel tells it: exit codes of strangers, victims of the out-of-memory killer."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from signalbox_agent.proc import Proc, identify
from signalbox_controller.linux.out_of_memory import Counter, counter_path, victim_of
from signalbox_controller.linux.procfs import code_of
from signalbox_controller.words import exit_words

#: Records of /dev/kmsg as Linux 6.18 wrote them: priority, number, microseconds, flags; text.
IN_A_GROUP = "3,812,14535072007,-;Memory cgroup out of memory: Killed process 7661 (python3) total-vm:75172kB, UID:0"
ON_THE_MACHINE = "3,900,99,-;Out of memory: Killed process 42 (celery worker: x) total-vm:1kB, anon-rss:1kB"


@pytest.mark.parametrize(
    ("record", "pid"),
    [
        (IN_A_GROUP, 7661),
        (ON_THE_MACHINE, 42),
        ("6,811,14535071980,-;oom-kill:constraint=CONSTRAINT_MEMCG,task=python3,pid=7661,uid=0", None),
        # Whoever may write to the log may write this, but not as the kernel: facility 1 is "user".
        (ON_THE_MACHINE.replace("3,", "11,", 1), None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_the_victim_is_who_the_kernel_names(record: str, pid: int | None) -> None:
    assert victim_of(record) == pid


@pytest.mark.parametrize(
    ("membership", "file"),
    [
        ("0::/\n", "memory.events"),
        ("0::/system.slice/signalbox.service\n", "system.slice/signalbox.service/memory.events"),
        ("9:name=systemd:/\n4:memory:/app\n0::/app\n", "app/memory.events"),
    ],
)
def test_the_victims_of_ones_own_control_group_are_counted(tmp_path: Path, membership: str, file: str) -> None:
    assert counter_path(membership, tmp_path) == tmp_path / file


def test_a_count_that_rises_tells_of_a_victim_and_only_of_a_recent_one(tmp_path: Path) -> None:
    file = tmp_path / "memory.events"
    file.write_text("oom 3\noom_kill 2\noom_group_kill 9\n", encoding="ascii")
    counter = Counter(file)
    assert not counter.rose()
    file.write_text("oom 4\noom_kill 3\n", encoding="ascii")
    assert counter.rose()
    counter.rose_at -= 60.0
    assert not counter.rose()


def test_no_count_is_no_answer(tmp_path: Path) -> None:
    assert not Counter(tmp_path / "missing").readable


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        ("no", "signal 9 (SIGKILL)"),
        ("yes", "signal 9 (SIGKILL), by the kernel: out of memory"),
        ("unseen", "signal 9 (SIGKILL); whether memory ran out cannot be seen from here"),
    ],
)
def test_the_words_say_as_much_as_is_known(memory: str, words: str) -> None:
    assert exit_words(-9, memory) == words  # type: ignore[arg-type]


class Stranger:
    """A process whose parent is asked nothing: only the kernel tells how it ended."""

    def __init__(self, code: str) -> None:
        self.popen = subprocess.Popen([sys.executable, "-c", code])
        self.proc = identify(self.popen.pid) or Proc(0, 0)
        self.pidfd = os.pidfd_open(self.popen.pid)

    def wait(self) -> None:
        """Until it is dead; it stays a zombie."""
        assert select.select([self.pidfd], [], [], 10.0)[0]


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    one = Stranger("import time; time.sleep(60)")
    yield one
    one.popen.kill()
    one.popen.wait()
    os.close(one.pidfd)


def test_the_exit_of_a_process_that_is_not_ours_is_known(stranger: Stranger) -> None:
    assert code_of(stranger.proc) is None
    os.kill(stranger.proc.pid, signal.SIGKILL)
    stranger.wait()
    assert code_of(stranger.proc) == -signal.SIGKILL
    stranger.popen.wait()
    assert code_of(stranger.proc) is None


def test_another_process_of_the_same_pid_is_not_taken_for_it(stranger: Stranger) -> None:
    os.kill(stranger.proc.pid, signal.SIGKILL)
    stranger.wait()
    assert code_of(Proc(stranger.proc.pid, stranger.proc.started - 1)) is None


def test_an_exit_code_is_told_as_it_is() -> None:
    one = Stranger("raise SystemExit(3)")
    one.wait()
    assert code_of(one.proc) == 3
    one.popen.wait()
    os.close(one.pidfd)
