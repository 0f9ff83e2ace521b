"""The peer of a Unix socket, as the kernel knows it and not as it presents itself."""

import socket
import struct

import msgspec

#: struct ucred of unix(7): pid, uid, gid.
_CREDENTIALS = struct.Struct("iII")


class Peer(msgspec.Struct, frozen=True):
    """The process that connected."""

    #: As we count; 0 when it lives in a pid namespace that we cannot see into.
    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer:
    """The other end of a connected Unix socket (SO_PEERCRED)."""
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(pid, uid)
