"""Places in a data folder that the controller and the command line share: sockets, and the agent's folder."""

import hashlib
import os
import tempfile
from pathlib import Path

#: Bytes that a socket's path may have (unix(7): 108 with the final zero).
SOCKET_PATH_LIMIT = 107

AGENTS = "agents.sock"
OPERATOR = "operator.sock"


def run_folder(data: Path) -> Path:
    """The folder of the sockets; a short one elsewhere when the data folder lies too deep for a socket's path."""
    data = data.absolute()
    run = data / "run"
    if len(os.fsencode(run / max(AGENTS, OPERATOR, key=len))) <= SOCKET_PATH_LIMIT:
        return run
    short = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    # The client may be root, and the controller not.
    owner = data.stat().st_uid if data.exists() else os.getuid()
    return Path(tempfile.gettempdir()) / f"signalbox-{owner}-{short}"


def operator_socket(data: Path) -> Path:
    """The socket on which the controller of this data folder takes commands from its own host."""
    return run_folder(data) / OPERATOR


def guest_folder(data: Path) -> Path:
    """The folder with the agent, for the PYTHONPATH of a worker that is launched by others."""
    return data.absolute() / "guest"
