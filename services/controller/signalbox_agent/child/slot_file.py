"""Slot file of a pool child: its present task and those before, written as each begins and ends.

It lies beside the controller's socket, in `<instance>.children/<pid>`. Its places are used in turns, each holds a line
of JSON in a page of its own, and a write takes 3 to 5 µs. The page cache keeps what a process wrote when it is killed,
and a KILL does not cut a write within one page in two: so a run that has ended is known as such by whoever survives,
the worker's agent or the controller. A reader that has stopped the child (SIGSTOP) learns which task a signal would
hit. Behind the places the tracebacks lie, written before the line that they belong to.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import stat
from functools import lru_cache

from signalbox_agent.child.slot_state import SlotState

#: Bytes of a place, a page; and places: what Celery has forgotten is looked for once a second.
PLACE, PLACES = 4096, 8
#: Bytes of a place for the event of a start; and places.
START, STARTS = 8192, 2
#: Bytes of a traceback; its end tells most.
TRACEBACK = 16_384
#: Tries to read a line that the child is writing just now.
TRIES = 3


@lru_cache(maxsize=1_000)
def left_path(folder: str, pid: int | None) -> str:
    """The file with the number of processes that the present task of a child has left running."""
    return os.path.join(folder, f"{pid}.left")


def starts_path(folder: str, pid: int | None) -> str:
    """The file with the starts of a child, or a pattern for those of all."""
    return os.path.join(glob.escape(folder) if pid is None else folder, f"{'*' if pid is None else pid}.starts")


def folder_of(controller: str, instance: str) -> str:
    """The folder of the slots of this launch; `controller` is the path of the socket."""
    return os.path.join(os.path.dirname(controller), f"{instance}.children")


def place_at(number: int) -> int:
    """Where the line of this run lies."""
    return number % PLACES * PLACE


def traceback_at(number: int) -> int:
    """Where the traceback of this run lies."""
    return PLACES * PLACE + number % PLACES * TRACEBACK


def traceback_of(number: int, text: str) -> bytes:
    """A traceback as it is written: the number of the run, and the end of the text."""
    head = b"%d\n" % number
    return head + text.encode(errors="replace")[-(TRACEBACK - len(head) - 1) :] + b"\0"


def read_folder(folder: str) -> dict[int, list[SlotState]]:
    """The runs of each child that has a slot in this folder, by its pid."""
    try:
        pids = [int(name) for name in os.listdir(folder) if name.isdigit()]
    except OSError:
        return {}
    return {pid: read_all(os.path.join(folder, str(pid))) for pid in pids}


def read_starts(folder: str) -> list[bytes]:
    """The events of the latest starts in each child, two at most, in no order."""
    found: list[bytes] = []
    for path in glob.glob(starts_path(folder, None)):
        with contextlib.suppress(OSError):
            data = _contents(path, STARTS * START)
            lines = [data[at : at + START].partition(b"\n")[0].strip(b"\0") for at in range(0, STARTS * START, START)]
            found += filter(None, lines)
    return found


def _contents(path: str, limit: int) -> bytes:
    """So many bytes of a file; the user whose worker wrote it may have put anything there: a pipe, a device, a link.

    Raises:
        OSError: it is not there, or no regular file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "no regular file", path)
        return os.read(handle, limit)
    finally:
        os.close(handle)


def read_all(path: str) -> list[SlotState]:
    """The runs in a slot, the latest last."""
    for _ in range(TRIES):
        try:
            data = _contents(path, PLACES * (PLACE + TRACEBACK))
        except OSError:
            return []
        lines = [data[at : at + PLACE].partition(b"\n")[0].strip(b"\0") for at in range(0, PLACES * PLACE, PLACE)]
        with contextlib.suppress(ValueError):
            return sorted((_decode(line, data) for line in lines if line), key=lambda one: one.number)
    return []


def _read_traceback(data: bytes, number: int) -> str:
    """The traceback of this run, if it is there."""
    head, _, text = data[traceback_at(number) :][:TRACEBACK].partition(b"\0")[0].partition(b"\n")
    return text.decode(errors="replace") if head == b"%d" % number else ""


def read(path: str) -> SlotState | None:
    """The latest run in a slot."""
    states = read_all(path)
    return states[-1] if states else None


def _decode(line: bytes, data: bytes) -> SlotState:
    """A line of a slot, with its traceback from the rest of the file.

    A line of an older agent, which lives on through an upgrade, is a word and an id.

    Raises:
        ValueError: the line is being written.
    """
    text = line.decode(errors="replace")
    if not text.startswith("["):
        word, _, task_id = text.partition(" ")
        return SlotState(word, task_id)
    number, word, began, ended, retries, acks_late, task_id, celery_name, error = json.loads(text)
    traceback = _read_traceback(data, number) if error else ""
    return SlotState(word, task_id, retries, began, ended, acks_late, celery_name, error, number, traceback)
