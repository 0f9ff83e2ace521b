"""Hosts that left for good are forgotten over HTTP and by the command line; reconciler, record and bus are real."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalbox.bus import names
from signalbox.bus.presence import announce, roll_call
from signalbox.messages.base import utc_now
from signalbox.messages.events import HostLeft, HostSeen, ProcessChanged
from support.api import KEY, Api, an_api
from support.cli import run
from support.eventually import eventually
from support.reconciler import Recording, a_recording
from support.stores.server import Redis

POD = "pod-x7f"
FORGET = "/scheduler/forget-hosts/"


@pytest.fixture
async def api(valkey: Redis, database_url: str) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        yield running


@pytest.fixture
async def recording(valkey: Redis, database_url: str, tmp_path: Path) -> AsyncIterator[Recording]:
    async with a_recording(valkey, database_url, tmp_path) as recording:
        await recording.start(SIGNALBOX_KEY=KEY)
        yield recording


async def a_pod_has_gone(recording: Recording) -> None:
    """One whose controller left, and whose worker may run on."""
    worker = ProcessChanged(at=utc_now(), name="w", kind="worker", state="running", desired="running")
    await recording.tell(
        HostSeen(at=utc_now(), host=POD, processes=(worker,)),
        HostLeft(at=utc_now(), host=POD),
    )
    await recording.shows("SELECT * FROM hosts WHERE name = $1 AND state = 'offline'", POD)
    await announce(recording.redis, POD, ttl=0.0)
    await recording.redis.xgroup_create(names.COMMANDS, names.host_group(POD), mkstream=True)


async def test_a_pod_that_is_gone_is_forgotten_and_leaves_nothing_on_the_bus_or_on_the_page(
    api: Api, recording: Recording
) -> None:
    await a_pod_has_gone(recording)
    async with api.client() as client:
        answer = await client.post(FORGET, json={"hosts": [POD], "reason": "scaled in"})
        assert (answer.status_code, answer.json()["message"]) == (200, f"Host {POD} has been forgotten")
        assert (await client.get("/scheduler/celery-status/")).json()["hosts"] == []
        [line] = (await client.get("/scheduler/commands/")).json()["items"]
    assert [line[key] for key in ("command", "target", "reason", "state")] == [
        "ForgetHosts",
        POD,
        "scaled in",
        "forgotten",
    ]

    async def nothing_is_left() -> bool:
        groups = {group["name"] for group in await recording.redis.xinfo_groups(names.COMMANDS)}
        return names.host_group(POD).encode() not in groups and POD not in (await roll_call(recording.redis)).known

    await eventually(nothing_is_left, "the bus knows nothing of the pod")


async def test_a_host_that_is_there_or_that_nobody_knows_is_not_forgotten(api: Api, recording: Recording) -> None:
    await announce(recording.redis, "web-01")
    async with api.client() as client:
        there = await client.post(FORGET, json={"hosts": ["web-01"]})
        nobody = await client.post(FORGET, json={"hosts": ["web-99"]})
        nothing = await client.post(FORGET, json={"hosts": []})
    assert (there.status_code, there.json()["message"]) == (
        409,
        "Nothing was forgotten: web-01 reports; stop its controller first",
    )
    assert (nobody.status_code, nothing.status_code) == (404, 422)
    assert (await roll_call(recording.redis)).present == {"web-01"}


async def test_the_command_line_forgets_a_host_and_a_viewer_may_not(
    api: Api, recording: Recording, tmp_path: Path
) -> None:
    await a_pod_has_gone(recording)
    for role, code in (("viewer", 1), ("operator", 0)):
        token = (await api.make_token(role, f"a {role}"))["token"]
        ended = await run("forget", POD, data=tmp_path, SIGNALBOX_URL=api.url, SIGNALBOX_TOKEN=token)
        assert ended.code == code, ended.err
    assert ended.out == f"Host {POD} has been forgotten\n"


async def test_a_host_that_announces_itself_again_is_shown_again_though_its_clock_went_back(
    api: Api, recording: Recording
) -> None:
    await a_pod_has_gone(recording)
    async with api.client() as client:
        assert (await client.post(FORGET, json={"hosts": [POD]})).status_code == 200
    [gone] = await recording.rows("SELECT at FROM hosts WHERE name = $1", POD)

    async def is_back() -> bool:
        await announce(recording.redis, POD)
        await recording.tell(HostSeen(at=gone["at"], host=POD))
        return bool(await recording.rows("SELECT FROM hosts WHERE name = $1 AND state = 'online'", POD))

    await eventually(is_back, "the host is shown")


async def test_a_host_whose_worker_may_run_on_stays_known_to_all_who_stop_celery_though_redis_has_lost_it(
    recording: Recording,
) -> None:
    await a_pod_has_gone(recording)
    await recording.redis.delete(names.PRESENCE)

    async def known() -> bool:
        return POD in (await roll_call(recording.redis)).away

    await eventually(known, "the pod is known again")
