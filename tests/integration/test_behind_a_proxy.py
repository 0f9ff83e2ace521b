"""The api behind a real nginx, below a path and behind TLS: cookies, forgeries, addresses, the live websocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from signalbox.postgres.pool import open_database
from support.api import ADMIN, PASSWORD, Api, Json, an_answering_host, an_api, put_task, says
from support.eventually import HANGS, eventually
from support.nginx import Nginx, an_nginx
from support.stores.databases import a_database
from support.stores.server import Postgres, Redis

pytestmark = pytest.mark.asyncio(loop_scope="session")

BEHIND: Json = {"root_path": "/signalbox", "trusted_proxies": (ip_network("127.0.0.1"),)}
#: The ways in which people pass a request on: as the example does, with Host instead, without the path.
WAYS: dict[str, dict[str, str]] = {
    "as the example": {},
    "with Host": {"proxy_set_header X-Forwarded-Host $http_host;": "proxy_set_header Host $http_host;"},
    "without the path": {"proxy_pass http://signalbox;": "proxy_pass http://signalbox/;"},
}
SIGN_IN = {"username": ADMIN, "password": PASSWORD}
#: An address of this machine that is no named proxy.
CLIENT = "127.0.0.2"


@dataclass(frozen=True)
class Site:
    """An api, and the nginx before it."""

    api: Api
    nginx: Nginx

    @property
    def origin(self) -> str:
        """What a browser sends as Origin."""
        return f"https://localhost:{self.nginx.port}"

    def client(self, token: str = "") -> httpx.AsyncClient:
        """A browser, or a program that shows a token, with the address CLIENT."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.AsyncHTTPTransport(verify=self.nginx.trust(), local_address=CLIENT)
        return httpx.AsyncClient(base_url=self.nginx.url, headers=headers, timeout=HANGS, transport=transport)

    async def sign_in(self, browser: httpx.AsyncClient, **headers: str) -> httpx.Response:
        """Sign in as the page does."""
        return await browser.post("/session", json=SIGN_IN, headers={"Origin": self.origin, **headers})

    @asynccontextmanager
    async def live(self, browser: httpx.AsyncClient, origin: str) -> AsyncIterator[Json]:
        """The first frame of the live websocket."""
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        url = f"{self.nginx.url.replace('https', 'wss')}/scheduler/live/"
        headers = {"Cookie": cookies, "Origin": origin}
        async with connect(url, additional_headers=headers, proxy=None, ssl=self.nginx.trust()) as socket:
            yield json.loads(await asyncio.wait_for(socket.recv(), HANGS))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def record_url(postgres_server: Postgres, migrated_template: str) -> AsyncIterator[str]:
    """The record of all tests here."""
    async with a_database(postgres_server, template=migrated_template) as name:
        yield postgres_server.url_of(name)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(redis: Redis, record_url: str) -> AsyncIterator[Api]:
    """An api that knows of its proxy."""
    async with an_api(redis.url, record_url, behind=BEHIND) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(api: Api, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The api behind the example."""
    async with an_nginx(tmp_path_factory.mktemp("nginx"), api.url) as nginx:
        yield Site(api, nginx)


@pytest.mark.parametrize("way", WAYS)
async def test_a_browser_signs_in_watches_and_cancels(
    api: Api, redis: Redis, record_url: str, tmp_path: Path, way: str
) -> None:
    async with open_database(record_url, connections=1) as database:
        task_id = await put_task(database)
    async with (
        an_nginx(tmp_path, api.url, changes=WAYS[way]) as nginx,
        Site(api, nginx).client() as browser,
        an_answering_host(redis.url, says("cancelled")) as heard,
    ):
        site = Site(api, nginx)
        signed_in = await site.sign_in(browser)
        assert signed_in.status_code == 200, signed_in.text
        async with site.live(browser, site.origin) as hello:
            assert hello["type"] == "hello"
        headers = {"X-CSRF-Token": signed_in.json()["csrf"], "Origin": site.origin, "X-Forwarded-For": "198.51.100.1"}
        answer = await browser.post(f"/scheduler/cancel-task/{task_id}/", headers=headers)
        assert answer.status_code == 200, answer.text
        assert [one.issued_from for one in heard if getattr(one, "task_id", "") == task_id] == [CLIENT]


async def test_whoever_talks_to_the_api_past_the_proxy_cannot_name_an_address(site: Site, record_url: str) -> None:
    transport = httpx.AsyncHTTPTransport(local_address=CLIENT)
    headers = {"X-Forwarded-For": "198.51.100.2", "X-Forwarded-Proto": "https"}
    async with httpx.AsyncClient(base_url=site.api.url, transport=transport) as direct:
        answer = await direct.post("/session", json=SIGN_IN, headers=headers)
    assert answer.status_code == 200
    assert "strict-transport-security" not in answer.headers
    assert not [cookie for cookie in answer.headers.get_list("set-cookie") if "Secure" in cookie]
    async with open_database(record_url, connections=1) as database, database.connection() as connection:
        seen = await connection.fetchval("SELECT address FROM sessions ORDER BY created_at DESC LIMIT 1")
    assert seen == CLIENT


async def test_the_cookies_belong_to_the_path_and_to_tls(site: Site) -> None:
    async with site.client() as browser:
        signed_in = await site.sign_in(browser)
        cookies = signed_in.headers.get_list("set-cookie")
        assert len(cookies) == 2
        for cookie in cookies:
            assert cookie.startswith("__Secure-signalbox_")
            assert {"Path=/signalbox", "Secure", "SameSite=strict"} <= set(cookie.split("; "))
        out = await browser.delete("/session", headers={"X-CSRF-Token": signed_in.json()["csrf"]})
        assert out.status_code == 200
        assert not browser.cookies


async def test_the_cookie_of_the_longer_path_counts(site: Site) -> None:
    """Another Signalbox, at the root of the same host, has set one as well; a browser sends it last."""
    async with site.client() as browser, site.client() as other:
        await site.sign_in(browser)
        name = "__Secure-signalbox_session"
        ours, theirs = f"{name}={browser.cookies[name]}", f"{name}=of_another"
        for cookie, status in ((f"{ours}; {theirs}", 200), (f"{theirs}; {ours}", 401)):
            assert (await other.get("/session", headers={"Cookie": cookie})).status_code == status


async def test_at_the_root_of_a_host_the_cookies_belong_to_that_host_alone(valkey: Redis, database_url: str) -> None:
    tls = {"X-Forwarded-Proto": "https"}
    behind = {"trusted_proxies": (ip_network("127.0.0.1"),)}
    async with an_api(valkey.url, database_url, behind=behind) as api, api.client("") as browser:
        signed_in = await browser.post("/session", json=SIGN_IN, headers=tls)
        values: dict[str, str] = {}
        for cookie in signed_in.headers.get_list("set-cookie"):
            named, *attributes = cookie.split("; ")
            assert {"Path=/", "Secure", "SameSite=strict"} <= set(attributes)
            assert not any(one.startswith("Domain") for one in attributes)
            name, _, value = named.partition("=")
            values[name] = value
        assert values.keys() == {"__Host-signalbox_session", "__Host-signalbox_csrf"}
        browser.cookies.clear()
        secret = values["__Host-signalbox_session"]
        for name, status in (("__Host-signalbox_session", 200), ("signalbox_session", 401)):
            answer = await browser.get("/session", headers={**tls, "Cookie": f"{name}={secret}"})
            assert answer.status_code == status
            assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_another_site_is_refused_behind_the_proxy_as_well(site: Site) -> None:
    foreign = "https://evil.example"
    async with site.client() as browser:
        assert (await site.sign_in(browser, Origin=foreign)).status_code == 403
        assert not browser.cookies
        csrf = (await site.sign_in(browser)).json()["csrf"]
        path = f"/scheduler/cancel-task/{uuid4()}/"
        for headers in ({"X-CSRF-Token": csrf, "Origin": foreign}, {"Origin": site.origin}):
            assert (await browser.post(path, headers=headers)).status_code == 403
        with pytest.raises(InvalidStatus) as caught:
            async with site.live(browser, foreign):
                pass
    assert caught.value.response.status_code == 403


async def test_a_proxy_that_nobody_named_is_refused_with_what_to_do(
    valkey: Redis, database_url: str, tmp_path: Path
) -> None:
    async with (
        an_api(valkey.url, database_url, behind={"root_path": "/signalbox"}) as api,
        an_nginx(tmp_path, api.url) as nginx,
        Site(api, nginx).client() as browser,
    ):
        answer = await Site(api, nginx).sign_in(browser)
    assert answer.status_code == 403
    assert "be named in SIGNALBOX_TRUSTED_PROXIES" in answer.json()["message"]


async def test_the_page_its_files_and_the_reference_lie_below_the_path(site: Site) -> None:
    async with site.client(site.api.token) as browser:
        page = await browser.get("/")
        assert 'src="assets/js/main.js"' in page.text
        assert 'href="/' not in page.text
        for path in ("/assets/js/main.js", "/docs", "/docs/reference.js"):
            assert (await browser.get(path)).status_code == 200, path
        assert (await browser.get("/openapi.json")).json()["servers"] == [{"url": "/signalbox"}]


async def test_a_redirect_stays_below_the_path_and_names_no_host(site: Site) -> None:
    async with site.client(site.api.token) as browser, site.api.client() as direct:
        through = await browser.get("/scheduler/tasks?limit=1")
        past = await direct.get("/signalbox/scheduler/tasks?limit=1")
    assert (through.status_code, past.status_code) == (307, 307)
    assert past.headers["location"] == "/signalbox/scheduler/tasks/?limit=1"
    assert httpx.URL(through.headers["location"]).raw_path == b"/signalbox/scheduler/tasks/?limit=1"


async def test_an_address_without_its_slash_leads_to_the_page(site: Site) -> None:
    async with site.api.client("") as direct:
        answer = await direct.get("/signalbox?a=b")
    assert (answer.status_code, answer.headers["location"]) == (308, "/signalbox/?a=b")


async def test_a_load_balancer_learns_without_a_token_whether_commands_can_be_given_and_no_more(
    site: Site, redis: Redis
) -> None:
    async def asked(token: str = "") -> tuple[int, Any]:
        async with site.client(token) as balancer:
            answer = await balancer.get("/readyz")
        return answer.status_code, answer.json()

    async def unavailable() -> bool:
        return await asked() == (503, {"status": "unavailable"})

    assert await asked() == (200, {"status": "ready"})
    assert set((await asked(site.api.token))[1]) == {"status", "as_of", "parts"}
    assert (await asked("sbt_nonsense"))[0] == 401
    await redis.stop()
    try:
        await eventually(unavailable, "a load balancer learns that Redis is away")
    finally:
        await redis.start()
