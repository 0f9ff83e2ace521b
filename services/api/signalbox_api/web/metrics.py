"""Metrics of this process, in Prometheus' text format (version 0.0.4)."""

from collections import Counter
from collections.abc import Iterator, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Upper bounds in seconds: the promise is 15 ms, and a task that ignores TERM takes its grace of 5 s.
_BOUNDS = (0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts and durations since the start; labels come from our own routes, so that their number is bounded."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._cancels = [0] * (len(_BOUNDS) + 1)
        self._cancel_seconds = 0.0

    def request(self, method: str, route: str, status: int) -> None:
        """Count a request that was answered."""
        self._requests[method, route, status] += 1

    def cancel(self, seconds: float) -> None:
        """Count a cancel that was proven after so many seconds."""
        place = next((i for i, bound in enumerate(_BOUNDS) if seconds <= bound), len(_BOUNDS))
        self._cancels[place] += 1
        self._cancel_seconds += seconds

    def text(self, gauges: Mapping[str, float | None]) -> str:
        """All counters, and the gauges that are known."""
        lines = [*self._request_lines(), *self._cancel_lines()]
        for name, value in gauges.items():
            if value is not None:
                lines += [f"# TYPE signalbox_api_{name} gauge", f"signalbox_api_{name} {value:g}"]
        return "\n".join(lines) + "\n"

    def _request_lines(self) -> Iterator[str]:
        yield "# TYPE signalbox_api_requests_total counter"
        for (method, route, status), count in sorted(self._requests.items()):
            labels = f'method="{method}",route="{route}",status="{status}"'
            yield f"signalbox_api_requests_total{{{labels}}} {count}"

    def _cancel_lines(self) -> Iterator[str]:
        yield "# TYPE signalbox_api_cancel_seconds histogram"
        total = 0
        for bound, count in zip((*_BOUNDS, float("inf")), self._cancels, strict=True):
            total += count
            edge = "+Inf" if bound == float("inf") else f"{bound:g}"
            yield f'signalbox_api_cancel_seconds_bucket{{le="{edge}"}} {total}'
        yield f"signalbox_api_cancel_seconds_sum {self._cancel_seconds:g}"
        yield f"signalbox_api_cancel_seconds_count {total}"


class Measure:
    """Middleware that counts every answer under the route that gave it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.request(_method(scope), _route(scope), message["status"])
            await send(message)

        await self._app(scope, receive, counting)


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", "none"))


def _method(scope: Scope) -> str:
    method = str(scope["method"])
    return method if method in {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} else "other"
