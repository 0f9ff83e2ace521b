"""Requests with any input: what Schemathesis makes of our own OpenAPI document, and texts that databases refuse."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import product
from typing import Any
from urllib.parse import quote_from_bytes

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from support.examples import examples

#: Seconds for one answer; nothing that is asked for here waits for long.
PATIENCE = 60.0
#: What no header, no statement of SQL and no name of a key takes, and what is no UTF-8; then what looks like ours.
HOSTILE = (
    b"\x00", b"a\x00b", b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"%", b"%zz", b"..", b"/", b"\r\n", b"\x1b[2J",
    "\u202e".encode(), "\U0010ffff".encode(), b"9" * 400, b"-1", b"NaN", b"1e999", b"0x10", b"' OR 1=1 --",
    b"a" * 9000, b"MC5hAGI", b"MC4A", b"OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTkuYQ", b"LTk5OTk5OTk5OTk5OTk5OTk5LmE",
    b"MjUzNDAyMzAwNzk5MDAwMDAwLmE", b"MC4", b"Lg", b"base64url:AA", b"base64url:7aCA", b"0123456789abcdef",
)  # fmt: skip
#: Bodies that are no JSON, or JSON that no text can be made of. None can be taken for one that was left out: a stop
#: would wait for its hosts.
BODIES = (
    b"{", b"[]", b'"\\ud800"', b"\xff", b"\xef\xbb\xbf[]", b'{"\\ud800": 1}', b'{"\\u0000": 1}', b'{"a": NaN}',
    b"[" * 5000, b'{"wait": 1e999}', b'{"wait": -1}', b"1" * 5000, b'{"wait": ' + b"9" * 4400 + b"}",
)  # fmt: skip
#: Fields of our bodies that hold texts.
FIELDS = ("reason", "task_ids", "hosts", "processes", "filter", "name", "username", "password", "role", "limit")

Texts = st.SearchStrategy[bytes]


@dataclass
class Seen:
    """What one caller was answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    #: Requests that were answered with what the document does not have, or by a mistake of ours.
    wrong: list[str] = field(default_factory=list)

    def take(self, status: int, content: bytes, documented: set[str], what: str) -> None:
        """Count an answer, and keep it where it is wrong."""
        self.statuses[status] += 1
        if status >= 500 or str(status) not in documented or not (status < 400 or _is_in_words(content)):
            self.wrong.append(f"{status} to {what[:300]}: {content[:300]!r}")


@dataclass(frozen=True)
class Operation:
    """Operation of the document."""

    path: str
    method: str
    described: dict[str, Any]

    @property
    def query(self) -> list[str]:
        """The parameters of its query."""
        return [one["name"] for one in self.described.get("parameters", ()) if one["in"] == "query"]


@dataclass(frozen=True)
class Caller:
    """Client that shows a token, and counts what it is answered."""

    url: str
    session: requests.Session
    seen: Seen

    def send(self, operation: Operation, part: bytes, query: list[tuple[str, bytes]], body: bytes) -> None:
        """One request, whose address is sent as it is: a client would mend it."""
        pieces = (quote_from_bytes(part, safe="") if one == "{}" else one for one in _pieces(operation.path))
        asked = "&".join(f"{name}={quote_from_bytes(text, safe='')}" for name, text in query)
        request = requests.Request(operation.method, f"{self.url}/", headers={"Content-Type": "application/json"})
        if "requestBody" in operation.described:
            request.data = body
        prepared = self.session.prepare_request(request)
        prepared.url = f"{self.url}{''.join(pieces)}?{asked}"
        answer = self.session.send(prepared, timeout=PATIENCE, allow_redirects=False)
        # What does not lead to a route at all is answered alike everywhere.
        documented = {*operation.described["responses"], "307", "404", "405"}
        self.seen.take(
            answer.status_code, answer.content, documented, f"{operation.method} {prepared.url} {request.data!r}"
        )


