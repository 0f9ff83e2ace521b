"""The parts of a local run that need no process."""

import os
import socket
from pathlib import Path

import pytest

from signalbox_local import ports
from signalbox_local.errors import FolderInUse, LocalError
from signalbox_local.lock import lock_folder
from signalbox_local.plan import ROOT, Plan
from signalbox_local.secret import secret, write_private
from signalbox_local.services import environment
from signalbox_local.stores import cluster

BUS = "redis://:password@127.0.0.1:7000/3"


def test_a_secret_is_the_same_at_the_next_run_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    first = secret(tmp_path, "key")
    assert len(first) >= 32
    assert secret(tmp_path, "key") == first
    assert secret(tmp_path, "another") != first
    assert (tmp_path / "secrets" / "key").stat().st_mode & 0o777 == 0o600


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "client.json"
    for text in ("a longer text", "short"):
        write_private(path, text)
        assert path.read_text() == text
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_second_run_on_the_same_folder_is_told_who_has_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        lock_folder(data),
        pytest.raises(FolderInUse, match=rf"already runs on .* \(process {os.getpid()}\)"),
        lock_folder(data),
    ):
        pytest.fail("both hold it")
    with lock_folder(data):
        pass


def test_a_taken_port_is_seen_and_a_free_one_is_below_the_ephemeral_range() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not ports.is_free(taken.getsockname()[1])
    port = ports.free_port()
    assert ports.is_free(port)
    assert port < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_that_makes_no_sense_is_refused(port: str) -> None:
    with pytest.raises(LocalError, match="SIGNALBOX_PORT"):
        Plan.from_env({"SIGNALBOX_PORT": port})


def test_by_default_it_is_port_8000_and_the_example() -> None:
    plan = Plan.from_env({})
    assert plan.url == "http://127.0.0.1:8000"
    assert plan.data == Path.cwd() / ".signalbox"
    assert plan.config.name == "signalbox.example.toml"


def test_below_a_path_the_address_that_is_printed_has_it_and_the_api_gets_it(tmp_path: Path) -> None:
    plan = Plan.from_env({"SIGNALBOX_ROOT_PATH": "/signalbox/", "SIGNALBOX_TRUSTED_PROXIES": "10.0.0.7"})
    assert plan.url == "http://127.0.0.1:8000/signalbox"
    base = environment.common(Plan(data=tmp_path, port=1), redis_url=BUS, key="k", environ={})
    api = environment.for_api(base, "postgresql://record", plan)
    assert (api["SIGNALBOX_ROOT_PATH"], api["SIGNALBOX_TRUSTED_PROXIES"]) == ("/signalbox/", "10.0.0.7")


def test_the_controller_never_learns_where_the_record_is(tmp_path: Path) -> None:
    ours = {
        "PATH": "/bin",
        "DATABASE_URL": "postgresql://secret",
        "SIGNALBOX_DATABASE_URL": "postgresql://secret",
        "SIGNALBOX_ANYTHING": "else",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "deploy" / "local"), "/srv/lib"]),
    }
    base = environment.common(Plan(data=tmp_path, port=1), redis_url=BUS, key="k", environ=ours)
    told = environment.for_controller(base, Plan(data=tmp_path, port=1))
    assert not [value for value in told.values() if "postgresql" in value]
    assert "SIGNALBOX_ANYTHING" not in told
    assert told["PATH"] == "/bin"
    assert told["PYTHONPATH"] == "/srv/lib"
    assert told["SIGNALBOX_ON_EXIT"] == "stop"


def test_the_shop_keeps_to_the_database_that_was_given_and_to_keys_of_its_own() -> None:
    addresses = {"SHOP_BROKER_URL": BUS, "SHOP_RESULT_BACKEND": BUS}
    assert environment.shop(BUS) == {**addresses, "SHOP_KEY_PREFIX": "signalbox-example:"}


def test_a_database_of_a_form_that_cannot_be_used_is_named_before_anything_is_started() -> None:
    with pytest.raises(LocalError, match="SIGNALBOX_DATABASE_URL is mysql://"):
        Plan.from_env({"DATABASE_URL": "mysql://localhost"})
    assert Plan.from_env({"DATABASE_URL": "postgresql+psycopg://db/x"}).database_url == "postgresql://db/x"


def test_a_postmaster_pid_that_another_program_has_by_now_does_not_stop_postgres(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}\n")
    cluster.forget_dead_postmaster(tmp_path)
    assert not (tmp_path / "postmaster.pid").exists()
