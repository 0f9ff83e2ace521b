"""`make up` on a bare machine: what the person at the terminal sees."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import httpx
import psutil
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from signalbox_local.ports import free_port
from signalbox_local.services.service import RESTARTS
from support.eventually import HANGS, eventually, eventually_blocking
from support.host import lives
from support.stores.choose import a_redis
from support.stores.databases import a_database
from support.stores.server import Postgres

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = Path(__file__).parents[2]


class Terminal:
    """A running `python -m signalbox_local up`, and what it printed."""

    def __init__(self, process: asyncio.subprocess.Process, data: Path, port: int) -> None:
        self.process, self.data, self.port, self.printed = process, data, port, ""

    async def see(self, text: str) -> str:
        """Read on until a line contains `text`; that line."""
        assert self.process.stdout is not None
        async with asyncio.timeout(HANGS):
            while line := (await self.process.stdout.readline()).decode():
                self.printed += line
                if text in line:
                    return line.strip()
        raise AssertionError(f"it ended without saying {text!r}:\n{self.printed}")

    async def end(self) -> int:
        """Read the rest; its exit code."""
        async with asyncio.timeout(HANGS):
            self.printed += (await self.process.communicate())[0].decode()
        assert self.process.returncode is not None
        return self.process.returncode

    def below(self) -> list[psutil.Process]:
        """Everything that it started and that still runs."""
        return psutil.Process(self.process.pid).children(recursive=True)


def environment(data: Path, port: int, **more: str) -> dict[str, str]:
    """What `make up` and `make task` give to the program behind them."""
    environ = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}} | more
    ours = {"SIGNALBOX_DATA": str(data), "SIGNALBOX_PORT": str(port), "PYTHONPATH": str(ROOT / "deploy/local")}
    return environ | ours


@asynccontextmanager
async def up(
    data: Path, port: int, *, program: Sequence[str] = ("-m", "signalbox_local"), **environ: str
) -> AsyncIterator[Terminal]:
    """Run it in `data` on `port`; killed at the end if the test did not stop it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *program, "up"),
        cwd=ROOT,
        env=environment(data, port, **environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    terminal = Terminal(process, data, port)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def all_end(processes: list[psutil.Process]) -> None:
    """Wait for the end of each of them; a zombie has ended."""

    def look() -> bool:
        return not any(process.is_running() and lives(process.pid) for process in processes)

    eventually_blocking(look, "the end of all processes")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Terminal]:
    """One that is up, for tests that change nothing of it."""
    data = tmp_path_factory.mktemp("up") / "a folder"
    assert await task(data, 1, "fail") == (
        1,
        f"signalbox: nothing is up in {data}: start it with `make up`, and leave that open",
    )
    async with up(data, free_port()) as terminal:
        await terminal.see("something to do")
        yield terminal


async def task(data: Path, port: int, *arguments: str) -> tuple[int | None, str]:
    """Run `make task`; its exit code, and what it printed."""
    command = [sys.executable, "-m", "signalbox_local", "task", *arguments]
    pipe = asyncio.subprocess.PIPE
    one = await asyncio.create_subprocess_exec(*command, env=environment(data, port), stdout=pipe, stderr=pipe)
    out, err = await asyncio.wait_for(one.communicate(), HANGS)
    return one.returncode, (out + err).decode().strip()


async def test_up_says_where_it_is_and_how_to_sign_in(running: Terminal) -> None:
    client = running.data / "client.json"
    url = json.loads(client.read_text())["url"]
    assert client.stat().st_mode & 0o777 == 0o600
    assert url == f"http://127.0.0.1:{running.port}"
    assert f"Signalbox is ready at {url}\n" in running.printed
    said = re.search(r"^Sign in as (\S+) with the password (\S+)$", running.printed, re.MULTILINE)
    assert said is not None
    async with httpx.AsyncClient(base_url=url, trust_env=False) as browser:
        answer = await browser.post("/session", json={"username": said[1], "password": said[2]})
    assert answer.status_code == 200


async def test_a_newcomer_gives_the_example_something_to_do(running: Terminal) -> None:
    assert "from another terminal: make task" in running.printed
    assert (running.data / "example.json").stat().st_mode & 0o777 == 0o600
    code, task_id = await task(running.data, running.port, "fail")
    assert code == 0, task_id
    client = json.loads((running.data / "client.json").read_text())
    headers = {"Authorization": f"Bearer {client['token']}"}
    async with httpx.AsyncClient(base_url=client["url"], headers=headers, trust_env=False) as api:

        async def failed() -> bool:
            answer = await api.get(f"/scheduler/tasks/{task_id}/")
            return answer.status_code == 200 and answer.json()["status"] == "failed"

        await eventually(failed, "the task failed, as it was meant to")
    assert "stubborn" in (await task(running.data, running.port, "--help"))[1]


async def test_a_second_up_on_the_same_folder_or_port_says_so_and_touches_nothing(
    running: Terminal, tmp_path: Path
) -> None:
    async with up(running.data, free_port()) as second:
        assert await second.end() == 1
        assert f"already runs on {running.data} (process {running.process.pid})" in second.printed
    async with up(tmp_path / "other", running.port) as third:
        assert await third.end() == 1
        assert f"port {running.port} on 127.0.0.1 is taken" in third.printed
    assert running.process.returncode is None


