"""Wrong sign-ins slow down where they come from, and lock nobody out who has signed in from elsewhere before."""

from collections.abc import AsyncIterator
from ipaddress import ip_network

import httpx
import pytest

from signalbox_api.auth import throttle
from support.api import ADMIN, PASSWORD, Api, an_api
from support.stores.server import Redis

#: Where the admin works, and has signed in before.
OFFICE, ELSEWHERE = "192.0.2.7", "198.51.100.1"


@pytest.fixture
async def api(valkey: Redis, database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """An api with low limits behind a proxy, so that a test comes from where it says."""
    for name, tries in (("PAIR_TRIES", 3), ("SOURCE_TRIES", 5), ("USER_TRIES", 7)):
        monkeypatch.setattr(throttle, name, tries)
    async with an_api(valkey.url, database_url, behind={"trusted_proxies": (ip_network("127.0.0.1"),)}) as running:
        assert (await sign_in(running, OFFICE)).status_code == 200
        yield running


async def sign_in(api: Api, source: str, user: str = ADMIN, password: str = PASSWORD) -> httpx.Response:
    async with api.client("") as browser:
        body = {"username": user, "password": password}
        return await browser.post("/session", json=body, headers={"X-Forwarded-For": source})


async def wrong(api: Api, source: str, user: str = ADMIN) -> int:
    return (await sign_in(api, source, user, "wrong password")).status_code


async def test_an_account_that_is_attacked_from_everywhere_stays_open_where_its_owner_is_known(api: Api) -> None:
    statuses = [await wrong(api, f"203.0.113.{number}") for number in range(10)]
    assert statuses == [401] * 7 + [429] * 3
    refused = await sign_in(api, ELSEWHERE)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= throttle.WINDOW
    assert (await sign_in(api, OFFICE)).status_code == 200


async def test_a_source_that_fails_is_slowed_and_not_its_neighbours_who_are_known(api: Api) -> None:
    statuses = [await wrong(api, OFFICE, f"user{number}") for number in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    assert (await sign_in(api, OFFICE)).status_code == 200
    assert await wrong(api, ELSEWHERE, "user1") == 401


async def test_a_guesser_of_one_account_is_stopped_early_and_nobody_elsewhere(api: Api) -> None:
    assert [await wrong(api, ELSEWHERE) for _ in range(4)] == [401] * 3 + [429]
    assert (await sign_in(api, ELSEWHERE)).status_code == 429
    assert (await sign_in(api, "198.51.100.2")).status_code == 200


async def test_all_addresses_of_an_ipv6_network_count_as_one(api: Api) -> None:
    statuses = [await wrong(api, f"2001:db8:0:1::{number}") for number in range(4)]
    assert statuses == [401] * 3 + [429]
    assert await wrong(api, "2001:db8:0:2::1") == 401