def try_any_input(url: str, token: str, document: dict[str, Any], number: int) -> Seen:
    """So many requests of each of three kinds to each operation; blocks, so it belongs into a thread of its own."""
    # It would make up credentials of its own.
    schema = schemathesis.openapi.from_dict({key: part for key, part in document.items() if key != "security"})
    with _caller(url, token) as caller:
        for found in schema.get_all_operations():
            _generated(found.ok(), caller, number)  # type: ignore[union-attr]  # an invalid one raises there
        for operation in _operations(document):
            _hostile(operation, caller, number)
    return caller.seen


def try_each_text(url: str, token: str, document: dict[str, Any]) -> Seen:
    """Each hostile text at each place of an address that takes one; blocks."""
    with _caller(url, token) as caller:
        for operation in _operations(document):
            for text in HOSTILE if "{" in operation.path else ():
                caller.send(operation, text, [], b'{"wait": 0}')
            for name, text in product(operation.query, HOSTILE):
                caller.send(operation, b"a", [(name, text)], b'{"wait": 0}')
    return caller.seen


@contextmanager
def _caller(url: str, token: str) -> Iterator[Caller]:
    with requests.Session() as session:
        session.trust_env = False
        if token:
            session.headers["Authorization"] = f"Bearer {token}"
        yield Caller(url, session, Seen())


def _operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            yield Operation(path, method.upper(), described)


def _tried(number: int) -> settings:
    return settings(examples(number), phases=[Phase.generate], suppress_health_check=list(HealthCheck))


def _generated(operation: Any, caller: Caller, number: int) -> None:
    documented = set(operation.definition.raw["responses"])
    for mode in schemathesis.GenerationMode:

        @_tried(number)
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Any) -> None:
            _hurry(case)
            answer = case.call(base_url=caller.url, session=caller.session, timeout=PATIENCE)
            caller.seen.take(answer.status_code, answer.content, documented, case.as_curl_command())

        # Some operations take any text, or nothing: there is nothing that they must refuse.
        with suppress(Unsatisfiable) if mode.is_negative else nullcontext():
            one()


def _hostile(operation: Operation, caller: Caller, number: int) -> None:
    texts = st.one_of(st.sampled_from(HOSTILE), st.binary(min_size=1, max_size=20))
    pairs = st.lists(st.tuples(st.sampled_from([*operation.query, "none_of_ours"]), texts), max_size=3)
    bodies = st.one_of(st.sampled_from(BODIES), st.binary(min_size=1, max_size=40), _json_around(texts))

    @_tried(number)
    @given(part=texts, query=pairs, body=bodies)
    def one(part: bytes, query: list[tuple[str, bytes]], body: bytes) -> None:
        caller.send(operation, part, query, body)

    one()


def _json_around(texts: Texts) -> Texts:
    """Bodies of ours with hostile texts in them; what is no UTF-8 becomes a lone surrogate."""

    def made(names: list[str], text: bytes) -> bytes:
        value = text.decode(errors="surrogateescape")
        shapes = {"task_ids": [value], "hosts": [value], "processes": [value], "filter": {"name": value, "q": value}}
        return json.dumps({"wait": 0, **{name: shapes.get(name, value) for name in names}}).encode()

    return st.builds(made, st.lists(st.sampled_from(FIELDS), unique=True, max_size=4), texts)


def _pieces(path: str) -> Iterator[str]:
    """A path in pieces; `{}` stands for a parameter."""
    before, brace, rest = path.partition("{")
    yield before
    if brace:
        yield "{}"
        yield from _pieces(rest.partition("}")[2])


def _hurry(case: Any) -> None:
    """Whatever it asks for, it does not wait: no host is there that would answer."""
    if case.method != "POST" or case.path.endswith(("/tokens/", "/users/", "/session")):
        return
    if case.body is None or not isinstance(case.body, dict | list | str | int | float | bytes):
        case.body, case.media_type = {"wait": 0}, "application/json"
    elif isinstance(case.body, dict):
        wait = case.body.get("wait")
        case.body["wait"] = wait if isinstance(wait, str | list | dict) else min(0, wait or 0)


def _is_in_words(content: bytes) -> bool:
    """Whether an error has the form of all our errors."""
    try:
        body = json.loads(content)
    except ValueError:
        return False
    return isinstance(body, dict) and bool(body.get("message"))
