"""Slot of a pool child: a file with its present task and those before, written as each begins and ends.

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
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii as quote
from time import time
from typing import Any, NamedTuple

#: The body of the task runs, or is about to.
RUNNING = "running"
#: It has returned or raised by itself, and its report is not complete: a TERM waits for that, or the result backend
#: has refused the result, and Celery is about to make a failure of it.
OVER = "over"
#: A TERM has reached the body, which may be cleaning up.
INTERRUPTED = "interrupted"
#: The body is over, and a TERM, or something else that is no error of its own, has made it so.
UNWOUND = "unwound"
#: It has given its message back to the queue (`Reject` with `requeue`).
REQUEUED = "requeued"
#: Any other word is the state that Celery gave to a body that ended by itself, and that its backend has stored:
#: these, each with the status of the task, which is empty when the task comes back.
STORED = {
    "SUCCESS": "completed",
    "IGNORED": "completed",
    "FAILURE": "failed",
    "REJECTED": "failed",
    "RETRY": "",
    REQUEUED: "",
}

#: Bytes of a place, a page; and places: what Celery has forgotten is looked for once a second.
PLACE, PLACES = 4096, 8
#: Bytes of a place for the event of a start; and places.
START, STARTS = 8192, 2
#: Bytes of a traceback; its end tells most.
TRACEBACK = 16_384
#: Bytes of an id, a name and an error, as they are quoted.
ID_LIMIT, NAME_LIMIT, ERROR_LIMIT = 1200, 600, 1500
#: Tries to read a line that the child is writing just now.
TRIES = 3


class SlotState(NamedTuple):
    """One run, as its child wrote it."""

    word: str
    #: The id, or what `label` makes of a long one.
    task_id: str
    retries: int = 0
    #: Epoch, in seconds; 0.0 where it is not known, and for the end while there is none.
    began: float = 0.0
    ended: float = 0.0
    acks_late: bool = False
    celery_name: str = ""
    error: str = ""
    #: Counts the runs of the child.
    number: int = 0
    traceback: str = ""

    @property
    def stored(self) -> bool:
        """Whether it ended by itself, and its end is stored."""
        return self.word in STORED and self.ended > 0

    @property
    def status(self) -> str:
        """The status of its task, once it is stored; empty when the task comes back."""
        return STORED.get(self.word, "") if self.stored else ""

    @property
    def outcome(self) -> str:
        """The outcome of what did not return, and is over for good."""
        if self.word == "REJECTED":
            return "rejected"
        return "time_limit" if self.error.startswith("SoftTimeLimitExceeded") else "error"

    @property
    def runtime(self) -> float:
        """Seconds from its beginning to its end."""
        return max(0.0, self.ended - self.began)


def label(task_id: str) -> str:
    """The id as it stands in a slot; of one that is too long its beginning and a digest."""
    if len(quote(task_id)) <= ID_LIMIT:
        return task_id
    return f"{task_id[: ID_LIMIT // 24]}…{sha256(task_id.encode(errors='replace')).hexdigest()}"


def find(states: Iterable[SlotState], task_id: str, retries: int, started_at: float) -> SlotState | None:
    """The state of one run.

    A child begins a task after its worker's clock has taken the start, and ends it before it accepts another one: an
    earlier run of the same id has begun before that.
    """
    wanted = label(task_id)
    same = (one for one in states if (one.task_id, one.retries) == (wanted, retries) and one.began >= started_at)
    return min(same, key=lambda one: one.began, default=None)


class Slot:
    """The child's side; the file is made with the first task."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._handle: int | None = None
        self._number = 0
        self._began = 0.0
        self._run = self._label = ""

    def begin(self, task_id: str, retries: int = 0, celery_name: str = "", *, acks_late: bool = False) -> None:
        """A task begins; it takes the place of the oldest one."""
        self._number += 1
        self._began = time()
        late = "true" if acks_late else "false"
        self._label = label(task_id)
        self._run = f"{retries},{late},{quote(self._label)},{_short(celery_name, NAME_LIMIT)}"
        self.write(RUNNING)

    def write(self, word: str, error: str = "", traceback: str = "", *, ended: bool = False) -> None:
        """Write how far the present task is; a full disk must not disturb it."""
        if not self._folder:
            return
        end = time() if ended else 0
        text = _short(error, ERROR_LIMIT) if error else '""'
        line = f'[{self._number},"{word}",{self._began:.6f},{end:.6f},{self._run},{text}]\n'
        with contextlib.suppress(OSError):
            if self._handle is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._handle = os.open(os.path.join(self._folder, str(os.getpid())), flags, 0o600)
            if traceback:
                os.pwrite(self._handle, _trace(self._number, traceback), _trace_at(self._number))
            os.pwrite(self._handle, line.encode(), self._number % PLACES * PLACE)

    def note_left(self, count: int) -> None:
        """Note beside the slot how many processes the present task has left running."""
        if self._folder:
            with contextlib.suppress(OSError), open(_left(self._folder, os.getpid()), "wb") as file:
                file.write(json.dumps([self._label, count]).encode())


