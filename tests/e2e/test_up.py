"""`make up` on a bare machine: what the person at the terminal sees."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil

from signalbox_local.ports import free_port
from support.eventually import eventually

ROOT = Path(__file__).parents[2]
#: Seconds for a first start on a busy machine, and for an orderly end.
PATIENCE = 60.0


class Terminal:
    """A running `python -m signalbox_local up`, and what it printed."""

    def __init__(self, process: asyncio.subprocess.Process, data: Path) -> None:
        self.process, self.data, self.printed = process, data, ""

    async def see(self, text: str) -> str:
        """Read on until a line contains `text`; that line."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while line := (await self.process.stdout.readline()).decode():
                self.printed += line
                if text in line:
                    return line.strip()
        raise AssertionError(f"it ended without saying {text!r}:\n{self.printed}")

    async def end(self) -> int:
        """Read the rest; its exit code."""
        async with asyncio.timeout(PATIENCE):
            self.printed += (await self.process.communicate())[0].decode()
        assert self.process.returncode is not None
        return self.process.returncode

    def below(self) -> list[psutil.Process]:
        """Everything that it started and that still runs."""
        return psutil.Process(self.process.pid).children(recursive=True)


def environment(data: Path, port: int) -> dict[str, str]:
    """What `make up` and `make task` give to the program behind them."""
    environ = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
    ours = {"SIGNALBOX_DATA": str(data), "SIGNALBOX_PORT": str(port), "PYTHONPATH": str(ROOT / "deploy/local")}
    return environ | ours


@asynccontextmanager
async def up(data: Path, port: int) -> AsyncIterator[Terminal]:
    """Run it in `data` on `port`; killed at the end if the test did not stop it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "signalbox_local", "up"),
        cwd=ROOT,
        env=environment(data, port),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    terminal = Terminal(process, data)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all of them end within the patience; a zombie has ended."""
    _, left = psutil.wait_procs([p for p in processes if p.is_running() and p.status() != "zombie"], timeout=PATIENCE)
    return not left


async def test_up_says_where_it_is_and_how_to_sign_in_and_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    async with up(tmp_path / "a folder", port) as terminal:
        assert await terminal.see("ready at") == f"Signalbox is ready at http://127.0.0.1:{port}"
        said = re.fullmatch(r"Sign in as (\S+) with the password (\S+)", await terminal.see("Sign in"))
        assert said is not None
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as browser:
            answer = await browser.post("/session", json={"username": said[1], "password": said[2]})
        assert answer.status_code == 200
        client = terminal.data / "client.json"
        assert client.stat().st_mode & 0o777 == 0o600
        assert json.loads(client.read_text())["url"] == f"http://127.0.0.1:{port}"
        running = terminal.below()
        assert len(running) >= 5
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.end() == 0, terminal.printed
        assert "Signalbox is stopped" in terminal.printed
        assert "killed what was left" not in terminal.printed
        assert not [process for process in running if process.is_running()]
        assert not client.exists()


async def test_a_newcomer_gives_the_example_something_to_do(tmp_path: Path) -> None:
    data, port = tmp_path / "a folder", free_port()

    async def task(*arguments: str) -> tuple[int | None, str]:
        command = [sys.executable, "-m", "signalbox_local", "task", *arguments]
        pipe = asyncio.subprocess.PIPE
        one = await asyncio.create_subprocess_exec(*command, env=environment(data, port), stdout=pipe, stderr=pipe)
        out, err = await asyncio.wait_for(one.communicate(), PATIENCE)
        return one.returncode, (out + err).decode().strip()

    assert await task("fail") == (
        1,
        f"signalbox: nothing is up in {data}: start it with `make up`, and leave that open",
    )
    async with up(data, port) as terminal:
        await terminal.see("ready at")
        assert "make task" in await terminal.see("something to do")
        assert (data / "example.json").stat().st_mode & 0o777 == 0o600
        code, task_id = await task("fail")
        assert code == 0, task_id
        token = json.loads((data / "client.json").read_text())["token"]
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:

            async def failed() -> bool:
                answer = await client.get(f"/scheduler/tasks/{task_id}/")
                return answer.status_code == 200 and answer.json()["status"] == "failed"

            await eventually(failed, "the task failed, as it was meant to")
        assert "stubborn" in (await task("--help"))[1]
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.end() == 0, terminal.printed
    assert not (data / "example.json").exists()


async def test_after_a_kill_minus_nine_nothing_runs_on_and_the_next_up_is_ready_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with up(data, free_port()) as terminal:
        await terminal.see("ready at")
        running = terminal.below()
        terminal.process.kill()
        await terminal.process.wait()
        assert gone(running)
    async with up(data, free_port()) as terminal:
        await terminal.see("ready at")
        terminal.process.terminate()
        assert await terminal.end() == 0, terminal.printed


async def test_a_service_that_dies_is_named_with_the_end_of_its_log_and_all_stops(tmp_path: Path) -> None:
    async with up(tmp_path / "data", free_port()) as terminal:
        await terminal.see("ready at")
        running = terminal.below()
        api = next(process for process in running if "signalbox_api" in process.cmdline())
        api.kill()
        assert await terminal.end() == 1
        assert "api ended unexpectedly (exit code -9); the last lines of" in terminal.printed
        assert not [process for process in running if process.is_running()]


async def test_a_second_up_on_the_same_folder_or_port_says_so_and_touches_nothing(tmp_path: Path) -> None:
    port = free_port()
    async with up(tmp_path / "data", port) as first:
        await first.see("ready at")
        async with up(tmp_path / "data", free_port()) as second:
            assert await second.end() == 1
            assert f"already runs on {tmp_path / 'data'} (process {first.process.pid})" in second.printed
        async with up(tmp_path / "other", port) as third:
            assert await third.end() == 1
            assert f"port {port} on 127.0.0.1 is taken" in third.printed
        assert first.process.returncode is None
        first.process.terminate()
        assert await first.end() == 0
