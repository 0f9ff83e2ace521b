"""Parts of Signalbox that are installed beside this command, run as programs: the command line imports none of them."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from signalbox_cli.errors import Refused

#: Seconds that one program may take; a migration of a large record takes long.
PATIENCE = 1000.0


def require(*names: str) -> None:
    """Make sure that the services of these names are installed here.

    Raises:
        Refused: some are not; the sentence says how to install them.
    """
    missing = [name for name in names if not is_installed(name)]
    if missing:
        raise Refused(
            f"{' and '.join(missing)} cannot be found beside this command; where the record is to be kept, run:"
            f" {sys.executable} -m pip install {' '.join(missing)}"
        )


def is_installed(name: str) -> bool:
    """Whether the service called `name`, as in signalbox-api, is installed here."""
    return find_spec(name.replace("-", "_")) is not None


def command(name: str) -> str:
    """What to type to run a program that is installed beside this one."""
    return str(Path(sys.executable).with_name(name))


def run(module: str, *arguments: str, environ: Mapping[str, str]) -> str:
    """Run a module as a program; its output.

    Raises:
        Refused: it failed; the text is its own last line.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, *arguments],  # what lies in the present folder is not ours
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"{module} did not end within {PATIENCE:g} s; run `signalbox setup` again") from None
    if done.returncode != 0:
        raise Refused(_last(done.stderr.splitlines()) or f"{module} ended with exit code {done.returncode}")
    return done.stdout


def _last(lines: Iterable[str]) -> str:
    """The last line that says something, without the name of the program."""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1].removeprefix("signalbox-reconciler: ").removeprefix("bootstrap: ") if said else ""
