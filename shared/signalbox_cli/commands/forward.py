"""Forwarding of the trail: `signalbox audit forward` sends each line elsewhere, in order, and at least once.

Each line is verified on its way: one whose hash is wrong is not sent, and ends the command.
"""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import httpx
import msgspec

from signalbox.trail.line import End, Ends, TrailLine, digest
from signalbox_cli.api.http import Api
from signalbox_cli.errors import Refused, Unreachable
from signalbox_cli.installation.private_file import write_private
from signalbox_cli.options import connected
from signalbox_cli.output.log_line import append_line, send_to_syslog
from signalbox_cli.output.table import say

ENDS, EXPORT = "/scheduler/audit/", "/scheduler/audit/export/"
#: Lines that are sent at a time; the place is noted after each.
AT_ONCE = 200
#: Seconds between two looks, and of the first and the longest pause after a failure.
EVERY, PAUSE = 2.0, (1.0, 60.0)
#: Seconds for an answer of a webhook.
WEBHOOK_TIMEOUT = 15.0

#: Sends lines of JSON; raises Refused or Unreachable.
Send = Callable[[list[bytes]], None]

_File = click.Path(dir_okay=False, path_type=Path)


class ChainBroken(Refused):
    """A line is not what was chained; nothing after it is sent."""


@click.command("forward")
@click.option("--state", type=_File, required=True, metavar="FILE", help="Where the place is kept that was reached.")
@click.option("--file", type=_File, metavar="FILE", help="Append the lines to this file.")
@click.option("--syslog", metavar="ADDRESS", help="Send them there: a socket, as in /dev/log, or HOST:PORT (UDP).")
@click.option("--webhook", metavar="URL", help="POST them there as JSON lines; any 2xx is an answer.")
@click.option("--once", is_flag=True, help="Send what is there, and end.")
@connected
def forward(
    api: Api, *, as_json: bool, state: Path, file: Path | None, syslog: str | None, webhook: str | None, once: bool
) -> None:
    """Send each chained line of the trail elsewhere, from the first one on; go on where it ended the last time.

    What cannot be delivered is tried again for as long as it takes. A line may come twice.
    """
    del as_json  # it answers nothing
    send = _target(file, syslog, webhook)
    pause = PAUSE[0]
    while True:
        try:
            forward_all(api, state, send)
        except (Refused, Unreachable) as error:
            if once or isinstance(error, ChainBroken):
                raise
            say(f"{error.format_message()} Trying again.", err=True)
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - jitter
            pause = min(pause * 2, PAUSE[1])
        else:
            if once:
                return
            pause = PAUSE[0]
            time.sleep(EVERY)


def forward_all(api: Api, state: Path, send: Send) -> None:
    """Send all lines after the place in `state`.

    Raises:
        ChainBroken: a line is missing, or not what was chained.
        Refused, Unreachable: it could not be read or delivered; what was, is noted.
    """
    place = _place(_read(state), msgspec.convert(api.get(ENDS), Ends))
    for batch in _batches(api, place.number):
        for line in batch:
            place = _next(place, line)
        send([msgspec.json.encode(line) for line in batch])
        write_private(state, msgspec.json.encode(place).decode())


def _place(reached: End | None, ends: Ends) -> End:
    if reached is None:
        return ends.cut
    if reached.number < ends.cut.number:
        say(
            f"The lines {reached.number + 1} to {ends.cut.number} were removed by retention before they were sent.",
            err=True,
        )
        return ends.cut
    if reached.number > ends.head.number:
        raise ChainBroken(
            f"Line {reached.number} was sent, and the chain ends at {ends.head.number}: lines were removed."
        )
    return reached


def _next(place: End, line: TrailLine) -> End:
    number = place.number + 1
    if line.number != number or line.lost or digest(place.hash, line) != line.hash:
        raise ChainBroken(f"Line {number} is missing or was changed; run: signalbox audit verify. It is not sent.")
    return End(number=number, hash=line.hash, at=line.at)


def _batches(api: Api, after: int) -> Iterator[list[TrailLine]]:
    batch: list[TrailLine] = []
    for text in api.stream_lines(EXPORT, {"format": "jsonl", "after": after}):
        line = msgspec.json.decode(text, type=TrailLine)
        if line.number is None:
            break
        batch.append(line)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _read(state: Path) -> End | None:
    try:
        return msgspec.json.decode(state.read_bytes(), type=End)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ChainBroken(f"{state} cannot be read: {error}; remove it to send everything again.") from error


def _target(file: Path | None, syslog: str | None, webhook: str | None) -> Send:
    targets: list[Send] = []
    if file:
        targets.append(lambda lines: append_line(file, b"\n".join(lines)))
    if syslog:
        targets.append(lambda lines: send_to_syslog(syslog, *lines))
    if webhook:
        targets.append(lambda lines: _post(webhook, lines))
    if len(targets) != 1:
        raise click.UsageError("Give one of --file, --syslog and --webhook.")
    return targets[0]


def _post(url: str, lines: list[bytes]) -> None:
    body, kind = b"".join(line + b"\n" for line in lines), {"Content-Type": "application/x-ndjson"}
    try:
        answer = httpx.post(url, content=body, headers=kind, timeout=WEBHOOK_TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(f"{url} does not take it: {error}.") from error
    if not answer.is_success:
        raise Refused(f"{url} answered HTTP {answer.status_code}.", answer.status_code)
