"""The trail over HTTP and by the command line: verified, exported, and compared with checkpoints."""

import csv
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from signalbox.postgres.pool import Database
from signalbox.trail.append import NewLine, append
from signalbox.trail.read import PART
from signalbox_reconciler.trail import Trail
from support import cli
from support.api import Api, an_api
from support.cli import Ended
from support.stores.server import Redis
from support.trail import fill, noted_start

EXPORT = "/scheduler/audit/export/"
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx")


@pytest.fixture
async def api(valkey: Redis, database_url: str, database: Database) -> AsyncIterator[Api]:
    async with an_api(valkey.url, database_url) as running:
        await noted_start(database)
        yield running


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as admin:
        yield admin


@pytest.fixture
async def chained(api: Api, database: Database) -> int:
    """A trail of some lines, what the start of the api has written among them; how many."""
    del api
    async with database.connection() as connection:
        await fill(connection, 20)
        return int(await connection.fetchval("SELECT count(*) FROM trail_chain"))


async def audit(api: Api, folder: Path, *arguments: str) -> Ended:
    return await cli.run("audit", *arguments, data=folder, SIGNALBOX_URL=api.url, SIGNALBOX_TOKEN=api.token)


def key_in(folder: Path, name: str = "key") -> Path:
    file = folder / name
    file.write_text(f"{name}: a key of the checkpoints, long enough to be one")
    return file


async def test_verify_says_how_many_lines_are_whole(api: Api, database: Database, chained: int, tmp_path: Path) -> None:
    async with database.connection() as connection:
        await append(connection, NewLine(kind="test", who="user:alice"))
    ended = await audit(api, tmp_path, "verify")
    assert (ended.code, ended.err) == (0, "")
    assert f"The trail is whole: {chained} lines are as they were chained." in ended.out
    assert "1 lines are not chained yet" in ended.out
    report = json.loads((await audit(api, tmp_path, "verify", "--json")).out)
    assert (report["problem"], report["verified"], report["unchained"]) == (None, chained, 1)


async def test_verify_names_the_first_bad_line(api: Api, database: Database, chained: int, tmp_path: Path) -> None:
    number = chained - 5
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE trail SET who = 'user:mallory' WHERE line IN (SELECT line FROM trail_chain WHERE number >= $1)",
            number,
        )
    ended = await audit(api, tmp_path, "verify")
    assert ended.code == 1
    assert ended.err.startswith(f"Line {number}: it, its hash or its place was changed")
    as_json = await audit(api, tmp_path, "verify", "--json")
    assert (as_json.code, json.loads(as_json.out)["problem"]["number"]) == (1, number)


async def test_a_checkpoint_finds_a_chain_that_was_written_anew(
    api: Api, database: Database, chained: int, tmp_path: Path
) -> None:
    key, file = key_in(tmp_path), tmp_path / "checkpoints"
    signed = ("--key-file", str(key))
    assert (await audit(api, tmp_path, "checkpoint", *signed, "--file", str(file))).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    whole = await audit(api, tmp_path, "verify", "--checkpoint", str(file), *signed)
    assert (whole.code, "agrees with 1 checkpoints" in whole.out) == (0, True)
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE trail SET who = 'user:mallory' WHERE line = (SELECT max(line) FROM trail);"
            " TRUNCATE trail_chain; UPDATE trail_ends SET number = 0, hash = decode(repeat('00', 32), 'hex');"
            " SELECT chain_trail('0', 500)"
        )
    assert (await audit(api, tmp_path, "verify")).code == 0
    found = await audit(api, tmp_path, "verify", "--checkpoint", str(file), *signed)
    assert found.code == 1
    assert found.err.startswith(f"Line {chained}: its hash is not that of the checkpoint")


async def test_a_checkpoint_that_was_changed_or_signed_by_another_is_refused(
    api: Api, chained: int, tmp_path: Path
) -> None:
    file, key = tmp_path / "checkpoints", key_in(tmp_path)
    await audit(api, tmp_path, "checkpoint", "--key-file", str(key), "--file", str(file))
    other = key_in(tmp_path, "other")
    refused = await audit(api, tmp_path, "verify", "--checkpoint", str(file), "--key-file", str(other))
    assert (refused.code, "was not signed with this key" in refused.err) == (1, True)
    file.write_text(file.read_text().replace(f'"number":{chained}', f'"number":{chained - 1}'))
    refused = await audit(api, tmp_path, "verify", "--checkpoint", str(file), "--key-file", str(key))
    assert (refused.code, "was changed" in refused.err) == (1, True)
    assert (await audit(api, tmp_path, "verify", "--checkpoint", str(file))).code == 2


