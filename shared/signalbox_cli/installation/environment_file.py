"""Environment file: the settings of all services, as a shell and systemd (`EnvironmentFile=`) read them."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from signalbox_cli.errors import Refused
from signalbox_cli.installation.private_file import write_private

_HEADING = """\
# Settings of Signalbox, for systemd (EnvironmentFile=) and for a shell (set -a; . ./{name}; set +a).
# It holds secrets. A host that only runs a controller needs the same SIGNALBOX_REDIS_URL and SIGNALBOX_KEY.
"""


def read(path: Path) -> dict[str, str]:
    """The variables in a file; none where there is no file.

    Raises:
        Refused: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    return dict(_variable(path, line) for line in lines if line and not line.startswith(("#", ";")))


def write(path: Path, variables: Mapping[str, str]) -> None:
    """Write the variables, for the owner of the file only.

    Raises:
        Refused: it cannot be written, or a value has several lines.
    """
    for name, value in variables.items():
        if not value.isprintable():
            raise Refused(f"{name} has a character that cannot stand in {path}")
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in variables.items()]
    try:
        write_private(path, _HEADING.format(name=path.name) + "".join(lines))
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}; name another file with --environment") from error


def _variable(path: Path, line: str) -> tuple[str, str]:
    name, separator, value = line.removeprefix("export ").partition("=")
    try:
        words = shlex.split(value)
    except ValueError:
        separator = ""
    if not separator or len(words) > 1:
        raise Refused(f"{path} has a line that is not NAME=value: it begins with {name.strip()[:40]!r}")
    return name.strip(), words[0] if words else ""
