"""Main program of the api: `signalbox-api`, or `python -m signalbox_api`."""

import argparse
import sys
import threading
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from signalbox.errors import SettingsError
from signalbox.service import configure_logging, end_after_a_death
from signalbox.settings import Settings
from signalbox_api.app import create_app
from signalbox_api.server import allow_files, config_of

#: The exit code of a server that did not begin to serve, as uvicorn's own.
NOT_STARTED = 3

_HELP = """Serves Signalbox's REST interface, live changes and dashboard.

Everything is set by environment variables: SIGNALBOX_REDIS_URL (or REDIS_URL), SIGNALBOX_DATABASE_URL (or
DATABASE_URL), SIGNALBOX_KEY; and where they should differ from 127.0.0.1, 8000 and info: SIGNALBOX_HOST,
SIGNALBOX_PORT, SIGNALBOX_LOG_LEVEL. Behind a proxy, SIGNALBOX_TRUSTED_PROXIES names its address, so that its
X-Forwarded-For, -Proto and -Host are believed, and SIGNALBOX_ROOT_PATH the path below which it serves this."""


def main() -> None:
    """Read the settings and serve; exit code 1 with a sentence when they make no sense."""
    parser = argparse.ArgumentParser(
        prog="signalbox-api", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    try:
        settings = Settings.from_env()
        app = create_app(settings)
    except SettingsError as error:
        sys.exit(f"signalbox-api: {error}")
    configure_logging(settings.log_level)
    sys.exit(_serve(app, settings))


def _serve(app: FastAPI, settings: Settings) -> int:
    """Serve until a signal, or until a loop of the app dies, which uvicorn alone would not notice; the exit code."""
    allow_files(settings.connections)
    server, died = uvicorn.Server(config_of(app, settings)), threading.Event()

    def end() -> None:
        died.set()
        server.should_exit = True

    end_after_a_death(end)
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again that has ended it
        server.run()
    if not server.started:
        return NOT_STARTED
    return 1 if died.is_set() else 0


if __name__ == "__main__":
    main()
