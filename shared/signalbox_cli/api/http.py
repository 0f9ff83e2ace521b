"""HTTP client of the api: every call has a time-out, every failure a sentence."""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import httpx
import msgspec

from signalbox_cli.api.target import Target
from signalbox_cli.errors import Refused, Unreachable

#: The media type of an answer that reports its progress: JSON, an object a line.
_LINES = "application/x-ndjson"

#: What may stand in the query of an address.
Query = str | int | float

#: Seconds to reach the server, and for a call that waits for nothing.
CONNECT_TIMEOUT = 3.0
CALL_TIMEOUT = 15.0
#: Seconds for the next part of an answer that is streamed.
STREAM_TIMEOUT = 60.0
#: Seconds beyond the wait that a server was asked for, until we give it up.
MARGIN = 15.0


class Api:
    """Client of one api; may be used by several threads at once."""

    def __init__(self, target: Target) -> None:
        self.target = target
        headers = {"Accept": "application/json", "User-Agent": "signalbox-cli"}
        if target.token:
            headers["Authorization"] = f"Bearer {target.token}"
        try:
            # A proxy for the world outside knows nothing of our own machine.
            self._client = httpx.Client(base_url=target.url, headers=headers, trust_env=not _loopback(target.url))
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise Unreachable(f"{target.url} is no address to call: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, query: Mapping[str, Query | None] | None = None) -> dict[str, Any]:
        return self.call("GET", path, query={k: v for k, v in (query or {}).items() if v is not None})[1]

    def post(self, path: str, body: dict[str, Any], *, wait: float = 0.0) -> tuple[int, dict[str, Any]]:
        body = {key: value for key, value in body.items() if value is not None}
        return self.call("POST", path, body=body, timeout=wait + MARGIN)

    def follow(
        self, path: str, body: dict[str, Any], on_progress: Callable[[int, int], None], *, wait: float = 0.0
    ) -> tuple[int, dict[str, Any]]:
        body = {key: value for key, value in body.items() if value is not None}
        answer: dict[str, Any] = {}
        with (
            self._answering(),
            self._client.stream(
                "POST", path, json=body, headers={"Accept": _LINES}, timeout=_patience(wait + MARGIN)
            ) as response,
        ):
            if response.headers.get("Content-Type", "").partition(";")[0] != _LINES:
                response.read()
                return response.status_code, self._accepted(response)
            for line in response.iter_lines():
                answer = msgspec.json.decode(line)
                if answer.get("status") == "progress":
                    on_progress(answer["done"], answer["total"])
        if "counts" not in answer:
            words = str(answer.get("message") or "The answer broke off; what was asked for may still happen.")
            raise Refused(words, response.status_code, {"status": "error", "message": words})
        return response.status_code, answer

    def stream(self, path: str, query: Mapping[str, Query | None]) -> Iterator[bytes]:
        """An answer of any length, as it comes; one that breaks off is Unreachable."""
        with self._streaming(path, query) as response:
            yield from response.iter_bytes()

    def stream_lines(self, path: str, query: Mapping[str, Query | None]) -> Iterator[str]:
        """The same line by line."""
        with self._streaming(path, query) as response:
            rest = b""
            for part in response.iter_bytes():
                *lines, rest = (rest + part).split(b"\n")
                yield from (line.decode() for line in lines)

    @contextmanager
    def _streaming(self, path: str, query: Mapping[str, Query | None]) -> Iterator[httpx.Response]:
        given = {name: value for name, value in query.items() if value is not None}
        with (
            self._answering(),
            self._client.stream("GET", path, params=given, timeout=_patience(STREAM_TIMEOUT)) as response,
        ):
            if not response.is_success:
                response.read()
                self._accepted(response)
            yield response

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Query] | None = None,
        body: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = CALL_TIMEOUT,
        accept: frozenset[int] = frozenset(),
    ) -> tuple[int, dict[str, Any]]:
        """One call; statuses from 400 on are Refused, unless they are in `accept`."""
        with self._answering():
            response = self._client.request(
                method, path, params=query, json=body, headers=headers, timeout=_patience(timeout)
            )
        return response.status_code, self._accepted(response, accept)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turn whatever keeps a server from answering into Unreachable."""
        try:
            yield
        except httpx.TimeoutException as error:
            raise Unreachable(f"{self.target.url} gave no answer in time ({type(error).__name__}).") from error
        except httpx.RequestError as error:
            raise Unreachable(f"Cannot reach Signalbox at {self.target.url}: {error}. Is it running?") from error
        except httpx.InvalidURL as error:
            raise Unreachable(f"{self.target.url} is no address to call: {error}") from error

    def _accepted(self, response: httpx.Response, accept: frozenset[int] = frozenset()) -> dict[str, Any]:
        answer = _body(response)
        if answer is None or (not response.is_success and response.status_code not in accept):
            raise self._refusal(response, answer)
        return answer

    def _refusal(self, response: httpx.Response, body: dict[str, Any] | None) -> Refused:
        if body is None:
            return Refused(
                f"{self.target.url} answered HTTP {response.status_code} and no JSON; is this really Signalbox?",
                response.status_code,
            )
        message = str(body.get("message") or body.get("detail") or f"HTTP {response.status_code}")
        signing_in = response.request.url.path.endswith("/session")
        if response.status_code == 401 and not self.target.token and not signing_in:
            message += " (no token was sent: give --token or set SIGNALBOX_TOKEN)"
        return Refused(message, response.status_code, body)


def _patience(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=CONNECT_TIMEOUT)


def _body(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else {"items": body}


def _loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
