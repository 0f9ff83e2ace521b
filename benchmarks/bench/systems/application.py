"""Application whose tasks are measured, and the workers that run it.

The same module runs on each side; a side is a queue, and its notes in Redis tell what its tasks did and when.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from bench.systems.process import a_process, log_of

#: `hold` keeps the only child busy until all tasks wait; it and `stamp`, the last task, note their times.
_SOURCE = """\
import os
import time

from celery import Celery
from redis import Redis

app = Celery("bench_app", broker=os.environ["BENCH_BROKER"])
app.conf.task_ignore_result = True
app.conf.worker_prefetch_multiplier = int(os.environ.get("BENCH_PREFETCH", "4"))
app.conf.broker_connection_retry_on_startup = True
side = os.environ["BENCH_SIDE"]
notes = Redis.from_url(os.environ["BENCH_NOTES"], socket_timeout=None)


@app.task(bind=True)
def hang(self):
    notes.rpush(f"running:{side}", f"{self.request.id} {os.getpid()} {time.time()}")
    time.sleep(3600)


@app.task
def hold():
    notes.rpush(f"held:{side}", 1)
    notes.blpop(f"release:{side}")
    notes.rpush(f"times:{side}", time.time())


@app.task
def empty():
    pass


@app.task
def stamp():
    notes.rpush(f"times:{side}", time.time())
"""
_CONFIG = """\
[apps.bench]
app = "bench_app"
directory = "{folder}"
[apps.bench.environment]
BENCH_BROKER = "${{SHOP_BROKER_URL}}"
BENCH_NOTES = "${{SHOP_BROKER_URL}}"
BENCH_SIDE = "signalbox"
BENCH_PREFETCH = "{multiplier}"
[[apps.bench.workers]]
name = "bench"
queues = ["signalbox"]
concurrency = {concurrency}
"""
#: What a controller gives to every worker: they do the same on each side.
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")

Side = Literal["signalbox", "flower", "bare", "events"]


def write(folder: Path, *, concurrency: int = 1, multiplier: int = 4) -> Path:
    """Write the application and a configuration with one worker into a folder; the path of the configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench_app.py").write_text(_SOURCE, encoding="utf-8")
    config = folder / "signalbox.toml"
    text = _CONFIG.format(folder=folder, concurrency=concurrency, multiplier=multiplier)
    config.write_text(text, encoding="utf-8")
    return config


@asynccontextmanager
async def a_worker(
    side: Side, folder: Path, broker: str, notes: str, *options: str, concurrency: int = 1
) -> AsyncIterator[int]:
    """A worker as Celery itself launches it, once it is ready; its pid. The application is in this folder."""
    environ = {"BENCH_BROKER": broker, "BENCH_NOTES": notes, "BENCH_SIDE": side, "PYTHONPATH": str(folder)}
    name = f"worker-{side}"
    command = [sys.executable, "-m", "celery", "-A", "bench_app", "worker", "-Q", side, "-n", f"{side}@bench"]
    limits = ["-c", str(concurrency), "-P", "prefork", "-l", "INFO", *options]

    async def ready() -> bool:
        return " ready." in log_of(name, folder)

    async with a_process(name, folder, [*command, *limits], environ, ready) as pid:
        yield pid
