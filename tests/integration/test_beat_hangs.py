"""A beat whose scheduler hangs, while its process is there and its agent answers: it is not running, and says so."""

import os
import signal
from pathlib import Path

from signalbox.bus.connection import connect
from signalbox.messages.events import ProcessChanged
from support.beat_hosts import CONFIGURATION, beat_hosts
from support.eventually import eventually
from support.host import Host, a_host, lives
from support.stores.server import Redis

#: Without a lease, and with little time for a scheduler to come back.
ALONE = CONFIGURATION + "lease = 0.0\nstart_timeout = 10.0\n"
#: The same, and with time to come back.
PATIENT = CONFIGURATION + "lease = 0.0\n"


async def sends(host: Host, redis: Redis) -> None:
    """Wait until a message of beat arrives at the broker."""
    broker = connect(redis.url_of(1))
    await broker.delete("celery")

    async def look() -> bool:
        return bool(await broker.exists("celery"))

    await eventually(look, f"a message of the beat of {host.data}")
    await broker.aclose()


async def test_a_beat_that_hangs_is_unknown_and_running_again_when_it_ticks_again(
    tmp_path: Path, valkey: Redis
) -> None:
    async with a_host(tmp_path, valkey, PATIENT) as host:
        beat = (await host.process_is("beat", "running")).pid
        assert beat is not None
        await sends(host, valkey)
        os.kill(beat, signal.SIGUSR1)
        late = await host.process_is("beat", "unknown")
        assert late.pid == beat
        assert late.message.startswith("has not ticked since ")
        os.kill(beat, signal.SIGUSR2)
        assert (await host.process_is("beat", "running")).pid == beat
        await sends(host, valkey)


async def test_a_beat_that_goes_on_hanging_saves_its_schedule_and_is_launched_again(
    tmp_path: Path, valkey: Redis
) -> None:
    async with a_host(tmp_path, valkey, ALONE) as host:
        beat = (await host.process_is("beat", "running")).pid
        assert beat is not None
        os.kill(beat, signal.SIGUSR1)

        async def relaunched() -> bool:
            told = await host.of(ProcessChanged, name="beat")
            return told[-1].state == "running" and told[-1].pid != beat

        await eventually(relaunched, "another beat that runs")
        assert not lives(beat)
        [ending] = await host.of(ProcessChanged, name="beat", state="stopping")
        assert ending.message == "did not tick again in time: it is being ended"
        pauses = await host.of(ProcessChanged, name="beat", state="backoff")
        # Celery's handler of TERM saves the schedule, and exits.
        assert [pause.exit_code for pause in pauses if pause.message.startswith("its scheduler hung")] == [0]
        await sends(host, valkey)


async def test_when_a_beat_hangs_another_host_sends_and_nothing_is_sent_twice(tmp_path: Path, valkey: Redis) -> None:
    async with beat_hosts(tmp_path, valkey) as hosts:
        first = await hosts.holder()
        [other] = [one for one in hosts.candidates if one is not first]
        [beat] = first.host.workers()
        os.kill(beat, signal.SIGUSR1)
        tick = await hosts.ticks.next(but=[beat])
        assert other.host.workers() == [tick.pid]
        assert not lives(beat)
        idle = await first.host.seen(ProcessChanged, host=first.name, name="beat", standby=True)
        assert (idle.state, idle.message) == ("stopped", f"standby: beat runs on {other.name}")
        assert not hosts.ticks.twice()
