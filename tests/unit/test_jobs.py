"""Background jobs: one that fails says so in the log, and leaves the others alone."""

import asyncio
import logging

import pytest

from signalbox.service import Jobs
from support.eventually import HANGS


async def test_a_job_that_fails_is_logged_with_its_owner_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs, done = Jobs("worker-1"), asyncio.Event()

    async def fails() -> None:
        raise ValueError("no such thing")

    async def works() -> None:
        await asyncio.sleep(0)
        done.set()

    with caplog.at_level(logging.ERROR):
        jobs.begin(fails())
        jobs.begin(works())
        async with asyncio.timeout(HANGS):
            await done.wait()
    assert "worker-1: our own code failed" in caplog.text
    assert "no such thing" in caplog.text
