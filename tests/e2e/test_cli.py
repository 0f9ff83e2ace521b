"""The command line against a whole Signalbox, as a person or a script would use it."""

import json
from pathlib import Path

import psutil
import pytest

from support.cli import Ended, run
from support.system import System

UNKNOWN = "8f8b3c1e-5a64-4d0c-9a52-0d6c3f4a7f10"


async def test_a_task_is_cancelled_by_its_id(system: System) -> None:
    task = await system.running()

    ended = await run("cancel", task["task_id"], "--reason", "it hangs", data=system.data)

    assert ended == Ended(0, "Task count_stock has been cancelled and marked as failed\n", "")
    assert not psutil.pid_exists(task["pid"])
    command = await system.record("SELECT issued_by, reason FROM commands WHERE target LIKE $1", f"%{task['task_id']}%")
    assert command == [{"issued_by": "token:local", "reason": "it hangs"}]


async def test_each_of_several_ids_has_its_own_outcome(system: System) -> None:
    one, two = [await system.running(seconds=100.0 + number) for number in range(2)]
    ids = [one["task_id"], UNKNOWN, "nonsense", two["task_id"]]

    ended = await run("cancel", *ids, "--json", data=system.data)

    outcomes = json.loads(ended.out)
    assert ended.code == 1
    assert [outcome["task_id"] for outcome in outcomes] == ids
    assert [outcome["http_status"] for outcome in outcomes] == [200, 404, 422, 200]
    assert [outcome["verified"] for outcome in outcomes] == [True, False, False, True]
    assert ended.err == "2 of 4 tasks were not cancelled.\n"


async def test_the_servers_refusal_is_said_on_standard_error(system: System) -> None:
    ended = await run("cancel", UNKNOWN, data=system.data)

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"No task {UNKNOWN} is known")


async def test_tasks_are_listed_and_filtered(system: System) -> None:
    task = await system.running()

    found = await run("tasks", "--status", "running", "--q", task["task_id"], data=system.data)
    as_json = await run("tasks", "--q", task["task_id"], "--json", data=system.data)
    nothing = await run("tasks", "--q", "no such thing", data=system.data)

    heading, row = found.out.splitlines()
    assert heading.split()[:4] == ["TASK", "NAME", "STATUS", "HOST"]
    assert row.split()[:5] == [task["task_id"], "count_stock", "running", "testhost", str(task["pid"])]
    assert "\033" not in found.out
    (item,) = json.loads(as_json.out)["items"]
    assert item["task_id"] == task["task_id"]
    assert item["runtime"] is None
    assert nothing == Ended(0, "Nothing matches.\n", "")
    await run("cancel", task["task_id"], data=system.data)


async def test_a_cancelled_id_is_released(system: System) -> None:
    task = await system.running()
    task_id = task["task_id"]
    await run("cancel", task_id, data=system.data)
    allowed = await run("allow", task_id, "--reason", "a mistake", data=system.data)
    again = await run("allow", task_id, "--json", data=system.data)

    assert allowed == Ended(0, "Task count_stock may run again\n", "")
    assert again.code == 1
    assert json.loads(again.out)[0]["status"] == "error"
    assert again.err.strip() == f"Task {task_id} was not cancelled, or may run again already"


async def test_celery_is_stopped_and_started(system: System) -> None:
    stopped = await run("stop", "--mode", "immediate", "--reason", "deploy", data=system.data)
    between = json.loads((await run("status", "--json", data=system.data)).out)
    started = await run("start", "--json", data=system.data)
    after = await run("status", data=system.data)

    assert stopped.code == 0, stopped.err
    assert stopped.out.startswith("Celery has been stopped; ")
    assert between["celery"] == "stopped"
    assert started.code == 0, started.err
    assert json.loads(started.out)["message"] == "Celery has been started"
    assert after.out.splitlines()[0] == "Celery: running   Worker: running   Beat: running"
    assert {line.split()[1] for line in after.out.splitlines()[2:]} >= {"worker", "beat"}


async def test_celery_is_restarted_and_its_processes_are_new_ones(system: System) -> None:
    pids = "select name, pid from processes where state = 'running'"
    before = {row["name"]: row["pid"] for row in await system.record(pids)}
    restarted = await run("restart", "--mode", "immediate", "--reason", "new release", data=system.data)
    after = {row["name"]: row["pid"] for row in await system.record(pids)}

    assert restarted.code == 0, restarted.err
    assert restarted.out.startswith("Celery has been restarted")
    assert set(before) == set(after) == {"worker", "beat"}
    assert not [pid for pid in before.values() if psutil.pid_exists(pid)]
    assert all(psutil.pid_exists(pid) for pid in after.values())


