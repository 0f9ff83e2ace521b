"""Place orders and send other tasks by hand: ``python -m shop long 60``. Prints the id of the task that was sent."""

import argparse
import sys
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

from kombu.exceptions import OperationalError

from shop import orders, reports, stubborn
from shop.app import BROKER_URL, app

#: Seconds for the broker to answer.
BROKER_TIMEOUT = 3.0


class Choice(NamedTuple):
    """One command: the task it sends; its default duration in seconds, or None if it takes none."""

    task: Any
    seconds: float | None
    help: str


CHOICES = {
    "order": Choice(orders.place_order, None, "an order: a chord, and a review 20 s later"),
    "long": Choice(reports.count_stock, 60.0, "a long task that can be interrupted"),
    "report": Choice(reports.sales_report, 0.5, "a chord: each region, then all together"),
    "fail": Choice(orders.charge_expired_card, None, "a task that fails"),
    "retry": Choice(orders.notify_warehouse, None, "fails twice, succeeds the third time"),
    "later": Choice(orders.ask_for_review, 30.0, "a task that waits that long before it starts"),
    "stubborn": Choice(stubborn.ignore_term, 60.0, "ignores TERM: only KILL ends it"),
    "cleanup": Choice(stubborn.slow_cleanup, 60.0, "takes 3 s to clean up after a TERM"),
    "native": Choice(stubborn.one_long_call, 20.0, "one long call of C code"),
    "subprocess": Choice(stubborn.run_subprocess, 60.0, "starts a program and waits for it"),
    "detached": Choice(stubborn.run_detached_subprocess, 60.0, "the same, in its own session"),
    "leave": Choice(stubborn.leave_program, 60.0, "starts a program and completes while that runs"),
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(prog="python -m shop", description="Send a task to the shop.")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, choice in CHOICES.items():
        command = commands.add_parser(name, help=choice.help, description=choice.help)
        if choice.seconds is not None:
            command.add_argument(
                "seconds",
                nargs="?",
                type=float,
                default=choice.seconds,
                help="duration in seconds (default: %(default)s)",
            )
    return root


def send(command: str, seconds: float | None) -> str:
    """Send the task of a command; return its id. Raises OperationalError without a broker."""
    # Before the task, because Celery's own error for a dead Redis names its result backend.
    with app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=2, interval_start=0.2, timeout=BROKER_TIMEOUT)
    task = CHOICES[command].task
    if command == "later":
        sent = task.apply_async((uuid.uuid4().hex[:8],), countdown=seconds)
    elif command == "order":
        sent = task.delay(uuid.uuid4().hex[:8])
    elif seconds is None:
        sent = task.delay()
    else:
        sent = task.delay(seconds=seconds)
    return str(sent.id)


def main(arguments: Sequence[str] | None = None) -> int:
    """Send the task of the command line; return 0 when it was sent, 1 when the broker is unavailable."""
    chosen = parser().parse_args(arguments)
    try:
        print(send(chosen.command, getattr(chosen, "seconds", None)))
    except OperationalError as error:
        print(
            f"The broker at {BROKER_URL} did not take the task ({error}). Is it running, and is SHOP_BROKER_URL right?",
            file=sys.stderr,
        )
        return 1
    return 0
