"""Several hosts, each a machine of a network with its own controller and two workers; the rest is in our namespace."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
from celery import Celery

from support.api import KEY, Api, an_api
from support.cgroups import end_cgroup
from support.eventually import HANGS, eventually
from support.network import Network, a_network
from support.reconciler import Recording, a_recording
from support.relay import a_relay
from support.stores.server import Redis

EXAMPLES = Path(__file__).parents[2] / "examples"
Json = dict[str, Any]

_CONFIGURATION = """
[apps.shop]
app = "shop"
directory = "{examples}"
[apps.shop.environment]
SHOP_BROKER_URL = "${{SHOP_BROKER_URL}}"
SHOP_RESULT_BACKEND = "disabled://"
[[apps.shop.workers]]
name = "one"
queues = ["{name}"]
concurrency = 1
[[apps.shop.workers]]
name = "two"
queues = ["{name}"]
concurrency = 1
"""
WORKERS = ("one", "two")


class NetworkedHost:
    """One host; its queue has its name."""

    def __init__(self, name: str, network: Network, folder: Path, environ: Mapping[str, str]) -> None:
        self.name = name
        self._network = network
        self._folder = folder / name
        self._folder.mkdir()
        self._environ = environ
        configuration = self._folder / "signalbox.toml"
        configuration.write_text(_CONFIGURATION.format(examples=EXAMPLES, name=name), encoding="utf-8")
        self._controller: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the controller; it is not ready yet when this returns."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
        ours = {
            "SIGNALBOX_HOSTNAME": self.name,
            "SIGNALBOX_DATA": str(self._folder / "data"),
            "SIGNALBOX_CONFIG": str(self._folder / "signalbox.toml"),
        }
        command = self._network.inside(self.name, sys.executable, "-m", "signalbox_controller")
        with (self._folder / "controller.log").open("ab") as log:
            self._controller = subprocess.Popen(command, env={**clean, **self._environ, **ours}, stdout=log, stderr=log)

    def processes(self) -> dict[str, int]:
        """The pid of each worker that runs here, by its name, by whomever it was launched; dead ones do not count."""
        alive = self._pids()
        mains = {}
        for pid in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                node = next((word for word in process.cmdline() if word.endswith(f"@{self.name}")), None)
                if node and _parent_is_no_worker(process) and process.status() != psutil.STATUS_ZOMBIE:
                    mains[node.partition("@")[0]] = pid
        return mains

    def _pids(self) -> list[int]:
        found = []
        for pid in psutil.pids():
            with contextlib.suppress(OSError):
                if self._network.holds(self.name, pid):
                    found.append(pid)
        return found

    def lose_power(self) -> None:
        """End everything on it at once, its connections included, without a word to anybody."""
        self._network.pull(self.name)
        for number in (signal.SIGSTOP, signal.SIGKILL):  # nobody must see another one die
            for pid in self._pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        if self._controller is not None:
            self._controller.wait(HANGS)
        end_cgroup(self._folder / "data")

    def pull(self) -> None:
        """Pull its cable."""
        self._network.pull(self.name)

    def swallow(self) -> None:
        """Let the network lose whatever it sends and should get."""
        self._network.swallow(self.name)

    def plug_in(self) -> None:
        """Plug its cable in."""
        self._network.plug_in(self.name)

    @property
    def log(self) -> str:
        """What its controller said."""
        return (self._folder / "controller.log").read_text(encoding="utf-8")


def _parent_is_no_worker(process: psutil.Process) -> bool:
    parent = process.parent()
    return parent is None or "signalbox_agent" not in parent.cmdline()


class HostNetwork:
    """The hosts, and what an operator has of them: the api, the command line, the record."""

    def __init__(
        self, machines: Sequence[NetworkedHost], api: Api, recording: Recording, celery: Celery, data: Path
    ) -> None:
        self.machines = {machine.name: machine for machine in machines}
        self.recording = recording
        self.api = api
        #: For the command line.
        self.data = data
        self._celery = celery

    async def status(self) -> Json:
        """What celery-status says."""
        async with self.api.client() as client:
            answer = await client.get("/scheduler/celery-status/")
        assert answer.is_success, answer.text  # whoever waits asks again
        status: Json = answer.json()
        return status

    async def host(self, name: str) -> Json:
        """What it says of one host."""
        hosts = {host["name"]: host for host in (await self.status())["hosts"]}
        assert name in hosts, "it has not reported yet"
        return dict(hosts[name])

    async def host_is(self, name: str, state: str, *, within: float = HANGS) -> Json:
        """The same, as soon as the host has that state."""

        async def look() -> Json:
            host = await self.host(name)
            assert host["state"] == state, f"it is {host['state']}"
            return host

        return await eventually(look, f"{name} {state}", within=within)

    async def post(self, verb: str, **body: Any) -> tuple[int, Json]:
        """Stop or start; the HTTP status and the answer."""
        async with self.api.client() as client:
            answer = await client.post(f"/scheduler/{verb}-celery/", json=body, timeout=90.0)
        return answer.status_code, answer.json()

    async def agrees(self, *, stopped: Sequence[str] = (), within: float = HANGS) -> dict[str, int]:
        """Wait until record and processes agree: all run but those `stopped`; their pids, each as in "web-a/one"."""

        async def look() -> dict[str, int]:
            recorded = await self._recorded()
            real = self.real()
            wanted = {f"{name}/{worker}" for name in self.machines for worker in WORKERS} - {*stopped}
            states = {key: process["state"] for key, process in recorded.items()}
            assert states == {key: "running" if key in wanted else "stopped" for key in states}, f"recorded: {states}"
            pids = {key: process["pid"] for key, process in recorded.items() if process["pid"]}
            assert pids == real, f"recorded {pids}, there are {real}"
            assert real.keys() == wanted, f"there are {real}"
            return real or {"nothing runs": 0}

        try:
            return await eventually(look, "record and processes agree", within=within)
        except BaseException:
            print(*(machine.log[-2000:] for machine in self.machines.values()), sep="\n")  # noqa: T201
            raise

    async def _recorded(self) -> dict[str, Json]:
        hosts = (await self.status())["hosts"]
        return {f"{process['host']}/{process['name']}": process for host in hosts for process in host["processes"]}

    def real(self) -> dict[str, int]:
        """The pids of the workers that there are, by host and name."""
        return {
            f"{name}/{worker}": pid
            for name, machine in self.machines.items()
            for worker, pid in machine.processes().items()
        }

    async def send(self, host: str, **arguments: Any) -> str:
        """Send a long task to a host; its id."""
        send = self._celery.send_task
        sent = await asyncio.to_thread(send, "shop.reports.count_stock", kwargs=arguments, queue=host)
        return str(sent.id)

    async def send_as(self, task_id: str, host: str, *, seconds: float) -> None:
        """Send such a task under an id of the application's own."""
        send, arguments = self._celery.send_task, {"seconds": seconds}
        await asyncio.to_thread(send, "shop.reports.count_stock", kwargs=arguments, queue=host, task_id=task_id)

    async def cancel(self, task_id: str, **body: Any) -> tuple[int, Json]:
        """Cancel a task; the HTTP status and the answer."""
        async with self.api.client() as client:
            answer = await client.post(f"/scheduler/cancel-task/{task_id}/", json=body, timeout=60.0)
        return answer.status_code, answer.json()

    async def logs(self, task_id: str, *, within: float = HANGS, **statuses: int) -> list[Json]:
        """The logs of a task, as soon as so many have each status."""

        async def look() -> list[Json]:
            rows = await self.recording.rows("SELECT * FROM task_logs WHERE task_id = $1", task_id)
            counts = Counter(row["status"] for row in rows)
            assert counts == statuses, f"there are {counts}"
            return rows or [{}]

        return await eventually(look, f"logs of {task_id}: {statuses}", within=within)

    async def task(self, task_id: str, *, within: float = HANGS, **fields: Any) -> Json:
        """A task of the record, as soon as it has these values."""

        async def look() -> Json | None:
            rows = await self.recording.rows("SELECT * FROM tasks WHERE task_id = $1", task_id)
            assert rows, "the record does not know it"
            seen = {name: rows[0][name] for name in fields}
            assert seen == fields, f"it has {seen}"
            return rows[0]

        return await eventually(look, f"task {task_id} with {fields}", within=within)