async def test_a_stop_of_what_is_not_there_is_refused(system: System) -> None:
    ended = await run("stop", "--process", "nosuch", "--json", data=system.data)

    assert ended.code == 1
    assert ended.err.startswith("No controller has such a host or process")
    assert json.loads(ended.out)["status"] == "error"


async def test_a_viewer_may_look_and_not_touch(system: System) -> None:
    made = await run("token", "create", "eyes", "--role", "viewer", data=system.data)
    token = made.out.strip()

    looks = await run("status", data=system.data, SIGNALBOX_TOKEN=token)
    touches = await run("cancel", UNKNOWN, "--token", token, data=system.data)

    assert made.code == looks.code == 0
    assert touches.code == 1
    assert "role operator" in touches.err


async def test_a_new_user_can_sign_in_with_the_password_that_was_typed(system: System) -> None:
    arguments = ("user", "add", "bob", "--role", "operator")

    silent = await run(*arguments, data=system.data)
    added = await run(*arguments, "--password-stdin", data=system.data, typed="a password of bob\n")
    again = await run(*arguments, "--password-stdin", data=system.data, typed="a password of bob\n")

    assert silent.code == 2
    assert added.code == 0, added.err
    assert again.code == 1
    assert "bob already" in again.err
    async with system.signed_in("bob", "a password of bob") as browser:
        assert (await browser.get("/session")).json()["user"] == {"name": "bob", "role": "operator"}


async def test_the_doctor_finds_a_healthy_system_healthy(system: System) -> None:
    ended = await run("doctor", "--json", data=system.data)

    found = json.loads(ended.out)
    assert ended.code == 0, ended.out
    assert {check["check"] for check in found["checks"]} >= {
        *("address", "api", "token", "redis", "database"),
        *("host testhost", "proof on testhost", "process worker on testhost", "process beat on testhost"),
    }


async def test_the_doctor_says_what_to_do_about_a_wrong_token(system: System) -> None:
    ended = await run("doctor", "--token", "made up", data=system.data)

    assert ended.code == 1
    assert "FAIL  token: " in ended.out
    assert "signalbox token create" in ended.out


@pytest.mark.parametrize("command", ["status", "doctor"])
async def test_a_server_that_is_not_there_is_told_apart(command: str, tmp_path: Path, unused_tcp_port: int) -> None:
    nowhere = f"http://127.0.0.1:{unused_tcp_port}"

    unknown = await run(command, data=tmp_path)
    away = await run(command, "--url", nowhere, data=tmp_path)
    (tmp_path / "client.json").write_text("half a fi")
    broken = await run(command, data=tmp_path)

    assert (unknown.code, away.code, broken.code) == (3, 3, 3)
    assert "make up" in unknown.out + unknown.err
    assert nowhere in away.out + away.err
    assert "client.json cannot be read" in broken.out + broken.err


async def test_the_token_of_the_data_folder_is_shown_to_no_other_address(system: System) -> None:
    other_name_of_the_same = system.url.replace("127.0.0.1", "localhost")

    ended = await run("status", "--url", other_name_of_the_same, data=system.data)

    assert ended.code == 1
    assert "no token was sent" in ended.err


@pytest.mark.parametrize(
    "arguments", [["cancel"], ["cancel", "x", "--wait", "-1"], ["stop", "--mode", "gently"], ["nosuch"]]
)
async def test_a_command_line_that_makes_no_sense_is_told_apart(arguments: list[str], tmp_path: Path) -> None:
    assert (await run(*arguments, data=tmp_path)).code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["cancel"],
        ["stop"],
        ["start"],
        ["restart"],
        ["status"],
        ["tasks"],
        ["token", "create"],
        ["user", "add"],
        ["doctor"],
    ],
    ids=lambda arguments: " ".join(arguments) or "signalbox",
)
async def test_every_command_explains_itself(arguments: list[str], tmp_path: Path) -> None:
    ended = await run(*arguments, "--help", data=tmp_path)

    assert ended.code == 0
    assert ended.out.startswith("Usage: signalbox")
    assert not arguments or "--json" in ended.out
