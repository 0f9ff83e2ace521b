"""Texts from tasks, made fit for the wire and the record: short, valid UTF-8, without NUL (PostgreSQL has none)."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from signalbox_agent.tasks.privacy import redact

if TYPE_CHECKING:
    from signalbox_agent.tasks.runs import Run

#: Characters of arguments, results and errors.
LIMIT = 1_000
#: Characters of a traceback; its end tells most.
TRACEBACK_LIMIT = 20_000

#: The error of a cancelled task, for people.
REASON = "Task cancelled manually"

# What billiard says of a dead child: `Worker exited prematurely: signal 9 (SIGKILL) Job: 3.`
_HOW_IT_DIED = re.compile(r"(signal \d+(?: \(\w+\))?|exitcode -?\d+)")


def clean(text: object, limit: int = LIMIT) -> str:
    """At most `limit` characters of it."""
    short = str(text or "")
    if len(short) > limit:
        short = short[: limit - 1] + "…"
    return short if short.isascii() and "\0" not in short else _valid(short)


def private(text: object, limit: int = LIMIT) -> str:
    """At most `limit` characters of what an application may want redacted."""
    return clean(redact(str(text or "")), limit)


def _valid(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def traceback_of(einfo: Any) -> str:
    """The traceback that billiard brought from the child; of a long one the end."""
    text = str(getattr(einfo, "traceback", "") or "")
    if len(text) > 2 * TRACEBACK_LIMIT:
        text = text[-2 * TRACEBACK_LIMIT :]
        text = text.partition("\n")[2] or text  # a line that is cut may lack what a pattern looks for
    text = redact(text)
    return _valid(text if len(text) <= TRACEBACK_LIMIT else "…" + text[1 - TRACEBACK_LIMIT :])


def error_of(exception: Any) -> str:
    """`ValueError: boom`, as Python itself would print it."""
    if hasattr(exception, "exc_cls_name"):  # Celery's stand-in for what could not be pickled; its text names it
        return private(exception)
    try:
        text = str(exception)
    except Exception:  # noqa: BLE001 - the user's __str__ may do anything
        text = "(the error has no readable text)"
    name = type(exception).__name__
    return private(f"{name}: {text}" if text else name)


def refused(run: Run, command_id: str | None) -> str:
    """Why a delivery did not run; of one that came when its id had been cancelled, how that is taken back."""
    if not run.came_late:
        return REASON
    command = f" by command {command_id}" if command_id else ""
    return clean(
        f"{REASON}: refused when it came, as its id had been cancelled{command};"
        f" `signalbox allow {shlex.quote(run.task_id)}` lets it run again"
    )


def lost(pid: int | None, exception: Any) -> str:
    """Why a task has no result: in words, from billiard's WorkerLostError."""
    how = _HOW_IT_DIED.search(str(exception))
    by = f": {how.group(1)}" if how else ""
    return f"The process {pid} that ran it died{by}"