async def test_ctrl_c_leaves_nothing_behind_and_neither_does_a_kill_minus_nine(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with up(data, free_port()) as terminal:
        await terminal.see("ready at")
        below = terminal.below()
        terminal.process.kill()
        await terminal.process.wait()
        all_end(below)
    async with up(data, free_port()) as terminal:
        await terminal.see("ready at")
        below = terminal.below()
        assert len(below) >= 5
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.end() == 0, terminal.printed
        assert "Signalbox is stopped" in terminal.printed
        assert "killed what was left" not in terminal.printed
        assert not [process for process in below if process.is_running()]
        assert not [name for name in ("client.json", "example.json") if (data / name).exists()]


async def test_a_service_that_dies_is_named_with_the_end_of_its_log_and_is_started_again(tmp_path: Path) -> None:
    async with up(tmp_path / "data", free_port()) as terminal:
        await terminal.see("ready at")
        for name in ("reconciler", "api", "controller"):
            service(terminal, name).kill()
            await terminal.see(f"{name} ended unexpectedly (exit code -9); the last lines of")
            await terminal.see(f"{name} was started again")
            assert service(terminal, name).is_running()
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.end() == 0, terminal.printed


async def test_a_service_that_dies_again_and_again_is_given_up_and_all_stops(tmp_path: Path) -> None:
    async with up(tmp_path / "data", free_port()) as terminal:
        await terminal.see("ready at")
        running = terminal.below()
        for _ in range(RESTARTS):
            service(terminal, "api").kill()
            await terminal.see("api was started again")
        service(terminal, "api").kill()
        assert await terminal.end() == 1
        assert "api ended unexpectedly (exit code -9); the last lines of" in terminal.printed
        all_end(running)


#: A machine so slow that a part does not come up in time, and a mistake of ours.
SLOW = """
import sys
from signalbox_local import run
from signalbox_local.__main__ import main
from signalbox_local.services import readiness
from signalbox_local.stores import cluster, postgres

def fail(*_):
    raise ZeroDivisionError("a mistake")

{change}
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("cluster.CREATE_TIMEOUT = 0.01", "did not create a PostgreSQL cluster"),
        ("postgres.EmbeddedPostgres.start_deadline = 0.0", "postgres did not start"),
        ("readiness.COMMAND_TIMEOUT = 0.01", "the first user 'admin' was not made within 0.01 s"),
        ("run.READY_TIMEOUT = 0.0", "was not ready after 0 s"),
        ("run.is_serving = fail", "it had to end: ZeroDivisionError: a mistake; details are in"),
    ],
)
async def test_a_part_that_is_too_slow_or_fails_is_a_sentence_and_nothing_is_left_running(
    tmp_path: Path, change: str, says: str
) -> None:
    data, mark = tmp_path / "data", f"TEST_MARK={uuid4().hex}"
    name, value = mark.split("=")
    program = ("-c", SLOW.format(change=change))
    async with up(data, free_port(), program=program, **{name: value}) as terminal:
        assert await terminal.end() == 1
    assert says in terminal.printed
    assert "Traceback" not in terminal.printed
    assert processes_with(mark, "environ") + processes_with(str(data), "cmdline") == []


def processes_with(text: str, file: str) -> list[str]:
    """The pids of the processes of which a file of `/proc` has this text."""
    return [one.parent.name for one in Path("/proc").glob(f"[0-9]*/{file}") if text in contents(one)]


def contents(file: Path) -> str:
    """What a file of `/proc` says; nothing once its process is gone."""
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError:
        return ""


async def dump(url: str) -> dict[bytes, bytes]:
    """Every key of a numbered database, with its value as Redis keeps it."""
    async with Redis.from_url(url) as client:
        return {key: await client.dump(key) or b"" async for key in client.scan_iter()}


async def test_stores_that_others_use_keep_what_they_hold_and_another_signalbox_is_refused(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    message = {"body": "W10=", "headers": {"task": "theirs.task", "id": "1"}, "content-type": "application/json"}
    async with a_redis(tmp_path / "redis") as redis, a_database(postgres_server) as name:
        url = postgres_server.url_of(name)
        for database in range(3):
            async with Redis.from_url(redis.url_of(database)) as client:
                await client.lpush("celery", json.dumps(message))
                await client.hset("unacked", "1", json.dumps([message, "", "celery"]))
                await client.zadd("unacked_index", {"1": 0})
                await client.set("theirs", database)
        theirs = await asyncpg.connect(url, server_settings={"search_path": "public"})
        await theirs.execute("CREATE TABLE tasks (kept text); INSERT INTO tasks VALUES ('theirs')")
        before = [await dump(redis.url_of(database)) for database in range(3)]
        stores = {"DATABASE_URL": url, "REDIS_URL": redis.url}
        async with up(tmp_path / "data", free_port(), **stores) as terminal:
            await terminal.see("something to do")
            code, said = await task(terminal.data, terminal.port, "fail")
            assert code == 0, said
            recorded = f"SELECT count(*) FROM signalbox.tasks WHERE task_id = '{said}' AND status = 'failed'"  # noqa: S608

            async def failed() -> bool:
                return bool(await theirs.fetchval(recorded))

            await eventually(failed, "the task of the example failed, as it was meant to")
            terminal.process.send_signal(signal.SIGINT)
            assert await terminal.end() == 0, terminal.printed
        first, *others = [await dump(redis.url_of(database)) for database in range(3)]
        assert others == before[1:]
        assert {key: value for key, value in first.items() if key in before[0]} == before[0]
        assert [key for key in first if key not in before[0] and not key.startswith(b"signalbox")] == []
        found = await theirs.fetch("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        assert [row["relname"] for row in found] == ["tasks"]
        await theirs.close()
        async with up(tmp_path / "new", free_port(), **stores) as terminal:
            assert await terminal.end() == 1
            assert "holds the data of another Signalbox, which would be changed" in terminal.printed


def service(terminal: Terminal, name: str) -> psutil.Process:
    """The process of a service that runs now."""
    return next(process for process in terminal.below() if f"signalbox_{name}" in process.cmdline())
