"""The peer of a Unix socket, as the kernel knows it and not as it presents itself."""

import os
import socket
import struct
from pathlib import Path

import msgspec

from signalbox_agent.proc import Proc, identify, stat

#: struct ucred of unix(7): pid, uid, gid.
_CREDENTIALS = struct.Struct("iII")
#: SO_PEERPIDFD, from Linux 6.5 on: a descriptor of the very process that connected.
_PIDFD = 77


class Peer(msgspec.Struct, frozen=True):
    """The process that connected."""

    #: As we count; 0 when it lives in a pid namespace that we cannot see into.
    pid: int
    uid: int
    #: The process itself; None where we cannot see it, or it is gone.
    proc: Proc | None = None


def peer_of(connection: socket.socket) -> Peer:
    """The other end of a connected Unix socket (SO_PEERCRED)."""
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(pid, uid, _process(connection, pid) if pid else None)


def descends(proc: Proc, ancestor: Proc) -> bool:
    """Whether a process is this one, or was started below it, by the process table."""
    seen = stat(proc.pid)
    if seen is None or seen.proc != proc:
        return False
    while seen is not None and seen.proc.started >= ancestor.started:
        if seen.proc == ancestor:
            return True
        seen = stat(seen.parent)
    return False


def _process(connection: socket.socket, pid: int) -> Proc | None:
    """The process with this pid, if it is the one that connected: a pid is given to another process later."""
    proc = identify(pid)
    try:
        descriptor = connection.getsockopt(socket.SOL_SOCKET, _PIDFD)
    except OSError:  # an older kernel, or the peer was reaped (ESRCH)
        return proc
    try:
        return proc if _pid_of(descriptor) == pid else None
    finally:
        os.close(descriptor)


def _pid_of(descriptor: int) -> int:
    """The pid of a pidfd's process; -1 once it was reaped, and until then nobody else has it (pidfd_open(2))."""
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("Pid:")), -1)
