"""What callers may send: pydantic models, because their mistakes must be told in words and shown at /docs."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from signalbox_api.auth.passwords import LONGEST, SHORTEST
from signalbox_api.auth.roles import Role

#: PostgreSQL keeps no text with a zero in it.
PLAIN = r"^[^\x00]*$"

Reason = Annotated[str, Field(max_length=500, pattern=PLAIN, description="Why; goes on the audit trail.")]
#: Names appear on the audit trail, so they are plain.
NAME_FORM = re.compile(r"^[A-Za-z0-9_.@-]+( [A-Za-z0-9_.@-]+)*$")
Name = Annotated[str, Field(max_length=64, pattern=NAME_FORM.pattern)]
Target = Annotated[list[Annotated[str, Field(min_length=1, max_length=255, pattern=PLAIN)]], Field(max_length=1000)]


class Body(BaseModel):
    """A body with no other fields than these: a misspelt one must not pass for left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CancelBody(Body):
    """All fields may be left out, and so may the body."""

    reason: Reason | None = None
    wait: Annotated[float | None, Field(ge=0, le=60, description="Seconds to wait for the proof.")] = None
    grace: Annotated[
        float | None, Field(ge=0, le=60, description="Seconds from TERM to KILL; by default the worker's own.")
    ] = None


class StartBody(Body):
    """All fields may be left out, and so may the body; no targets means everything."""

    hosts: Target | None = None
    processes: Target | None = None
    reason: Reason | None = None
    wait: Annotated[float | None, Field(ge=0, le=600, description="Seconds to wait for the end.")] = None


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


class NewToken(Body):
    """A token for a machine."""

    name: Name
    role: Role


class NewUser(Body):
    """A person who may sign in."""

    name: Name
    role: Role
    password: Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST)]
