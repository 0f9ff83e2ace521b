"""A wrong setting is named at the start, and every setting is documented."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path

import msgspec
import pytest

from signalbox.client.asynchronous import AsyncClient
from signalbox.errors import SettingsError
from signalbox.settings import MIN_KEY_LENGTH, Settings
from signalbox_protocol.field_docs import field_docs
from support.eventually import HANGS

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
ENOUGH = {"SIGNALBOX_REDIS_URL": "redis://bus/0", "SIGNALBOX_KEY": "k" * MIN_KEY_LENGTH}


class Overheard(Mapping[str, str]):
    """An environment that remembers which variables were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_ = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


def overheard() -> set[str]:
    """Every variable that the services and the client read."""
    full = Overheard(ENOUGH)
    Settings.from_env(full)
    # Where the first name of two is missing, the second one is asked for.
    fallback = Overheard({"REDIS_URL": "redis://bus/0", "SIGNALBOX_KEY": ENOUGH["SIGNALBOX_KEY"]})
    AsyncClient.from_env(fallback)
    return full.asked | fallback.asked


def named_in_code() -> set[str]:
    """Every variable of ours that the text of the code names."""
    files = [path for part in ("shared", "services", "deploy") for path in (ROOT / part).rglob("*.py")]
    return {name for path in files for name in re.findall(r"SIGNALBOX_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8"))}


def table() -> dict[str, str]:
    """The defaults in the document, by variable."""
    rows = re.findall(r"^\| `([A-Z_]+)`[^|]*\| ([^|]+) \|", DOCUMENT, re.MULTILINE)
    return {name: default.strip("` ") for name, default in rows}


def test_only_redis_and_the_key_are_required() -> None:
    settings = Settings.from_env(ENOUGH)

    assert settings.redis_url == "redis://bus/0"
    assert settings.database_url == ""
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.hostname


def test_each_variable_arrives_in_its_field() -> None:
    environment = ENOUGH | {
        "SIGNALBOX_DATABASE_URL": "postgresql://record",
        "SIGNALBOX_HOST": "0.0.0.0",  # noqa: S104 - a value to be read, nothing listens
        "SIGNALBOX_PORT": "9000",
        "SIGNALBOX_ROOT_PATH": "/ops/signalbox/",
        "SIGNALBOX_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8 ::1",
        "SIGNALBOX_CONNECTIONS": "500",
        "SIGNALBOX_CONNECTIONS_PER_ADDRESS": "20",
        "SIGNALBOX_SOCKETS_PER_CALLER": "5",
        "SIGNALBOX_DATA": "/var/lib/signalbox",
        "SIGNALBOX_CONFIG": "/etc/signalbox.toml",
        "SIGNALBOX_HOSTNAME": "web-07",
        "SIGNALBOX_ON_EXIT": "stop",
        "SIGNALBOX_CGROUPS": "off",
        "SIGNALBOX_LOST_AFTER": "90",
        "SIGNALBOX_FORGET_AFTER": "600",
        "SIGNALBOX_REMEMBER_CANCELLED": "3600",
        "SIGNALBOX_KEEP_COMPLETED": "86400",
        "SIGNALBOX_KEEP_FAILED": "604800",
        "SIGNALBOX_KEEP_COMMANDS": "864000",
        "SIGNALBOX_LOG_LEVEL": "debug",
    }

    assert msgspec.structs.asdict(Settings.from_env(environment)) == {
        "redis_url": "redis://bus/0",
        "database_url": "postgresql://record",
        "key": ENOUGH["SIGNALBOX_KEY"],
        "host": "0.0.0.0",  # noqa: S104
        "port": 9000,
        "root_path": "/ops/signalbox",
        "trusted_proxies": tuple(map(ip_network, ("127.0.0.1", "10.0.0.0/8", "::1"))),
        "connections": 500,
        "connections_per_address": 20,
        "sockets_per_caller": 5,
        "data": Path("/var/lib/signalbox"),
        "config": Path("/etc/signalbox.toml"),
        "hostname": "web-07",
        "on_exit": "stop",
        "cgroups": "off",
        "lost_after": 90.0,
        "forget_after": 600.0,
        "remember_cancelled": 3600.0,
        "keep_completed": 86400.0,
        "keep_failed": 604800.0,
        "keep_commands": 864000.0,
        "log_level": "debug",
    }


