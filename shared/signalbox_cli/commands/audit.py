"""Trail: `signalbox audit verify`, `export`, `checkpoint` and `forward`."""

import codecs
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from signalbox.errors import MessageError
from signalbox.trail.checkpoint import SHORTEST, read, sign
from signalbox.trail.line import End, Ends, TrailLine
from signalbox.trail.verify import Report, Verifier
from signalbox_cli.api.http import Api
from signalbox_cli.commands.forward import ENDS, EXPORT, forward
from signalbox_cli.errors import Refused
from signalbox_cli.options import connected, show_json
from signalbox_cli.output.log_line import append_line, send_to_syslog
from signalbox_cli.output.table import plain, say
from signalbox_cli.visible import visible, visible_json

_File = click.Path(dir_okay=False, path_type=Path)
_key_file = click.option(
    "--key-file", type=_File, metavar="FILE", help=f"The key of the checkpoints: {SHORTEST} bytes at least."
)


@click.group()
def audit() -> None:
    """Look after the trail of who did what (needs the role admin)."""


audit.add_command(forward)


@audit.command("verify")
@click.option("--checkpoint", "files", type=_File, multiple=True, metavar="FILE", help="Checkpoints that must agree.")
@_key_file
@click.option("--writers", default="", metavar="ROLES", help="The only roles of PostgreSQL that may write: a,b.")
@connected
def verify(api: Api, *, as_json: bool, files: Sequence[Path], key_file: Path | None, writers: str) -> None:
    """Compute the whole chain anew; the first line that was changed, removed, added or moved is named.

    Exit code 1: there is one. Lines of the last second may not be chained yet; nothing is proven of them.
    """
    points = [point for file in files for point in _checkpoints(file, key_file)]
    allowed = [name for name in writers.split(",") if name]
    report = _verified(api, points, allowed)
    if report.problem and report.verified == 0:  # retention may have removed lines while we read
        report = _verified(api, points, allowed)
    if as_json:
        show_json(msgspec.to_builtins(report))
    if report.problem:
        words = f"Line {report.problem.number:,}: {report.problem.what}."
        if as_json:
            sys.exit(1)
        raise Refused(f"{words} The {report.verified:,} lines before it are as they were chained.")
    if not as_json:
        _say_whole(report)


@audit.command("export")
@click.option("--format", "kind", type=click.Choice(["jsonl", "csv"]), default="jsonl", show_default=True)
@click.option("--since", metavar="TIME", help="Only lines from then on, as in 2026-01-31T00:00:00Z.")
@click.option("--until", metavar="TIME", help="Only lines before that.")
@connected
def export(api: Api, *, as_json: bool, kind: str, since: str | None, until: str | None) -> None:
    """Write the lines to standard output, in the order of the chain."""
    del as_json  # JSON lines are JSON
    query = {"format": kind, "since": since, "until": until}
    parts = api.stream(EXPORT, query)
    if sys.stdout.isatty():  # a file or a program gets what the server sent, byte by byte
        show = visible_json if kind == "jsonl" else visible
        for text in codecs.iterdecode(parts, "utf-8", "replace"):
            click.echo(show(text), nl=False)
        return
    for part in parts:
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()


@audit.command("checkpoint")
@_key_file
@click.option("--file", type=_File, metavar="FILE", help="Append it to this file.")
@click.option("--syslog", metavar="ADDRESS", help="Send it there: a socket, as in /dev/log, or HOST:PORT (UDP).")
@connected
def checkpoint(api: Api, *, as_json: bool, key_file: Path | None, file: Path | None, syslog: str | None) -> None:
    """Sign the last line of the chain and put that where PostgreSQL's administrator cannot change it.

    Without --file and --syslog it is printed. `verify --checkpoint` finds what was changed before it.
    """
    del as_json  # it is JSON
    head = msgspec.convert(api.get(ENDS), Ends).head
    signed = sign(_key(key_file), head)
    if file:
        append_line(file, signed)
    if syslog:
        send_to_syslog(syslog, signed)
    if not file and not syslog:
        say(signed.decode())


def _verified(api: Api, points: Sequence[End], allowed: Sequence[str]) -> Report:
    verifier = Verifier(msgspec.convert(api.get(ENDS), Ends), points, allowed)
    for line in api.stream_lines(EXPORT, {"format": "jsonl"}):
        verifier.take(msgspec.json.decode(line, type=TrailLine))
    return verifier.report()


def _checkpoints(file: Path, key_file: Path | None) -> list[End]:
    key = _key(key_file)
    try:
        texts = file.read_text(encoding="utf-8").splitlines()
        return [read(key, text) for text in texts if text.strip()]
    except (OSError, UnicodeDecodeError, MessageError) as error:
        raise Refused(f"{file}: {error}.") from error


def _key(file: Path | None) -> bytes:
    if file is None:
        raise click.UsageError("Checkpoints are signed: give the file of the key with --key-file.")
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise Refused(f"The key cannot be read: {error}.") from error
    if len(key) < SHORTEST:
        raise Refused(f"The key in {file} has {len(key)} bytes; it must have {SHORTEST} at least.")
    return key


def _say_whole(report: Report) -> None:
    say(f"The trail is whole: {report.verified:,} lines are as they were chained.")
    if report.checkpoints:
        say(f"It agrees with {report.checkpoints:,} checkpoints.")
    if report.unchained:
        say(f"{report.unchained:,} lines are not chained yet; nothing is proven of them.")
    if report.gaps:
        say(f"{report.gaps:,} numbers of the table have no line: rolled back, or removed before they were chained.")
    for name, count in sorted(report.writers.items()):
        say(f"  written by {plain(name)}: {count:,}")
