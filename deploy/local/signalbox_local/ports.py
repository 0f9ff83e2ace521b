"""TCP ports on 127.0.0.1."""

import socket
from pathlib import Path
from secrets import randbelow

HOST = "127.0.0.1"
_LOWEST = 10_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int) -> bool:
    """Whether nobody listens on `port`; connections in TIME_WAIT do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port for a server that may be stopped and started again.

    Taken from below the kernel's ephemeral range. A client that keeps trying to reach a stopped server
    on an ephemeral port is sooner or later given that very port as its own, connects to itself (TCP
    simultaneous open), and holds the port for good.
    """
    highest = _ephemeral_start() - 1
    for _ in range(200):
        port = _LOWEST + randbelow(highest - _LOWEST)
        if is_free(port):
            return port
    raise OSError(f"found no free port between {_LOWEST} and {highest}")


def _ephemeral_start() -> int:
    try:
        start = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        start = 32_768
    return start if start > _LOWEST + 1000 else 32_768
