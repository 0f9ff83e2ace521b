"""`signalbox setup`, and the first start of an installation: what is missing is one sentence that says what to run."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from signalbox.settings import Settings
from signalbox_cli.commands.setup import settings
from signalbox_cli.errors import Refused
from signalbox_cli.installation import environment_file, parts
from signalbox_local.ports import free_port
from support.cli import run
from support.eventually import HANGS, eventually
from support.stores.server import Redis

KEY = "k" * 40


@asynccontextmanager
async def an_api_alone(folder: Path, redis: str, database: str, port: int) -> AsyncIterator[None]:
    """An api that was started before anything was set up."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")} | {
        "SIGNALBOX_REDIS_URL": redis,
        "SIGNALBOX_DATABASE_URL": database,
        "SIGNALBOX_KEY": KEY,
        "SIGNALBOX_PORT": str(port),
    }
    with (folder / "api.log").open("wb") as log:
        api = subprocess.Popen([sys.executable, "-m", "signalbox_api"], env=environ, stdout=log, stderr=log)
    try:
        yield
    finally:
        api.terminate()
        await asyncio.to_thread(api.wait, HANGS)


async def test_the_doctor_leads_through_the_first_start_and_never_in_a_circle(
    tmp_path: Path, valkey: Redis, empty_database_url: str
) -> None:
    data, port = tmp_path / "data", free_port()
    url = f"http://127.0.0.1:{port}"
    stores = {"SIGNALBOX_REDIS_URL": valkey.url, "SIGNALBOX_DATABASE_URL": empty_database_url}
    setup = ["setup", "--environment", str(tmp_path / "signalbox.env")]

    found = await run("doctor", data=data)
    assert found.code == 3
    assert "run `signalbox setup`" in found.out.splitlines()[-1]

    async with an_api_alone(tmp_path, valkey.url, empty_database_url, port):

        async def no_user() -> bool:
            found = await run("doctor", "--url", url, data=data)
            assert "FAIL  token: No user yet" in found.out, found.out
            return "run `signalbox setup`" in found.out.splitlines()[-1]

        await eventually(no_user, "the doctor says that there is no user yet")
        async with httpx.AsyncClient(base_url=url, trust_env=False) as browser:
            answer = await browser.post("/session", json={"username": "admin", "password": "whatever it is"})
        assert answer.status_code == 401
        assert answer.json()["message"].startswith("No user yet: run `signalbox setup`")

        made = await run(*setup, "--json", data=data, SIGNALBOX_KEY=KEY, SIGNALBOX_PORT=str(port), **stores)
        assert made.code == 0, made.err
        assert msgspec.json.decode(made.out)["url"] == url
        found = await run("doctor", data=data)
        failed = [line for line in found.out.splitlines() if line.startswith("FAIL")]
        assert [line.split(":")[0] for line in failed] == ["FAIL  reconciler", "FAIL  hosts"]
        assert "start one (signalbox-reconciler)" in found.out
        assert "Start signalbox-controller on each host" in found.out

        stranger = await run("doctor", "--url", url, data=tmp_path / "elsewhere")
        assert "FAIL  token: none was given" in stranger.out
        assert "On the host of the api, `signalbox setup` makes one" in stranger.out


async def test_setup_again_changes_nothing_but_a_password_that_it_is_given(
    tmp_path: Path, valkey: Redis, empty_database_url: str
) -> None:
    stores = {"SIGNALBOX_REDIS_URL": valkey.url, "SIGNALBOX_DATABASE_URL": empty_database_url}
    file = tmp_path / "signalbox.env"
    setup = ["setup", "--environment", str(file), "--json"]
    first = msgspec.json.decode((await run(*setup, data=tmp_path / "data", **stores)).out)
    assert first["user"] == "admin"
    assert len(first["password"]) >= 20
    assert file.stat().st_mode & 0o777 == 0o600
    written = environment_file.read(file)
    assert len(written["SIGNALBOX_KEY"]) >= 32

    again = await run(*setup, data=tmp_path / "data")  # the addresses are in the file
    assert (again.code, msgspec.json.decode(again.out)["user"]) == (0, None), again.err
    assert environment_file.read(file) == written

    given = await run(*setup, data=tmp_path / "data", SIGNALBOX_ADMIN_PASSWORD="a new one of mine")
    assert msgspec.json.decode(given.out) == first | {"password": None}
    assert "mine" not in file.read_text(encoding="utf-8")

    other = await run(*setup, data=tmp_path / "data", SIGNALBOX_KEY="x" * 40)
    assert other.code == 1
    assert other.err.startswith("SIGNALBOX_KEY is another one than in the file of settings")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"SIGNALBOX_REDIS_URL": ""}, "SIGNALBOX_REDIS_URL is not set: set it first, as in: export "),
        ({"SIGNALBOX_DATABASE_URL": ""}, "SIGNALBOX_DATABASE_URL is not set: set it first, as in: export "),
        ({"SIGNALBOX_DATABASE_URL": "mysql://root@db/x"}, "SIGNALBOX_DATABASE_URL is mysql://…; it must look like"),
        ({"SIGNALBOX_REDIS_URL": "localhost"}, "SIGNALBOX_REDIS_URL is no address of Redis; it must look like"),
        ({"SIGNALBOX_REDIS_URL": "redis://127.0.0.1:1/0"}, "Redis does not answer: "),
        ({"SIGNALBOX_KEY": "short"}, "SIGNALBOX_KEY must be a secret of at least 32 characters"),
        ({"SIGNALBOX_ADMIN_PASSWORD": "short"}, "SIGNALBOX_ADMIN_PASSWORD must be a password of at least"),
    ],
)
async def test_what_setup_misses_is_one_sentence(
    tmp_path: Path, valkey: Redis, empty_database_url: str, change: dict[str, str], says: str
) -> None:
    stores = {"SIGNALBOX_REDIS_URL": valkey.url, "SIGNALBOX_DATABASE_URL": empty_database_url}
    setup = ["setup", "--environment", str(tmp_path / "signalbox.env")]
    ended = await run(*setup, data=tmp_path / "data", **(stores | change))
    assert ended.code == 1, ended.out
    assert ended.err.startswith(says)
    assert len(ended.err.splitlines()) == 1


