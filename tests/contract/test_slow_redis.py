"""A Redis that is slow and not silent: what is cancelled is known before any worker is launched."""

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from signalbox.bus.cancelled import LIMIT, remember
from signalbox.bus.connection import connect
from signalbox.messages.base import utc_now
from signalbox_controller.cancelling import cancelled_ids
from signalbox_controller.cancelling.cancelled_ids import CancelledIds
from signalbox_controller.state.journal import Journal
from support.proxy import a_proxy
from support.stores.server import Redis


async def nothing_pending() -> AsyncIterator[cancelled_ids.Intent]:
    nothing: tuple[cancelled_ids.Intent, ...] = ()
    for one in nothing:
        yield one


async def test_a_host_that_starts_waits_for_all_that_a_slow_redis_has_to_say(
    valkey: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It used to launch Celery after three seconds, without the rest."""
    monkeypatch.setattr(cancelled_ids, "LOAD_WITHIN", 1.5)
    until = int(utc_now().timestamp()) + 3600
    async with a_proxy(valkey.url) as proxy, connect(valkey.url) as redis, connect(proxy.url_of(valkey.url)) as slow:
        await remember(redis, {f"t{number}": until for number in range(5000)})
        proxy.delay = 0.1
        with (
            closing(Journal(tmp_path / "cancelled", LIMIT)) as journal,
            closing(Journal(tmp_path / "allowed", LIMIT)) as allowed,
        ):
            cancelled = CancelledIds(slow, journal, allowed, 3600.0)
            await cancelled.load(nothing_pending())
            assert len(cancelled.ids()) == 5000