@asynccontextmanager
async def a_host_network(
    redis: Redis, database_url: str, folder: Path, *, lost_after: float
) -> AsyncIterator[HostNetwork]:
    """Three hosts whose workers all consume; at the end all of it is gone."""
    async with AsyncExitStack() as stack:
        network = stack.enter_context(a_network())
        bus = await stack.enter_async_context(a_relay(network.address, redis.url))
        broker = await stack.enter_async_context(a_relay(network.address, redis.url_of(1)))
        environ = {"SIGNALBOX_REDIS_URL": bus, "SIGNALBOX_KEY": KEY, "SHOP_BROKER_URL": broker}
        recording = await stack.enter_async_context(a_recording(redis, database_url, folder))
        recording.launch(SIGNALBOX_KEY=KEY, SIGNALBOX_LOST_AFTER=str(lost_after))
        api = await stack.enter_async_context(an_api(redis.url, database_url, vouched=False))
        celery = Celery(broker=redis.url_of(1), set_as_current=False)
        stack.callback(celery.close)
        data = folder / "operator"
        data.mkdir()
        (data / "client.json").write_text(json.dumps({"url": api.url, "token": api.token}), encoding="utf-8")
        machines = []
        for name in ("web-a", "web-b", "web-c"):
            network.add(name)
            machines.append(NetworkedHost(name, network, folder, environ))
            stack.callback(machines[-1].lose_power)
            machines[-1].start()
        hosts = HostNetwork(machines, api, recording, celery, data)
        for name in hosts.machines:
            await hosts.host_is(name, "online")
        await hosts.agrees()
        yield hosts