async def test_a_wrong_password_of_postgresql_is_what_setup_says(valkey: Redis, empty_database_url: str) -> None:
    address = urlsplit(empty_database_url)
    wrong = address._replace(netloc=f"nobody:wrong@{address.netloc.rpartition('@')[2]}").geturl()
    environ = os.environ | {
        "SIGNALBOX_REDIS_URL": valkey.url,
        "SIGNALBOX_DATABASE_URL": wrong,
        "SIGNALBOX_KEY": KEY,
    }
    arguments = ("signalbox_reconciler", "--migrate-only", "--within", "0")
    with pytest.raises(Refused, match="PostgreSQL cannot be used: password authentication failed"):
        await asyncio.to_thread(parts.run, *arguments, environ=environ)


def test_a_part_that_is_not_installed_is_named_with_the_command_that_installs_it() -> None:
    parts.require("signalbox-reconciler", "signalbox-api")
    with pytest.raises(Refused, match=r"signalbox-nothing cannot be found .* -m pip install signalbox-nothing$"):
        parts.require("signalbox-api", "signalbox-nothing")


@pytest.mark.parametrize("value", ["plain", "", "a b", 'it\'s $HOME `id` "x" \\', "redis://:p%2F@h:1/0?a=b&c=d", "ü"])
def test_a_setting_is_read_by_a_shell_and_by_us_as_it_was_written(tmp_path: Path, value: str) -> None:
    file = tmp_path / "signalbox.env"
    environment_file.write(file, {"SIGNALBOX_X": value})
    assert environment_file.read(file) == {"SIGNALBOX_X": value}
    shell = ["sh", "-c", f'set -a; . {file}; set +a; printf %s "$SIGNALBOX_X"']
    assert subprocess.run(shell, capture_output=True, text=True, check=True, timeout=HANGS).stdout == value


def test_setup_keeps_every_setting_that_is_exported_but_the_name_of_its_host() -> None:
    exported = {
        "SIGNALBOX_REDIS_URL": "redis://127.0.0.1:1/3",
        "SIGNALBOX_DATABASE_URL": "postgresql://127.0.0.1:1/kept",
        "SIGNALBOX_KEY": KEY,
        "SIGNALBOX_HOST": "0.0.0.0",  # noqa: S104 - nothing listens
        "SIGNALBOX_PORT": "8001",
        "SIGNALBOX_ROOT_PATH": "/signalbox",
        "SIGNALBOX_TRUSTED_PROXIES": "10.0.0.0/8",
        "SIGNALBOX_DATA": "/srv/signalbox",
        "SIGNALBOX_CONFIG": "/etc/signalbox.toml",
        "SIGNALBOX_ON_EXIT": "stop",
        "SIGNALBOX_CGROUPS": "off",
        "SIGNALBOX_LOST_AFTER": "301",
        "SIGNALBOX_FORGET_AFTER": "86401",
        "SIGNALBOX_REMEMBER_CANCELLED": "604801",
        "SIGNALBOX_KEEP_COMPLETED": "86402",
        "SIGNALBOX_KEEP_FAILED": "86403",
        "SIGNALBOX_KEEP_COMMANDS": "86404",
        "SIGNALBOX_CONNECTIONS": "1999",
        "SIGNALBOX_CONNECTIONS_PER_ADDRESS": "199",
        "SIGNALBOX_SOCKETS_PER_CALLER": "99",
        "SIGNALBOX_LOG_LEVEL": "debug",
    }
    said, least = Settings.from_env(exported), Settings(redis_url="", key="")
    same = [name for name in Settings.__struct_fields__ if getattr(said, name) == getattr(least, name)]
    assert not same, "this test says nothing of a setting that it leaves as it is"
    assert Settings.from_env(settings({}, exported | {"SIGNALBOX_HOSTNAME": "web-07"})) == said
    assert settings(exported, {}) == exported, "what is in the file stays"


def test_a_file_of_settings_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    file = tmp_path / "signalbox.env"
    file.write_text("# ours\nSIGNALBOX_KEY\n", encoding="utf-8")
    with pytest.raises(Refused, match="has a line that is not NAME=value: it begins with 'SIGNALBOX_KEY'"):
        environment_file.read(file)
