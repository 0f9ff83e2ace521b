"""Table of docs/routes.md: every route, and what each role is answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "routes.md"
ROLES = ("viewer", "operator", "admin")
CALLERS = ("nobody", *ROLES)
#: What a cell may say.
ANSWERS = frozenset({"yes", "401", "403", "session"})


@dataclass(frozen=True)
class Line:
    """A line of the table."""

    method: str
    path: str
    #: What each caller is answered.
    answers: Mapping[str, str]
    #: Whether a session cookie is not enough.
    csrf: bool

    def may(self, caller: str, *, session: bool = False) -> str:
        """What a caller is answered who shows a token, or a `session`: `yes`, `401` or `403`."""
        answer = self.answers[caller]
        return answer if answer != "session" else "yes" if session else "401"


def read_table() -> Sequence[Line]:
    """The lines of the table."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    head, *lines = ([cell.strip(" `") for cell in row.strip("|").split("|")] for row in rows)
    assert head == ["method", "path", *CALLERS, "from a page"]
    found = []
    for method, path, *answers, page in lines:
        assert set(answers) <= ANSWERS, f"{method} {path}"
        assert page in {"", "csrf"}, f"{method} {path}"
        found.append(Line(method, path, dict(zip(CALLERS, answers, strict=True)), page == "csrf"))
    return found
