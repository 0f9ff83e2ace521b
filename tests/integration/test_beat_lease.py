"""One beat in the fleet: which host runs it, who takes over, and that nothing is sent twice meanwhile."""

import asyncio
import os
import signal
from pathlib import Path

from signalbox.bus import names
from signalbox.messages.events import HostSeen, ProcessChanged
from support.beat_hosts import LEASE, beat_hosts
from support.host import ALICE
from support.stores.server import Redis

#: Seconds: another host waits for half of a lease, which must be longer than its holder needs after an outage.
LONG_LEASE = 2 * LEASE


async def test_one_host_runs_beat_and_the_other_stands_by_until_it_is_stopped_there(
    tmp_path: Path, valkey: Redis
) -> None:
    async with beat_hosts(tmp_path, valkey) as fleet:
        first = await fleet.holder()
        [other] = [one for one in fleet.candidates if one is not first]
        idle = await first.host.seen(ProcessChanged, host=other.name, name="beat", standby=True)
        assert (idle.state, idle.desired, idle.pid) == ("stopped", "running", None)
        assert idle.message == f"standby: beat runs on {first.name}"
        started = await first.host.commander.start(ALICE)
        assert started.verdict == "started"

        stopped = await first.host.commander.stop(ALICE, hosts=[first.name])
        assert stopped.verdict == "stopped"
        await fleet.ticks.next()
        assert other.host.workers()
        assert not first.host.workers()

        stopped = await first.host.commander.stop(ALICE)
        assert stopped.verdict == "stopped"
        assert not other.host.workers()
        started = await first.host.commander.start(ALICE)
        assert started.verdict == "started", started
        assert sorted(report.state for report in started.processes) == ["running", "stopped"]
        await fleet.ticks.next()
        assert not fleet.ticks.twice()


async def test_when_a_host_dies_the_other_one_sends(tmp_path: Path, valkey: Redis) -> None:
    async with beat_hosts(tmp_path, valkey) as fleet:
        first = await fleet.holder()
        [beat] = first.host.workers()
        assert first.host.process is not None
        first.host.process.kill()
        os.kill(beat, signal.SIGKILL)
        await fleet.ticks.next(but=[beat])
        first.host.process.wait()
        first.host.start()
        await first.host.seen(ProcessChanged, host=first.name, name="beat", standby=True)
        assert not first.host.workers()
        assert not fleet.ticks.twice()


async def test_beat_stays_where_it_is_while_redis_is_away_forgets_or_the_controller_is_restarted(
    tmp_path: Path, valkey: Redis
) -> None:
    async with beat_hosts(tmp_path, valkey, lease=LONG_LEASE) as fleet:
        holder = await fleet.holder()
        [beat] = holder.host.workers()
        await holder.host.end_hard()
        holder.host.start()
        await holder.host.seen_again(HostSeen, host=holder.name)
        assert (await fleet.ticks.next()).pid == beat

        await valkey.stop()
        await asyncio.sleep(LONG_LEASE / 2 + 1.0)  # nobody renews it for so long that it would have expired
        await valkey.start()
        assert (await fleet.ticks.next()).pid == beat

        await holder.host.redis.flushdb()
        assert (await fleet.ticks.next()).pid == beat
        await fleet.ticks.next()
        lease, runs = names.beat_lease("ticker"), names.beat_runs("ticker")
        assert await holder.host.redis.hget(lease, "host") == holder.name.encode()
        assert await holder.host.redis.hexists(runs, "every second")
        assert [candidate.host.workers() for candidate in fleet.candidates if candidate is not holder] == [[]]
        assert not fleet.ticks.twice()
