"""Lines and tables for a terminal, with the colours of the statuses that people know from the dashboard.

Nothing else of the command line prints: what a server says cannot act on the terminal.
"""

import os
from collections.abc import Sequence

import click

from signalbox_cli.visible import visible, visible_line

_COLOURS = {
    "running": "yellow",
    "failed": "red",
    "completed": "green",
    "pending": "bright_black",
    "online": "green",
    "stopped": "red",
    "fatal": "red",
    "offline": "red",
    "degraded": "yellow",
    "unknown": "bright_black",
}
#: A process that runs is well; a task that runs is not over.
_PROCESS_COLOURS = _COLOURS | {"running": "green"}

_GAP = "  "
_NOTHING = (None, "")


def say(text: str = "", *, err: bool = False) -> None:
    """Print text from anywhere; what would act on the terminal is made visible."""
    say_styled(visible(text), err=err)


def say_styled(text: str, *, err: bool = False) -> None:
    """Print text with colours of our own, whose other parts `plain` has made harmless.

    click drops the colours where there is no terminal, we where NO_COLOR is set.
    """
    click.echo(text, err=err, color=False if os.environ.get("NO_COLOR") else None)


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, process: bool = False) -> str:
    """Rows under headings, as wide as their widest cell; known statuses are coloured, empty columns left out."""
    columns = [
        [heading, *(plain(row[number]) for row in rows)]
        for number, heading in enumerate(headings)
        if any(row[number] not in _NOTHING for row in rows)
    ]
    widths = [max(map(len, column)) for column in columns]
    widths[-1:] = [0]  # nothing follows it that would have to be aligned
    head, *body = zip(*columns, strict=True)
    lines = [_GAP.join(click.style(cell.ljust(width), bold=True) for cell, width in zip(head, widths, strict=True))]
    lines += [
        _GAP.join(paint(cell, width, process=process) for cell, width in zip(row, widths, strict=True)) for row in body
    ]
    return "\n".join(lines)


def paint(text: str, width: int = 0, *, process: bool = False) -> str:
    """`text` padded to `width`, in the colour of the status that it is, if it is one."""
    colour = (_PROCESS_COLOURS if process else _COLOURS).get(text)
    padded = text.ljust(width)
    return click.style(padded, fg=colour) if colour else padded


def plain(value: object) -> str:
    """A cell's text: a dash for nothing; one line, in which nothing acts on the terminal."""
    return "-" if value in _NOTHING else visible_line(str(value))
