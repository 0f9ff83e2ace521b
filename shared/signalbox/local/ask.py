"""`ask`: a request to the controller of this host, through its own socket; nothing else is needed."""

import socket
from pathlib import Path

from signalbox.errors import ControllerUnreachable, NotProven, UnreadableMessage
from signalbox.lines import encode_line
from signalbox.local.places import operator_socket
from signalbox.local.protocol import Reply, Request, decode_reply

#: Seconds beyond what the request itself may take.
MARGIN = 0.5
#: Bytes of an answer; a host with a thousand processes and as many running tasks needs a tenth.
REPLY_LIMIT = 16_777_216
_CHUNK = 65_536


def ask(data: Path, request: Request, wait: float = 0.0) -> Reply:
    """Send a request, which may take `wait` seconds, to the controller of this data folder; return its reply.

    Raises:
        ControllerUnreachable: there is none, we may not connect to it, or it hung up.
        NotProven: it has the request, and has not answered in time.
    """
    path = operator_socket(data)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(wait + MARGIN)
        try:
            peer.connect(str(path))
            peer.sendall(encode_line(request))
            line = _line(peer)
        except PermissionError as error:
            raise ControllerUnreachable(
                f"{path} is only for the user that the controller runs as, and for root; try sudo"
            ) from error
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise ControllerUnreachable(
                f"No controller listens at {path}; is it running, and is {data} its SIGNALBOX_DATA?"
            ) from error
        except TimeoutError as error:
            raise NotProven("The controller is at it, and has not answered in time") from error
        except OSError as error:
            raise ControllerUnreachable(f"The controller at {path} gave no answer: {error}") from error
    try:
        return decode_reply(line)
    except UnreadableMessage as error:
        raise ControllerUnreachable(f"The controller at {path} hung up, or is of another version: {error}") from error


def _line(peer: socket.socket) -> bytes:
    """The bytes up to the newline, or those that came before the other end hung up."""
    found = bytearray()
    while not found.endswith(b"\n") and len(found) < REPLY_LIMIT:
        chunk = peer.recv(_CHUNK)
        if not chunk:
            break
        found += chunk
    return bytes(found)
