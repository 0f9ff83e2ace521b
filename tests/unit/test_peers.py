"""Who is at the other end of a Unix socket: by the kernel, whatever the other end says."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signalbox_agent.proc import Proc, identify
from signalbox_controller.linux.peers import Peer, descends, peer_of

#: Connects, and stays until its standard input ends.
CONNECT = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.stdin.read()"


@contextmanager
def a_process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield server


def test_the_process_that_connected_is_known_by_the_kernel_and_not_once_it_is_reaped(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening(path) as server, a_process(sys.executable, "-c", CONNECT, str(path)) as process:
        connection, _ = server.accept()
        with connection:
            proc = identify(process.pid)
            assert proc is not None
            assert peer_of(connection) == Peer(process.pid, os.getuid(), proc)
            process.kill()
            process.wait()
            assert peer_of(connection).proc is None


def test_a_process_descends_from_itself_and_from_those_above_it_and_from_no_other() -> None:
    with a_process("sleep", "60") as one, a_process("sleep", "60") as other:
        us, child, stranger = identify(os.getpid()), identify(one.pid), identify(other.pid)
        assert us is not None
        assert child is not None
        assert stranger is not None
        assert [descends(child, above) for above in (child, us, stranger)] == [True, True, False]
        assert not descends(us, child)


def test_a_pid_that_is_another_process_now_descends_from_nobody() -> None:
    us = identify(os.getpid())
    assert us is not None
    assert not descends(Proc(us.pid, us.started - 1), us)
    assert not descends(us, Proc(us.pid, us.started - 1))