def test_the_prefixed_name_wins_over_the_plain_one() -> None:
    plain = {"REDIS_URL": "redis://plain", "DATABASE_URL": "postgresql://plain"}
    both = plain | ENOUGH | {"SIGNALBOX_DATABASE_URL": "postgresql://ours"}
    key = {"SIGNALBOX_KEY": ENOUGH["SIGNALBOX_KEY"]}

    assert Settings.from_env(both).redis_url == "redis://bus/0"
    assert Settings.from_env(both).database_url == "postgresql://ours"
    assert Settings.from_env(plain | key).redis_url == "redis://plain"
    assert Settings.from_env(plain | key).database_url == "postgresql://plain"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"SIGNALBOX_REDIS_URL": ""}, "SIGNALBOX_REDIS_URL is not set"),
        (
            {"SIGNALBOX_KEEP_COMPLETED": "30 days"},
            "SIGNALBOX_KEEP_COMPLETED is '30 days'; it must be a number of seconds",
        ),
        (
            {"SIGNALBOX_KEEP_FAILED": "60"},
            "SIGNALBOX_KEEP_FAILED is '60'; it must be a number of seconds, 3600 at least",
        ),
        (
            {"SIGNALBOX_KEEP_COMMANDS": "0"},
            "SIGNALBOX_KEEP_COMMANDS is '0'; it must be a number of seconds, 86400 at least",
        ),
        ({"SIGNALBOX_KEEP_FAILED": "1e300"}, "SIGNALBOX_KEEP_FAILED is '1e300'; it must be a number of seconds"),
        ({"SIGNALBOX_REDIS_URL": "localhost:6379"}, "SIGNALBOX_REDIS_URL is no address of Redis"),
        ({"SIGNALBOX_REDIS_URL": "amqp://bus"}, "SIGNALBOX_REDIS_URL is no address of Redis"),
        ({"SIGNALBOX_REDIS_URL": "redis://bus:port/0"}, "SIGNALBOX_REDIS_URL is no address of Redis"),
        ({"SIGNALBOX_KEY": ""}, "SIGNALBOX_KEY must be a secret of at least 32"),
        ({"SIGNALBOX_KEY": "short"}, "SIGNALBOX_KEY must be a secret of at least 32"),
        ({"SIGNALBOX_PORT": "http"}, "SIGNALBOX_PORT is 'http'"),
        ({"SIGNALBOX_PORT": "0"}, "SIGNALBOX_PORT is '0'"),
        ({"SIGNALBOX_PORT": "65536"}, "SIGNALBOX_PORT is '65536'"),
        ({"SIGNALBOX_PORT": "-1"}, "SIGNALBOX_PORT is '-1'"),
        ({"SIGNALBOX_PORT": "\u00b2"}, "SIGNALBOX_PORT is"),
        ({"SIGNALBOX_ROOT_PATH": "signalbox"}, "SIGNALBOX_ROOT_PATH is 'signalbox'; it must be a path"),
        ({"SIGNALBOX_ROOT_PATH": "/a//b"}, "SIGNALBOX_ROOT_PATH is '/a//b'"),
        ({"SIGNALBOX_ROOT_PATH": "/a/../b"}, "SIGNALBOX_ROOT_PATH is '/a/../b'"),
        ({"SIGNALBOX_ROOT_PATH": "https://a/b"}, "SIGNALBOX_ROOT_PATH is 'https://a/b'"),
        ({"SIGNALBOX_TRUSTED_PROXIES": "*"}, "SIGNALBOX_TRUSTED_PROXIES is '*'; it must list the addresses"),
        ({"SIGNALBOX_TRUSTED_PROXIES": "proxy.local"}, "SIGNALBOX_TRUSTED_PROXIES is 'proxy.local'"),
        ({"SIGNALBOX_CONNECTIONS": "0"}, "SIGNALBOX_CONNECTIONS is '0'; it must be a number from 1"),
        ({"SIGNALBOX_CONNECTIONS_PER_ADDRESS": "many"}, "SIGNALBOX_CONNECTIONS_PER_ADDRESS is 'many'"),
        ({"SIGNALBOX_ON_EXIT": "explode"}, "SIGNALBOX_ON_EXIT is 'explode'; it must be one of: leave, stop"),
        ({"SIGNALBOX_LOST_AFTER": "0"}, "SIGNALBOX_LOST_AFTER is '0'; it must be a number of seconds"),
        ({"SIGNALBOX_LOST_AFTER": "never"}, "SIGNALBOX_LOST_AFTER is 'never'"),
        ({"SIGNALBOX_LOST_AFTER": "inf"}, "SIGNALBOX_LOST_AFTER is 'inf'"),
        ({"SIGNALBOX_LOG_LEVEL": "loud"}, "SIGNALBOX_LOG_LEVEL is 'loud'"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_do(change: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(ENOUGH | change)

    assert says in str(caught.value)


@pytest.mark.parametrize(("text", "named"), [("*", ()), ("unix:,10.0.0.7, proxy", (ip_network("10.0.0.7"),))])
def test_what_others_set_for_uvicorn_keeps_no_service_from_starting(text: str, named: tuple[object, ...]) -> None:
    assert Settings.from_env(ENOUGH | {"FORWARDED_ALLOW_IPS": text}).trusted_proxies == named


def test_the_key_is_not_in_the_error_about_it() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(ENOUGH | {"SIGNALBOX_KEY": "too-short-a-secret"})

    assert "too-short-a-secret" not in str(caught.value)


def test_every_field_says_which_variable_it_comes_from() -> None:
    docs = field_docs(Settings)

    assert docs.keys() == set(Settings.__struct_fields__)
    assert all(f"`SIGNALBOX_{name.upper()}`" in docs[name] for name in docs)


def test_every_setting_that_is_read_is_documented() -> None:
    assert len(overheard()) > len(Settings.__struct_fields__)
    assert {name for name in overheard() if f"`{name}`" not in DOCUMENT} == set()


def test_every_variable_that_the_code_names_is_documented() -> None:
    named = named_in_code()

    assert {"SIGNALBOX_KEY", "SIGNALBOX_URL", "SIGNALBOX_AGENT_SOCKET"} <= named
    assert {name for name in named if f"`{name}`" not in DOCUMENT} == set()


def test_every_setting_that_is_documented_exists() -> None:
    documented = set(re.findall(r"`(SIGNALBOX_[A-Z_]+)`", DOCUMENT))

    assert documented <= overheard() | named_in_code()


def test_the_documented_defaults_are_the_real_ones() -> None:
    settings, documented = Settings.from_env(ENOUGH), table()
    real = {f"SIGNALBOX_{name.upper()}": getattr(settings, name) for name in settings.__struct_fields__}
    plain = {"SIGNALBOX_HOST", "SIGNALBOX_PORT", "SIGNALBOX_DATA", "SIGNALBOX_CONFIG", "SIGNALBOX_ON_EXIT"}

    assert {name: documented[name] for name in plain} == {name: str(real[name]) for name in plain}
    assert documented["SIGNALBOX_LOG_LEVEL"] == settings.log_level
    assert float(documented["SIGNALBOX_LOST_AFTER"]) == settings.lost_after
    assert float(documented["SIGNALBOX_FORGET_AFTER"]) == settings.forget_after
    assert float(documented["SIGNALBOX_REMEMBER_CANCELLED"]) == settings.remember_cancelled
    assert float(documented["SIGNALBOX_KEEP_COMPLETED"]) == settings.keep_completed == settings.keep_failed
    assert float(documented["SIGNALBOX_KEEP_COMMANDS"]) == settings.keep_commands
    assert int(documented["SIGNALBOX_CONNECTIONS"]) == settings.connections
    assert int(documented["SIGNALBOX_CONNECTIONS_PER_ADDRESS"]) == settings.connections_per_address
    assert int(documented["SIGNALBOX_SOCKETS_PER_CALLER"]) == settings.sockets_per_caller
    assert {name for name, default in documented.items() if default == "required"} == ENOUGH.keys()


def test_importing_signalbox_needs_no_setting() -> None:
    environment = {name: value for name, value in os.environ.items() if "SIGNALBOX" not in name and "_URL" not in name}

    imports = subprocess.run([sys.executable, "-c", "import signalbox"], env=environment, check=False, timeout=HANGS)

    assert imports.returncode == 0
