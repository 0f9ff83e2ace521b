"""Errors of a command, each with its exit code; the text is printed as it is.

click.ClickException
├── Refused       1: the server said no, or the work failed; its sentence is shown
└── Unreachable   3: no server answered
(click.UsageError 2: the command line itself makes no sense)
"""

from typing import IO, Any

import click

from signalbox_cli.visible import visible


class _Ending(click.ClickException):
    def show(self, file: IO[Any] | None = None) -> None:
        """Say the sentence on standard error, without a prefix that scripts would have to cut off."""
        click.echo(visible(self.format_message()), file=file, err=file is None)


class Refused(_Ending):
    """The server said no, or what it tried did not succeed; the text is the server's own."""

    exit_code = 1

    def __init__(self, message: str, status: int = 0, body: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        #: The HTTP status code.
        self.status = status
        #: What the server answered, for `--json`.
        self.body = body or {"status": "error", "message": message}


class Unreachable(_Ending):
    """No server answered; the text says which one and what to do."""

    exit_code = 3
