"""Log lines of the command line: appended to a file, or sent to syslog."""

import os
import socket
from pathlib import Path

from signalbox_cli.errors import Refused

#: Facility authpriv (10), severity notice (5); RFC 3164, section 4.1.1.
_PRIORITY = 10 * 8 + 5
_TIMEOUT = 5.0


def append_line(file: Path, line: bytes) -> None:
    """Append a line, so that it is on disk; a new file is for its owner only.

    Raises:
        Refused: it cannot be written.
    """
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as opened:
            opened.write(line + b"\n")
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error}.") from error


def send_to_syslog(address: str, *lines: bytes) -> None:
    """Send lines to a local socket (a path) or to HOST:PORT by UDP, which says nothing of whether they came.

    Raises:
        Refused: one cannot be sent.
    """
    try:
        if address.startswith("/"):
            family, target = socket.AF_UNIX, address
        else:
            host, _, port = address.rpartition(":")
            family, *_, target = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]  # type: ignore[assignment]
        with socket.socket(family, socket.SOCK_DGRAM) as sending:
            sending.settimeout(_TIMEOUT)
            for line in lines:
                sending.sendto(b"<%d>signalbox: %b" % (_PRIORITY, line), target)
    except (OSError, ValueError) as error:
        raise Refused(f"{address} does not take it: {error}; give a socket, as in /dev/log, or HOST:PORT.") from error
