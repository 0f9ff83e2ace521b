"""Footprint of supervision while nothing happens: CPU and memory of the controller, and of the agent in a worker.

The agent's share is what a supervised worker takes beyond the same worker started by hand, both idle side by side.
Memory is the proportional set size (PSS, proc(5)): what would be free if the process were not there. Exits with 1 when
controller and agent together take more than 1 % of a core, or more than 60 MB.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from signalbox.errors import ControllerUnreachable
from signalbox.local.ask import ask
from signalbox.local.protocol import ShowStatus
from signalbox.messages.events import HostSeen
from signalbox_local.plan import ROOT
from signalbox_local.services.environment import shop
from signalbox_local.stores.valkey import EmbeddedValkey

#: Limits: percent of a core, and megabytes.
MOST_CPU = 1.0
MOST_MEMORY = 60.0
#: Seconds for everything to start, and then to become idle.
_TIMEOUT = 60.0
_SETTLE = 3.0
_CONCURRENCY = 2
_WORKER = """
[apps.shop]
app = "shop"
directory = "{examples}"
[apps.shop.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
SHOP_RESULT_BACKEND = "${{SHOP_RESULT_BACKEND}}"
[[apps.shop.workers]]
name = "supervised"
queues = ["supervised"]
concurrency = {concurrency}
"""


@dataclass(frozen=True)
class Usage:
    """CPU time and memory of some processes."""

    #: Seconds on a CPU, so far.
    cpu: float
    #: Megabytes of PSS, now.
    memory: float


def usage(pids: list[int]) -> Usage:
    """The sum over these processes."""
    return Usage(sum(map(_cpu, pids)), sum(map(_memory, pids)))


def _cpu(pid: int) -> float:
    # Nanoseconds on a CPU come first; the fields of /proc/<pid>/stat are too coarse for an idle process.
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def family(pid: int) -> list[int]:
    """A worker and its pool children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


@contextmanager
def launched(command: list[str], environ: dict[str, str], log: Path, cwd: Path) -> Iterator[int]:
    """A process, ended with the body; its pid."""
    with (
        log.open("wb") as out,
        subprocess.Popen(command, env=os.environ | environ, stdout=out, stderr=out, cwd=cwd) as one,
    ):
        try:
            yield one.pid
        finally:
            one.send_signal(signal.SIGTERM)
            one.wait(30.0)


def supervised(data: Path) -> int:
    """The pid of the supervised worker, as soon as it consumes."""

    def pid() -> int | None:
        try:
            status = ask(data, ShowStatus())
        except ControllerUnreachable:
            return None
        [worker] = status.processes if isinstance(status, HostSeen) else [None]
        return worker.pid if worker and worker.state == "running" else None

    return _wait(pid, "the supervised worker")


def _wait(poll: Callable[[], int | None], what: str) -> int:
    end = time.monotonic() + _TIMEOUT
    while time.monotonic() < end:
        if (found := poll()) is not None:
            return found
        time.sleep(0.1)
    raise SystemExit(f"{what} was not ready within {_TIMEOUT:g} s")


def measure(folder: Path, broker: str, seconds: float) -> list[Usage]:
    """CPU time in so many idle seconds, and memory at the end: the controller, the agent, a worker without it."""
    config, data, log = folder / "signalbox.toml", folder / "data", folder / "plain.log"
    config.write_text(_WORKER.format(examples=ROOT / "examples", concurrency=_CONCURRENCY))
    flags = ["-c", str(_CONCURRENCY), "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO"]
    plain = [sys.executable, "-m", "celery", "-A", "shop", "worker", "-n", "plain@bench", "-Q", "plain", *flags]
    ours = {
        "SIGNALBOX_REDIS_URL": broker,
        "SIGNALBOX_KEY": "k" * 40,
        "SIGNALBOX_DATA": str(data),
        "SIGNALBOX_CONFIG": str(config),
        "SIGNALBOX_HOSTNAME": "bench",
        "SIGNALBOX_ON_EXIT": "stop",
    }
    with ExitStack() as stack:
        by_hand = stack.enter_context(launched(plain, shop(broker), log, ROOT / "examples"))
        command = [sys.executable, "-m", "signalbox_controller"]
        controller = stack.enter_context(launched(command, ours | shop(broker), folder / "controller.log", folder))
        worker = supervised(data)
        _wait(lambda: 1 if "ready" in log.read_text() else None, "the worker started by hand")
        time.sleep(_SETTLE)
        groups = [[controller], family(worker), family(by_hand)]
        before = [usage(group) for group in groups]
        time.sleep(seconds)
        after = [usage(group) for group in groups]
    spent = [Usage(end.cpu - begin.cpu, end.memory) for begin, end in zip(before, after, strict=True)]
    supervisor, with_agent, without = spent
    return [supervisor, Usage(with_agent.cpu - without.cpu, with_agent.memory - without.memory), without]


async def benchmark(seconds: float) -> list[Usage]:
    """Start an embedded server, measure, and stop it."""
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        valkey = EmbeddedValkey(Path(folder) / "redis", durable=False)
        try:
            await valkey.start()
            return await asyncio.to_thread(measure, Path(folder), valkey.url, seconds)
        finally:
            await valkey.stop()


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure (default: 60)")
    seconds = parser.parse_args().seconds
    controller, agent, plain = asyncio.run(benchmark(seconds))
    cpu = [100 * one.cpu / seconds for one in (controller, agent)]
    memory = [controller.memory, agent.memory]
    print(f"controller   {cpu[0]:6.2f} % of a core   {memory[0]:6.1f} MB")
    print(f"agent        {cpu[1]:6.2f} % of a core   {memory[1]:6.1f} MB   (beyond a worker without it)")
    print(f"together     {sum(cpu):6.2f} % of a core   {sum(memory):6.1f} MB")
    print(f"the idle worker without it takes {100 * plain.cpu / seconds:.2f} % of a core itself")
    sys.exit(sum(cpu) > MOST_CPU or sum(memory) > MOST_MEMORY)


if __name__ == "__main__":
    main()
