"""Main function of the `signalbox` command; imports nothing that may be missing."""

import sys
from importlib.util import find_spec

#: What the extra `cli` brings.
_NEEDED = ("click", "httpx")


def main() -> None:
    """Run the command line and exit with its code."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(
            f"signalbox: the command line needs {' and '.join(missing)};"
            " install it with: pip install 'celery-signalbox[cli]'"
        )
    from signalbox_cli.app import cli

    cli(prog_name="signalbox")
