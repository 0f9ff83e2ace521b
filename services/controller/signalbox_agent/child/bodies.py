"""The bodies of tasks, marked: a pool child knows whether it is inside of one.

The marks are the innermost of all that is wrapped around a body: what a monitoring does after it, to trace the task, is
not part of it. In the worker's main process, from which children are forked, they do nothing.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import Any

from signalbox_agent.celery_compat.child import before_tracers, wrap_body
from signalbox_agent.safety import guarded

#: Where the child is: outside of a body; in one; after one whose report is not sent. Plain words: members of an enum
#: are looked up by Python code, where a signal could come between a body and its mark.
OUTSIDE, BODY, REPORT = "outside", "body", "report"

Body = Callable[..., Any]
#: Set on what is marked; `functools.wraps` hands it on to what others wrap around that.
_MARK = "signalbox_marked"


class Bodies:
    """The marks of this process."""

    def __init__(self) -> None:
        self.place = OUTSIDE
        #: The task whose body is the next to begin; those that it calls in place are parts of it.
        self.awaited: Any = None
        #: The frame that calls the body which runs.
        self.frame: types.FrameType | None = None

    def install(self) -> None:
        """Mark each task before a tracer of it is built."""
        before_tracers(self.mark)

    @guarded
    def mark(self, task: Any) -> None:
        """Mark the body of a task, once."""
        if not getattr(task.run, _MARK, False) and not getattr(type(task).__call__, _MARK, False):
            wrap_body(task, self._marked)

    def _marked(self, task: Any, body: Body) -> Body:
        """A body with marks at its begin and its end; its task is the first argument where none is given."""

        # No call may stand between a mark and the body: Python looks for signals after each.
        def marked(*args: Any, **kwargs: Any) -> Any:
            outermost = self.awaited is (args[0] if task is None else task)
            if outermost:
                self.awaited, self.frame, self.place = None, sys._getframe(), BODY
            try:
                return body(*args, **kwargs)
            except BaseException as error:  # tracebacks are as without us (from Python 3.11 on)
                traceback = error.__traceback__
                BaseException.with_traceback(error, traceback and traceback.tb_next)
                raise
            finally:
                if outermost:
                    self.frame, self.place = None, REPORT

        functools.update_wrapper(marked, body)
        setattr(marked, _MARK, True)
        return marked
