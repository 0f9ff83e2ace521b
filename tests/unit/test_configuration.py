"""`signalbox.toml`: what it may say, and what a person is told when it makes no sense."""

import os
import pwd
import sys
from pathlib import Path

import pytest

from signalbox_controller.config.settings import Configuration, load
from signalbox_controller.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
SMALLEST = """
[apps.shop]
app = "shop"
[[apps.shop.workers]]
name = "worker"
"""


def read(folder: Path, text: str, **environ: str) -> Configuration:
    file = folder / "signalbox.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, environ)


def complaint(folder: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        read(folder, text, **environ)
    message = str(raised.value)
    assert message.startswith(f"{folder / 'signalbox.toml'}: ")
    return message


def test_a_worker_needs_no_more_than_a_name(tmp_path: Path) -> None:
    (worker,) = read(tmp_path, SMALLEST).processes
    assert (worker.name, worker.kind, worker.app, worker.label) == ("worker", "worker", "shop", "shop")
    assert (worker.python, worker.directory) == (sys.executable, tmp_path)
    assert (worker.queues, worker.concurrency, worker.pool) == ((), 4, "prefork")
    assert not any((worker.command, worker.gossip, worker.mingle, worker.heartbeat, worker.events))
    assert (worker.stop_timeout, worker.kill_after, worker.restart) == (30.0, 5.0, "on-failure")
    assert worker.node("web-01") == "worker@web-01"


def test_the_example_that_we_ship_is_right() -> None:
    environ = {"SHOP_BROKER_URL": "redis://one", "SHOP_RESULT_BACKEND": "redis://two"}
    worker, beat = load(ROOT / "signalbox.example.toml", environ).processes
    assert (worker.name, worker.kind, beat.name, beat.kind) == ("worker", "worker", "beat", "beat")
    assert worker.directory == ROOT / "examples"
    assert worker.environment["SHOP_BROKER_URL"] == "redis://one"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    text = SMALLEST.replace('app = "shop"', 'app = "shop"\ndirectory = "code"\npython = "venv/bin/python"')
    (worker,) = read(tmp_path, text).processes
    assert worker.directory == tmp_path / "code"
    assert worker.python == str(tmp_path / "venv/bin/python")


def test_a_variable_of_a_worker_wins_over_that_of_its_application(tmp_path: Path) -> None:
    text = (
        SMALLEST
        + """
[apps.shop.workers.environment]
COLOUR = "red ${SHADE}"
[apps.shop.environment]
COLOUR = "blue"
SIZE = "${HEIGHT}x${WIDTH}"
"""
    )
    (worker,) = read(tmp_path, text, SHADE="dark", HEIGHT="3", WIDTH="4").processes
    assert worker.environment == {"COLOUR": "red dark", "SIZE": "3x4"}


def test_workers_without_an_agent_are_watched_only_where_the_file_says_so(tmp_path: Path) -> None:
    assert read(tmp_path, SMALLEST).watches == ()
    text = SMALLEST + '[apps.shop.watch]\n[apps.shop.environment]\nCOLOUR = "blue"\n'
    (watch,) = read(tmp_path, text).watches
    assert (watch.app, watch.label, watch.directory, watch.python) == ("shop", "shop", tmp_path, sys.executable)
    assert (watch.environment, watch.enable_events, watch.lost_after) == ({"COLOUR": "blue"}, True, 300.0)


def test_processes_run_as_another_user_by_the_key_or_by_celerys_own_option(tmp_path: Path) -> None:
    own = pwd.getpwuid(os.getuid()).pw_name
    text = SMALLEST.replace('app = "shop"', f'app = "shop"\nuser = "{own}"')
    assert read(tmp_path, text).processes[0].runs_as == own
    for options in ("['--uid', 'web']", "['-Ofair', '--uid=web']"):
        assert read(tmp_path, f"{SMALLEST}options = {options}\n").processes[0].runs_as == "web"
    assert read(tmp_path, SMALLEST).processes[0].runs_as == ""


@pytest.mark.parametrize("pool", ["prefork", "processes", "threads", "solo", "gevent", "eventlet"])
def test_a_pool_may_have_any_of_the_names_that_celery_gives_it(tmp_path: Path, pool: str) -> None:
    (worker,) = read(tmp_path, f"{SMALLEST}pool = '{pool}'\n").processes
    assert worker.pool == pool


def test_a_pool_of_ones_own_is_named_where_celery_looks_for_it(tmp_path: Path) -> None:
    text = f"{SMALLEST}pool = 'custom'\n"
    table = "[apps.shop.workers.environment]\nCELERY_CUSTOM_WORKER_POOL = 'shop.pool:Pool'\n"
    assert read(tmp_path, text + table).processes[0].pool == "custom"
    assert read(tmp_path, text, CELERY_CUSTOM_WORKER_POOL="shop.pool:Pool").processes[0].pool == "custom"


def test_a_name_that_two_applications_use_gets_the_applications_in_front(tmp_path: Path) -> None:
    other = SMALLEST.replace("apps.shop", "apps.bank") + '[[apps.bank.workers]]\nname = "teller"\n'
    names = [spec.name for spec in read(tmp_path, SMALLEST + other).processes]
    assert names == ["shop-worker", "bank-worker", "teller"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["the top level", "`apps`"]),
        ("[apps]\n", ["apps"]),
        ('[apps."../shop"]\napp = "shop"\n', ["apps", "regex"]),
        ("nonsense", ["not TOML"]),
        ("[apps.shop]\n", ["apps.shop", "`app`"]),
        (SMALLEST + "coler = 1\n", ["apps.shop.workers[0]", "'coler'", "concurrency"]),
        (SMALLEST + "concurrency = 'two'\n", ["apps.shop.workers[0].concurrency", "int"]),
        (SMALLEST + "concurrency = 0\n", ["apps.shop.workers[0].concurrency", ">= 1"]),
        (SMALLEST + "pool = 'preforks'\n", ["apps.shop.workers[0].pool", "preforks"]),
        (SMALLEST + "pool = 'custom'\n", ["apps.shop.workers.worker.pool", "CELERY_CUSTOM_WORKER_POOL", "set it"]),
        (SMALLEST + "command = ['']\n", ["apps.shop.workers[0].command[0]", ">= 1"]),
        (SMALLEST + "restart = 'sometimes'\n", ["apps.shop.workers[0].restart"]),
        (SMALLEST + "queues = []\n", ["apps.shop.workers[0].queues"]),
        (SMALLEST + "start_timeout = 0\n", ["apps.shop.workers[0].start_timeout"]),
        (SMALLEST + "restart_limit = 0\n", ["apps.shop.workers[0].restart_limit"]),
        (SMALLEST + "options = ['-n', 'x']\n", ["apps.shop.workers.worker.options", "'-n'", "node name"]),
        (SMALLEST + "options = ['--hostname=x']\n", ["apps.shop.workers.worker.options", "node name"]),
        (SMALLEST + "options = ['-B']\n", ["apps.shop.workers.worker.options", "table `beat`"]),
        (SMALLEST + "options = ['--detach']\n", ["apps.shop.workers.worker.options", "supervised"]),
        (SMALLEST + "[apps.shop.beat]\noptions = ['--pidfile=x']\n", ["apps.shop.beat.options", "--pidfile"]),
        (SMALLEST.replace('app = "shop"', 'app = "shop"\nminimum_running = 1'), ["minimum_running is 1", "lower"]),
        ("[logs]\nmax_bytes = 1\n" + SMALLEST, ["logs.max_bytes", ">= 65536"]),
        ("[logs]\nsize = 1\n" + SMALLEST, ["logs has", "'size'", "max_bytes"]),
        (SMALLEST + "stop_timeout = -1\n", ["apps.shop.workers[0].stop_timeout"]),
        (SMALLEST.replace('"worker"', '"../worker"'), ["apps.shop.workers[0].name"]),
        (SMALLEST + "[apps.shop.beat]\nqueues = ['x']\n", ["apps.shop.beat", "'queues'", "options"]),
        (SMALLEST + "[apps.shop.watch]\nevents = true\n", ["apps.shop.watch", "'events'", "enable_events"]),
        (SMALLEST + "[apps.shop.watch]\nlost_after = 0\n", ["apps.shop.watch.lost_after", ">= 1"]),
        (SMALLEST + '[[apps.shop.workers]]\nname = "worker"\n', ["apps.shop: two processes", "'worker'"]),
        (
            SMALLEST.replace('app = "shop"', 'app = "shop"\nuser = "no-such"'),
            ["apps.shop.user", "'no-such'", "no user"],
        ),
        (SMALLEST.replace('app = "shop"', 'app = "shop"\ndirectory = "no/such"'), ["apps.shop.directory", "no/such"]),
        (SMALLEST + '[apps.shop.environment]\nA = "${NOT_SET}"\n', ["apps.shop.environment", "${NOT_SET}", "set it"]),
    ],
)
def test_a_mistake_is_named_by_file_and_key(tmp_path: Path, text: str, words: list[str]) -> None:
    message = complaint(tmp_path, text)
    assert not [word for word in words if word not in message], message


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"does not exist; copy signalbox\.example\.toml"):
        load(tmp_path / "signalbox.toml", {})
