"""The first two witnesses: what the tasks wrote down, and the process table."""

import dataclasses
import time
from collections.abc import Iterable
from pathlib import Path

from signalbox_agent.proc import Proc, ended
from support.faults.truth import LEFT, Process, Run, Sight

BEGIN = "begin"


def read(lines: Iterable[str]) -> dict[str, list[Run]]:
    """The runs of each task, from the lines of `apps/diary.py`."""
    runs: dict[str, list[Run]] = {}
    latest: dict[Process, str] = {}
    for line in lines:
        task_id, pid, started, word, at = line.split()
        process = Process(int(pid), int(started))
        if word == BEGIN:
            _close(runs, latest.get(process), process, LEFT, float(at))
            runs.setdefault(task_id, []).append(Run(process, float(at)))
            latest[process] = task_id
        else:
            _close(runs, task_id, process, word, float(at))
    return runs


def _close(runs: dict[str, list[Run]], task_id: str | None, process: Process, word: str, at: float) -> None:
    """Add the last word of the run that this process has begun of a task, unless it has one."""
    if task_id is None:
        return
    known = runs.get(task_id, [])
    for number, run in enumerate(known):
        if run.process == process and not run.word:
            known[number] = dataclasses.replace(run, word=word, ended=at)


class Diary:
    """The diary of one system, and what became of the processes in it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._gone: dict[Process, float] = {}
        self._lines: list[str] = []
        self._position = 0

    def forget(self) -> None:
        """Begin with what is written from now on."""
        self.see()
        self._lines.clear()

    def see(self) -> Sight:
        """Read it, then the process table."""
        self._read_on()
        runs = read(self._lines)
        at = time.time()
        for process in {run.process for all_runs in runs.values() for run in all_runs} - self._gone.keys():
            if ended(Proc(*process)):
                self._gone[process] = at
        return Sight(at=at, diary=runs, gone=dict(self._gone))

    def _read_on(self) -> None:
        if not self.file.exists():
            return
        with self.file.open("rb") as file:
            file.seek(self._position)
            whole, _, _ = file.read().rpartition(b"\n")
        if whole:
            self._position += len(whole) + 1
            self._lines += whole.decode("ascii").splitlines()
