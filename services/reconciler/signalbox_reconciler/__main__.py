"""`python -m signalbox_reconciler`: write the record."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from signalbox.service import configure_logging, exit_code, run
from signalbox.settings import Settings
from signalbox_reconciler.service import migrate_only, reconciler

_DESCRIPTION = """
Reads events and commands from the bus and writes the record; the only one that does. Several may run side by side.
Environment variables: SIGNALBOX_REDIS_URL, SIGNALBOX_DATABASE_URL, SIGNALBOX_KEY,
SIGNALBOX_HOSTNAME, SIGNALBOX_LOST_AFTER (seconds until what runs on a silent host is given up), SIGNALBOX_FORGET_AFTER
(seconds until one where nothing can run is forgotten), SIGNALBOX_LOG_LEVEL.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser("signalbox-reconciler", description=_DESCRIPTION)
    parser.add_argument("--migrate-only", action="store_true", help="bring the tables up to date, and do nothing else")
    parser.add_argument(
        "--within", type=float, default=60.0, help="seconds for which --migrate-only waits for PostgreSQL (60)"
    )
    options = parser.parse_args(arguments)

    def start() -> None:
        settings = Settings.from_env()
        configure_logging(settings.log_level)
        work = migrate_only(settings, options.within) if options.migrate_only else run(reconciler(settings))
        asyncio.run(work)

    return exit_code("signalbox-reconciler", start)


if __name__ == "__main__":
    sys.exit(main())