def _trace_at(number: int) -> int:
    return PLACES * PLACE + number % PLACES * TRACEBACK


def _trace(number: int, text: str) -> bytes:
    head = b"%d\n" % number
    return head + text.encode(errors="replace")[-(TRACEBACK - len(head) - 1) :] + b"\0"


def _short(text: str, limit: int) -> str:
    """The text in quotes, in at most so many bytes."""
    quoted = quote(text)
    return quoted if len(quoted) <= limit else quote(text[: limit // 12 - 1] + "…")


class Slots:
    """The worker's side: the slots of all its children."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        #: Of each child: the handle of its starts, and how many there were.
        self._starts: dict[int, tuple[int, int]] = {}

    def open(self) -> None:
        """Make the folder."""
        with contextlib.suppress(OSError):
            os.makedirs(self.folder, mode=0o700, exist_ok=True)

    def read(self, pid: int) -> SlotState | None:
        """The latest run of the child with this pid; None when it has none."""
        return read(os.path.join(self.folder, str(pid)))

    def of_child(self, pid: int) -> list[SlotState]:
        """The runs of the child with this pid, the latest last."""
        return read_all(os.path.join(self.folder, str(pid)))

    def all(self) -> dict[int, list[SlotState]]:
        """The runs of each child, by its pid."""
        return read_folder(self.folder)

    def went_on(self, pid: int, since: float) -> bool:
        """Whether the child with this pid, which runs one after the other, has begun any since then."""
        return any(state.began > since for state in self.of_child(pid))

    def ended_by_itself(self, pid: int | None, task_id: str) -> bool:
        """Whether the body of this task, the child's latest, ended before any TERM had reached it."""
        state = self.read(pid) if pid is not None else None
        return (
            state is not None and state.task_id == label(task_id) and state.word not in {RUNNING, INTERRUPTED, UNWOUND}
        )

    def has_left(self, pid: int | None) -> bool:
        """Whether a task of this child has left processes running; an open that fails costs three times as much."""
        return os.access(_left(self.folder, pid), os.F_OK)

    def left_by(self, pid: int | None, task_id: str) -> int:
        """How many processes the latest task of this child has left running, if it is this one; asked once."""
        if not self.has_left(pid):
            return 0
        path = _left(self.folder, pid)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return 0
        try:
            noted, count = json.loads(os.read(handle, 4096))
            os.unlink(path)
        except (OSError, ValueError):
            return 0
        finally:
            os.close(handle)
        return int(count) if noted == label(task_id) else 0

    def note_start(self, pid: int, event: str) -> None:
        """Write the event of a start beside the slot, for whoever finds neither this worker nor its controller alive.

        The present run and the one before have a place each.
        """
        line = event.encode() + b"\n"
        if len(line) > START:
            return
        with contextlib.suppress(OSError):
            if pid not in self._starts:
                flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
                self._starts[pid] = os.open(_starts(self.folder, pid), flags, 0o600), 0
            handle, count = self._starts[pid]
            self._starts[pid] = handle, count + 1
            os.pwrite(handle, line, count % STARTS * START)

    def mark(self, pid: int | None, run: str) -> dict[str, Any] | None:
        """The cancel by which the controller has ended this child under this run, while its worker did not answer."""
        try:
            with open(os.path.join(self.folder, f"{pid}.cancel"), "rb") as file:
                mark: dict[str, Any] = json.loads(file.read())
        except (OSError, ValueError):
            return None
        return mark if mark["run"] == run else None

    def forget(self, pid: int) -> None:
        """Remove the slot of a dead child."""
        handle, _ = self._starts.pop(pid, (None, 0))
        if handle is not None:
            os.close(handle)
        for path in (os.path.join(self.folder, str(pid)), _left(self.folder, pid), _starts(self.folder, pid)):
            with contextlib.suppress(OSError):
                os.unlink(path)


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
    for path in glob.glob(_starts(folder, None)):
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


def _traceback(data: bytes, number: int) -> str:
    """The traceback of this run, if it is there."""
    head, _, text = data[_trace_at(number) :][:TRACEBACK].partition(b"\0")[0].partition(b"\n")
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
    traceback = _traceback(data, number) if error else ""
    return SlotState(word, task_id, retries, began, ended, acks_late, celery_name, error, number, traceback)


@lru_cache(maxsize=1_000)
def _left(folder: str, pid: int | None) -> str:
    return os.path.join(folder, f"{pid}.left")


def _starts(folder: str, pid: int | None) -> str:
    """The file with the starts of a child, or a pattern for those of all."""
    return os.path.join(glob.escape(folder) if pid is None else folder, f"{'*' if pid is None else pid}.starts")


def folder_of(controller: str, instance: str) -> str:
    """The folder of the slots of this launch; `controller` is the path of the socket."""
    return os.path.join(os.path.dirname(controller), f"{instance}.children")