async def test_a_checkpoint_goes_to_syslog_and_is_read_from_its_log(api: Api, chained: int, tmp_path: Path) -> None:
    key = ("--key-file", str(key_in(tmp_path)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
        log.bind(("127.0.0.1", 0))
        log.settimeout(30.0)
        address = f"127.0.0.1:{log.getsockname()[1]}"
        assert (await audit(api, tmp_path, "checkpoint", *key, "--syslog", address)).code == 0
        received = log.recv(4096)
    assert received.startswith(b'<85>signalbox: {"number":%d,' % chained)
    file = tmp_path / "messages"
    file.write_bytes(b"Nov 29 16:00:00 host " + received.removeprefix(b"<85>") + b"\n")
    assert (await audit(api, tmp_path, "verify", "--checkpoint", str(file), *key)).code == 0
    refused = await audit(api, tmp_path, "checkpoint", *key, "--syslog", str(tmp_path / "no such socket"))
    assert (refused.code, "does not take it" in refused.err) == (1, True)


@pytest.mark.parametrize("length", [0, 31])
async def test_a_short_key_and_no_key_are_refused(api: Api, tmp_path: Path, length: int) -> None:
    key = tmp_path / "key"
    key.write_text("x" * length)
    ended = await audit(api, tmp_path, "checkpoint", "--key-file", str(key))
    assert (ended.code, f"has {length} bytes" in ended.err) == (1, True)


async def test_json_lines_hold_every_field_and_keep_to_their_time(
    client: httpx.AsyncClient, database: Database, chained: int
) -> None:
    async with database.connection() as connection:
        await connection.execute("UPDATE trail SET at = '2020-01-01 12:00Z' WHERE line = 3")
    everything = [json.loads(line) for line in (await client.get(EXPORT)).text.splitlines()]
    assert [line["number"] for line in everything] == list(range(1, chained + 1))
    found = await client.get(EXPORT, params={"since": "2020-01-01T12:00:00Z", "until": "2020-01-01T13:00:00+01:00"})
    assert found.text == ""
    found = await client.get(EXPORT, params={"since": "2020-01-01T12:00:00", "until": "2020-01-01T12:00:00.000001Z"})
    [line] = map(json.loads, found.text.splitlines())
    assert (line["line"], line["at"]) == (3, "2020-01-01T12:00:00.000000Z")


async def test_no_cell_of_csv_is_a_formula(api: Api, database: Database, tmp_path: Path) -> None:
    async with database.connection() as connection:
        for text in FORMULAS:
            await append(connection, NewLine(kind="formula", who=text, about=f'a "quoted", {text}\r\ntext'))
    await Trail(database).round()
    ended = await audit(api, tmp_path, "export", "--format", "csv")
    rows = list(csv.DictReader(ended.out.splitlines(keepends=True)))
    found = [row for row in rows if row["kind"] == "formula"]
    assert len(found) == len(FORMULAS)
    assert all(row["who"].startswith("'") for row in found)
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


async def test_a_long_trail_is_read_as_it_is_sent(client: httpx.AsyncClient, database: Database) -> None:
    """What changes after the first bytes have come is seen: the rest is more than the buffers of sockets hold."""
    async with database.connection() as connection:
        await connection.execute(
            "SELECT append_trail('test', 'x', '', '', repeat('x', 8000), '') FROM generate_series(1, $1::integer)",
            5 * PART,
        )
    await Trail(database).round()
    async with client.stream("GET", EXPORT) as answer:
        parts = answer.aiter_raw()
        received = [await anext(parts)]
        async with database.connection() as connection:
            await connection.execute("DELETE FROM trail WHERE line = (SELECT max(line) FROM trail)")
        received += [part async for part in parts]
    lines = b"".join(received).splitlines()
    assert len(lines) >= 5 * PART
    assert json.loads(lines[-1])["lost"]


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"format": "xml"},
        {"until": "9999-12-31T23:59:59-12:00"},
        {"since": "0001-01-01T00:00+14:00"},
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_422(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await client.get(EXPORT, params=query)
    assert answer.status_code == 422
    assert answer.json()["message"]


@pytest.mark.parametrize("path", [EXPORT, "/scheduler/audit/"])
@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_only_an_admin_reads_the_trail(api: Api, role: str, path: str) -> None:
    token = (await api.make_token(role))["token"]
    async with api.client(token) as client:
        assert (await client.get(path)).status_code == 403
    async with api.client("") as nobody:
        assert (await nobody.get(path)).status_code == 401
