"""`python -m signalbox_local up`, and `python -m signalbox_local task …`."""

import argparse
import sys


def main() -> int:
    """Read the command line and the environment, and run; a Ctrl-C before anything runs ends it without a word."""
    try:
        return _main()
    except KeyboardInterrupt:
        return 130


def _main() -> int:
    # Imported here: on a slow machine that takes long enough for a Ctrl-C.
    from signalbox_local import example
    from signalbox_local.errors import LocalError
    from signalbox_local.plan import Plan
    from signalbox_local.up import up

    parser = argparse.ArgumentParser(
        prog="python -m signalbox_local",
        description="Run all of Signalbox on this machine, with the example application.",
        epilog="Environment: SIGNALBOX_PORT (8000), SIGNALBOX_DATA (.signalbox), SIGNALBOX_CONFIG, SIGNALBOX_HOSTNAME,"
        " SIGNALBOX_LOG_LEVEL; DATABASE_URL and REDIS_URL to use other stores than the embedded ones.",
    )
    parser.add_argument("command", choices=["up", "task"], help="up: run until Ctrl-C; task: send one to the example")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of task, as in: task long 60")
    given = parser.parse_args()
    if given.command == "up" and given.arguments:
        parser.error(f"up takes no {given.arguments[0]!r}")
    try:
        plan = Plan.from_env()
        if given.command == "task":
            example.send(plan.data, given.arguments)
    except LocalError as error:
        print(f"signalbox: {error}", file=sys.stderr)
        return 1
    return up(plan)


if __name__ == "__main__":
    sys.exit(main())
