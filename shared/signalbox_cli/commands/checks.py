"""Checks of `signalbox doctor`, one function a step; a step that cannot be reached is not guessed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from signalbox.local.protocol import Unseen
from signalbox_cli.api.http import Api
from signalbox_cli.commands.external_workers import RECENT, find_unseen, instructions, python_path, without_agent
from signalbox_cli.commands.processes import clock_in_words, part_in_words
from signalbox_cli.errors import Refused, Unreachable

#: Advice for each part of `/readyz` that is not well.
_PARTS = {
    "redis": "Nothing can be commanded without it: start Redis, or correct SIGNALBOX_REDIS_URL of the api.",
    "database": "Cancels still work, the record follows later: start PostgreSQL, or correct SIGNALBOX_DATABASE_URL.",
    "reconciler": "Nobody vouches for the record without it: start one (signalbox-reconciler), or read its log.",
    "live": "Browsers see no changes until it is well: it needs Redis, and the reconciler.",
}
_LOG = "Read the log of the api."
#: What to do where nothing has been set up yet.
FIRST_START = "The first time, run `signalbox setup` on the host of the api: docs/install.md."
_NO_API = f"Start it (signalbox-api), or correct the address. {FIRST_START}"
_GET_ONE = (
    "On the host of the api, `signalbox setup` makes one for its data folder; for another machine, make one there with:"
    " signalbox token create --role operator NAME, and set SIGNALBOX_TOKEN here."
)
#: How the api's answer begins while nobody can sign in.
_NO_USER = "No user yet"
_NOBODY_VOUCHES = "Nobody vouches for its state now; see the part above that failed."


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Result of one check."""

    check: str
    ok: bool
    detail: str
    #: What to do about a failure, or what may be done about a note.
    advice: str = ""
    #: Nothing is wrong, and something could be better.
    note: bool = False


def examine(api: Api, data: Path) -> Iterator[Check]:
    """The checks after that of the address; the last one is the first that fails to reach the api or its token.

    `data` is the data folder of this machine's controller, if it has one.
    """
    try:
        api.call("GET", "/healthz")
    except (Refused, Unreachable) as error:
        yield Check(check="api", ok=False, detail=error.message, advice=_NO_API)
        return
    yield Check(check="api", ok=True, detail="answers")
    token = _token(api)
    yield token
    if token.ok:
        unseen = find_unseen(data)
        for name, step in (
            ("readiness", _readiness(api)),
            ("hosts", _celery(api)),
            ("workers without an agent", _without_agent(api, data, unseen)),
            ("workers of this machine", unseen_check(unseen, python_path(data))),
        ):
            try:
                yield from step
            except (Refused, Unreachable) as error:
                yield Check(check=name, ok=False, detail=error.message, advice=_LOG)


def _token(api: Api) -> Check:
    try:
        user = api.get("/session").get("user") or {}
    except Refused as error:
        given = bool(api.target.token) or error.message.startswith(_NO_USER)
        detail = error.message if given else "none was given"
        return Check(check="token", ok=False, detail=detail, advice=_token_advice(error))
    except Unreachable as error:
        return Check(check="token", ok=False, detail=error.message, advice=_LOG)
    return Check(check="token", ok=True, detail=f"{user.get('name', '?')}, role {user.get('role', '?')}")


def _token_advice(error: Refused) -> str:
    """What to do without a valid token; nothing of it needs one."""
    if error.status != 401:
        return _LOG
    return FIRST_START if error.message.startswith(_NO_USER) else _GET_ONE


def _readiness(api: Api) -> Iterator[Check]:
    _, body = api.call("GET", "/readyz", accept=frozenset({503}))
    for name, part in (body.get("parts") or {}).items():
        ok, measured = bool(part.get("ok")), part.get("detail", "")
        detail = measured if ok else "; ".join(filter(None, (part_in_words(part), measured)))
        yield Check(check=name, ok=ok, detail=detail, advice=_PARTS.get(name, _LOG))


def _celery(api: Api) -> Iterator[Check]:
    status = api.get("/scheduler/celery-status/")
    hosts: list[dict[str, Any]] = status.get("hosts", [])
    if not hosts:
        advice = (
            "Start signalbox-controller on each host that runs Celery, with the same SIGNALBOX_REDIS_URL and"
            " SIGNALBOX_KEY as the api, and a signalbox.toml: docs/install.md."
        )
        yield Check(check="hosts", ok=False, detail="none has ever reported", advice=advice)
    for host in hosts:
        processes = (process_check(host, process) for process in host.get("processes", []))
        for check in (_host(host), *clock_checks(host), *proof_checks(host), *processes):
            yield msgspec.structs.replace(check, advice=_NOBODY_VOUCHES) if status.get("behind") else check


