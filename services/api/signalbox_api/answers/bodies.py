"""Bodies of requests: pydantic models, which explain a mistake in words and are shown at /docs."""

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from signalbox.messages.base import Status
from signalbox.messages.commands import MOST_TASKS
from signalbox_api.auth.credential import Role
from signalbox_api.auth.passwords import LONGEST, SHORTEST

#: PostgreSQL keeps no text with a zero in it.
PLAIN = r"^[^\x00]*$"
#: Characters of a text to look for, which may be the whole of a long id, and of an id.
LONGEST_TEXT = 10_000

Reason = Annotated[str, Field(max_length=500, pattern=PLAIN, description="Why; goes on the audit trail.")]
#: Names appear on the audit trail, so they are plain.
NAME_FORM = re.compile(r"^[A-Za-z0-9_.@-]+( [A-Za-z0-9_.@-]+)*$")
Name = Annotated[str, Field(max_length=64, pattern=NAME_FORM.pattern)]
Target = Annotated[list[Annotated[str, Field(min_length=1, max_length=255, pattern=PLAIN)]], Field(max_length=1000)]


class Body(BaseModel):
    """Body without unknown fields: a misspelt one must not pass for one that is left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CancelBody(Body):
    """All fields may be left out, and so may the body."""

    reason: Reason | None = None
    wait: Annotated[float | None, Field(ge=0, le=60, description="Seconds to wait for the proof.")] = None
    grace: Annotated[
        float | None, Field(ge=0, le=60, description="Seconds from TERM to KILL; by default the worker's own.")
    ] = None


class AllowBody(Body):
    """All fields may be left out, and so may the body."""

    reason: Reason | None = None
    wait: Annotated[float | None, Field(ge=0, le=60, description="Seconds to wait for the hosts.")] = None


Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT, pattern=PLAIN)]


class TasksFilter(Body):
    """Filter of unfinished tasks; all of its conditions hold."""

    status: Annotated[Status | None, Field(description="`pending` or `running`; by default both.")] = None
    name: Annotated[Text | None, Field(description="The name of the task.")] = None
    host: Text | None = None
    queue: Text | None = None
    q: Annotated[Text | None, Field(description="As `q` of a list of tasks.")] = None
    older_than: Annotated[float | None, Field(ge=0, le=3.2e9, description="Seconds since they were created.")] = None

    @field_validator("status")
    @classmethod
    def _not_over(cls, status: Status | None) -> Status | None:
        if status in {"completed", "failed"}:
            raise ValueError(f"{status} tasks are over and cannot be cancelled; choose pending or running")
        return status

    @model_validator(mode="after")
    def _not_everything(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError(
                "An empty filter would mean every task there is; say so with a status: pending, or running"
            )
        return self


class CancelTasksBody(Body):
    """Either `task_ids` or `filter`; all other fields may be left out."""

    task_ids: Annotated[
        list[Annotated[str, Field(max_length=LONGEST_TEXT)]] | None, Field(min_length=1, max_length=MOST_TASKS)
    ] = None
    filter: TasksFilter | None = None
    dry_run: Annotated[bool, Field(description="Only count what matches now; nothing is cancelled.")] = False
    limit: Annotated[int, Field(ge=1, le=MOST_TASKS, description="Of what matches, the newest so many.")] = MOST_TASKS
    reason: Reason | None = None
    wait: Annotated[float | None, Field(ge=0, le=600, description="Seconds to wait for the proof.")] = None
    grace: Annotated[
        float | None, Field(ge=0, le=60, description="Seconds from TERM to KILL; by default each worker's own.")
    ] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.task_ids is None) == (self.filter is None):
            raise ValueError("Say which tasks: give either task_ids or a filter, and not both")
        return self


class StartBody(Body):
    """All fields may be left out, and so may the body; no targets means everything."""

    hosts: Target | None = None
    processes: Target | None = None
    reason: Reason | None = None
    wait: Annotated[float | None, Field(ge=0, le=600, description="Seconds to wait for the end.")] = None


class ForgetBody(Body):
    """Hosts that have left for good."""

    hosts: Annotated[Target, Field(min_length=1)]
    reason: Reason | None = None
    wait: Annotated[float | None, Field(ge=0, le=60, description="Seconds to wait for the record.")] = None


class StopBody(StartBody):
    """All fields may be left out, and so may the body; no targets means everything."""

    mode: Annotated[
        Literal["graceful", "immediate"] | None, Field(description="Let running tasks finish (graceful), or not.")
    ] = None
    timeout: Annotated[float | None, Field(ge=0, le=3600, description="Seconds that graceful may take.")] = None
    redeliver: Annotated[
        bool, Field(description="Give the tasks that it ends back to their queue, where Celery acknowledges them late.")
    ] = False


class SignIn(Body):
    """A user's name and password."""

    username: Annotated[str, Field(min_length=1, max_length=64, pattern=PLAIN)]
    password: Annotated[str, Field(min_length=1, max_length=LONGEST)]


Password = Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST)]


class NewPassword(Body):
    """A password in place of another."""

    password: Password


class OwnPassword(NewPassword):
    """One's own password in place of the `current` one."""

    current: Annotated[str, Field(min_length=1, max_length=LONGEST)]


class NewToken(Body):
    """A token for a machine."""

    name: Name
    role: Role


class NewUser(Body):
    """A person who may sign in."""

    name: Name
    role: Role
    password: Password
