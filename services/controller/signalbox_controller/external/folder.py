"""The guest folder, which brings the agent into external workers by their `PYTHONPATH`.

It holds a copy of the agent, so that a container which mounts the data folder needs nothing else.
"""

import logging
from pathlib import Path

import signalbox_agent
from signalbox_controller.state.remembered import replace_file

log = logging.getLogger(__name__)

_AGENT = Path(signalbox_agent.__file__).parent
_HOOK = "sitecustomize.py"
#: What declares `signalbox_agent.plugin` to Celery's command line, as an installed distribution would
#: (https://packaging.python.org/en/latest/specifications/entry-points/).
_DISTRIBUTION = "signalbox_agent-0.dist-info"
_METADATA = {
    "METADATA": b"Metadata-Version: 2.1\nName: signalbox-agent\nVersion: 0\n",
    "entry_points.txt": b"[celery.commands]\nsignalbox = signalbox_agent.plugin:command\n",
}


def write_folder(folder: Path, socket: Path) -> None:
    """Bring the folder up to date; a full disk keeps nobody from supervising the rest."""
    try:
        _write_files(folder, socket)
    except OSError as error:
        log.error("%s cannot be written: %s; workers that others launch cannot join", folder, error)  # noqa: TRY400
    else:
        log.info("Workers that others launch join with PYTHONPATH=%s", folder)


def _write_files(folder: Path, socket: Path) -> None:
    """Replace file by file, as a worker may be starting from the folder now.

    What an older release had more stays: its workers import some modules only when they need them.
    """
    package = folder / signalbox_agent.__name__
    for source in sorted(_AGENT.rglob("*.py")):
        target = package / source.relative_to(_AGENT)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(target, source.read_bytes())
    _write(folder / "socket", f"{socket}\n".encode())
    _write(folder / _HOOK, (_AGENT / _HOOK).read_bytes())
    (folder / _DISTRIBUTION).mkdir(mode=0o700, exist_ok=True)
    for name, content in _METADATA.items():
        _write(folder / _DISTRIBUTION / name, content)


def _write(path: Path, content: bytes) -> None:
    if not (path.is_file() and path.read_bytes() == content):
        replace_file(path, content, durable=False)