def _without_agent(api: Api, data: Path, unseen: Unseen | None) -> Iterator[Check]:
    """Workers without an agent, as far as recent tasks name them, or the watches of this host have heard of them."""
    named = without_agent(api.get("/scheduler/tasks/", {"limit": RECENT}).get("items", []))
    found = sorted({*named, *(unseen.nodes if unseen else ())})
    where, advice = python_path(data), ""
    detail = f"none is known; one that you launch yourself joins with PYTHONPATH={where}"
    if found:
        detail = f"{', '.join(found)}: what they do is not confirmed, and a cancel of theirs is not proven"
        advice = instructions(where)
    yield Check(check="workers without an agent", ok=True, note=bool(found), detail=detail, advice=advice)


def unseen_check(unseen: Unseen | None, where: str) -> Iterator[Check]:
    """Celery workers of this machine that no agent speaks for, also those that do nothing; none where nobody looked."""
    if unseen is None:
        return
    name = "workers of this machine"
    if not unseen.workers:
        yield Check(check=name, ok=True, detail="each Celery worker that runs here has the agent")
        return
    found = "; ".join(f"pid {worker.pid} ({worker.command}): {worker.reason}" for worker in unseen.workers)
    yield Check(check=name, ok=True, note=True, detail=f"without an agent: {found}", advice=instructions(where))


def _host(host: dict[str, Any]) -> Check:
    state = str(host.get("state", "unknown"))
    advice = f"Look at the controller on {host['name']}: is it running, does it reach Redis, is the clock right?"
    advice += f" If it left for good: signalbox forget {host['name']}"
    return Check(check=f"host {host['name']}", ok=state == "online", detail=state, advice=advice)


def clock_checks(host: dict[str, Any]) -> Iterator[Check]:
    """Whether the clock of this host is right, where it says so."""
    ahead = host.get("clock_ahead")
    if ahead is None:
        return
    name = f"clock of {host['name']}"
    advice = f"Set the clock of {host['name']}, or that of Redis if every host differs: by NTP, such as chrony."
    yield Check(check=name, ok=not ahead, detail=clock_in_words(ahead) or "agrees with Redis", advice=advice)


def proof_checks(host: dict[str, Any]) -> Iterator[Check]:
    """What a verified cancel proves on this host, where it says so."""
    proof, why = host.get("proof"), str(host.get("proof_detail") or "")
    if proof is None:
        return
    name = f"proof on {host['name']}"
    if proof == "cgroup":
        yield Check(check=name, ok=True, detail=f"by the kernel: {why}")
        return
    detail = f"by a search, which does not find what has left a task's family: {why}"
    advice = "A cgroup of its own for each task's process proves more: docs/operating.md, What `verified` covers."
    yield Check(check=name, ok=True, note=True, detail=detail, advice=advice)


def process_check(host: dict[str, Any], process: dict[str, Any]) -> Check:
    """Whether a process is as desired; one that runs with a message is worth a note."""
    state, desired = str(process.get("state", "unknown")), str(process.get("desired", "running"))
    name = process.get("name", "?")
    message = f": {process['message']}" if process.get("message") else ""
    advice = f"Try: signalbox start --host {host['name']} --process {name}; then read its log on that host."
    if process.get("guest"):
        advice = "It was launched by others; look where that was done."
    elif not process.get("configured", True):
        advice = f"Stop it: signalbox stop --host {host['name']} --process {name}; or put it back into signalbox.toml."
    notice = state == desired == "running" and bool(message) and not process.get("guest")
    if notice:
        advice = "It works. What Signalbox needs of Celery, and which versions it supports: docs/celery.md."
        if process.get("outdated"):
            advice = (
                f"It works. To bring the file into effect: signalbox restart --host {host['name']} --process {name}"
            )
    return Check(
        check=f"process {name} on {host['name']}",
        ok=state == desired,
        note=notice,
        detail=f"{state}{message}" if state == desired else f"{state}, should be {desired}{message}",
        advice=advice,
    )
