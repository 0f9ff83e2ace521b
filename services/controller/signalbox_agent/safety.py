"""Safety of tasks, the first rule of the agent: no error of ours ever reaches Celery or a task."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger("signalbox.agent")
_logged: set[str] = set()


def guarded(function: F) -> F:
    """Wrap a callback: an error is logged, the first time, and the answer is None."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception:  # noqa: BLE001 - the purpose of this function
            complain(function.__qualname__)
            return None

    return call  # type: ignore[return-value]


def complain(where: str) -> None:
    """Log the present exception, once for each place: a fault in every task must not fill the user's log."""
    if where not in _logged:
        _logged.add(where)
        text = "Signalbox: error in %s; tasks are not affected, further ones are not logged"
        logger.error(text, where, exc_info=sys.exc_info())
