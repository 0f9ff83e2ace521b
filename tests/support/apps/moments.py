"""Tasks that are to be hit at one moment of their lives: `celery -A tasks worker -I moments`."""

import signal
import time
from pathlib import Path
from typing import Any

from celery import Task
from tasks import app  # type: ignore[import-not-found]


def there(task_id: str) -> None:
    """As in `tasks.py`; after its body a task is not the current one for long."""
    app.backend.set(f"there:{task_id}", "yes")


class Reporting(Task):
    """One whose report goes on until the test lets it end, or for so many seconds: its last argument."""

    @staticmethod
    def _report(task_id: str, seconds: float) -> None:
        there(task_id)
        end = time.monotonic() + seconds
        while app.backend.get(f"reported:{task_id}") is None and time.monotonic() < end:
            time.sleep(0.01)

    def on_success(self, _: Any, task_id: str, args: Any, __: Any) -> None:
        self._report(task_id, args[-1])

    def on_failure(self, _: Any, task_id: str, args: Any, __: Any, ___: Any) -> None:
        self._report(task_id, args[-1])

    def on_retry(self, _: Any, task_id: str, args: Any, __: Any, ___: Any) -> None:
        self._report(task_id, args[-1])


@app.task(base=Reporting, name="tasks.reports_success")
def reports_success(seconds: float) -> str:
    return f"a report of {seconds:g} s"


@app.task(base=Reporting, name="tasks.reports_failure")
def reports_failure(seconds: float) -> None:
    raise ValueError(f"a report of {seconds:g} s")


@app.task(base=Reporting, name="tasks.reports_retry", autoretry_for=(ConnectionError,), default_retry_delay=0)
def reports_retry(mark: str, seconds: float) -> None:
    """Fail, and be tried again; each start leaves a line in the file `mark`."""
    with Path(mark).open("a") as file:
        file.write("started\n")
    raise ConnectionError(f"a report of {seconds:g} s")


@app.task(name="tasks.calls_in_place")
def calls_in_place(seconds: float) -> str:
    """Be in the report of another task that this one has called, and not at its own end."""
    inner = reports_success.apply(args=(seconds,), task_id=f"{calls_in_place.request.id}-inner")
    return str(inner.get(disable_sync_subtasks=False))


class Calling(Task):
    """One whose class has its say after the function has returned; that, too, is its body."""

    def __call__(self, *arguments: Any) -> Any:
        answer = super().__call__(*arguments)
        there(self.request.id)
        time.sleep(60)
        return answer


@app.task(base=Calling, name="tasks.calls_itself")
def calls_itself() -> None:
    return


@app.task(name="tasks.fails")
def fails() -> None:
    raise ValueError("by itself")


@app.task(base=Calling, name="tasks.fails_in_its_class")
def fails_in_its_class() -> None:
    fails.run()


class LastInstant(Task):
    """A body that is one call of C code, and whose signal comes before that returns."""

    name = "tasks.raises_term"
    run = signal.raise_signal


app.register_task(LastInstant())
