"""A token has no CSRF token, so a browser that was given one as a cookie must not act with it."""

from uuid import uuid4

from signalbox_api.routes.access import SESSION_COOKIE
from support.api import an_api
from support.stores.server import Redis


async def test_a_token_in_the_session_cookie_is_refused(valkey: Redis, database_url: str) -> None:
    async with an_api(valkey.url, database_url) as api, api.client("") as browser:
        browser.cookies.set(SESSION_COOKIE, api.token)
        answer = await browser.post(f"/scheduler/cancel-task/{uuid4()}/")
        assert (answer.status_code, answer.json()["status"]) == (401, "error")
