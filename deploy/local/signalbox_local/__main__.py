"""`python -m signalbox_local up`."""

import argparse
import sys

from signalbox_local.errors import LocalError
from signalbox_local.plan import Plan
from signalbox_local.up import up


def main() -> int:
    """Read the command line and the environment, and run."""
    parser = argparse.ArgumentParser(
        prog="python -m signalbox_local",
        description="Run all of Signalbox on this machine, with the example application.",
        epilog="Environment: SIGNALBOX_PORT (8000), SIGNALBOX_DATA (.signalbox), SIGNALBOX_CONFIG, SIGNALBOX_HOSTNAME,"
        " SIGNALBOX_LOG_LEVEL; DATABASE_URL and REDIS_URL to use other stores than the embedded ones.",
    )
    parser.add_argument("command", choices=["up"], help="up: run until Ctrl-C")
    parser.parse_args()
    try:
        plan = Plan.from_env()
    except LocalError as error:
        print(f"signalbox: {error}", file=sys.stderr)
        return 1
    return up(plan)


if __name__ == "__main__":
    sys.exit(main())
