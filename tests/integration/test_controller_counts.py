"""How many tasks a stop says that it ended."""

from pathlib import Path

from support.host import ALICE, a_host
from support.stores.server import Redis


async def test_a_stop_of_what_is_stopped_already_ended_no_tasks(tmp_path: Path, valkey: Redis) -> None:
    async with a_host(tmp_path / "host", valkey) as host:
        await host.process_is("worker", "running")
        await host.running("stubborn.ignore_term", seconds=120.0)
        counts = [(await host.commander.stop(ALICE, mode="immediate")).tasks_killed for _ in range(2)]
        assert counts == [1, 0]
