"""While LDAP or the like does not answer, a controller works on; only what needs the name of a user waits for it."""

import os
import pwd
import threading
from pathlib import Path

import pytest

from signalbox_controller.errors import NameServiceSilent
from signalbox_controller.linux.name_service import NameService
from support.cli import run
from support.eventually import eventually
from support.host import ALICE, ROOT, SHOP, a_host
from support.stores.server import Redis

HERE = pwd.getpwuid(os.getuid()).pw_name
WITH_USER = (
    SHOP
    + f"""
[apps.other]
app = "shop"
directory = "{{examples}}"
user = "{HERE}"
[apps.other.environment]
SHOP_BROKER_URL = "${{{{SHOP_BROKER_URL}}}}"
[[apps.other.workers]]
name = "named"
concurrency = 1
"""
)


async def test_a_worker_with_a_user_says_who_does_not_answer_and_all_others_are_supervised_meanwhile(
    tmp_path: Path, valkey: Redis
) -> None:
    mark = tmp_path / "silent"
    names = {"PYTHONPATH": str(ROOT / "tests/support/apps/silent_names"), "SILENT_NAMES": str(mark)}
    async with a_host(tmp_path / "host", valkey, WITH_USER, **names) as host:
        for name in ("worker", "named"):
            await host.process_is(name, "running")
        mark.touch()

        async def silent() -> bool:
            await host.commander.stop(ALICE, processes=["named"], mode="immediate")
            result = await host.commander.start(ALICE, processes=["named"])
            return result.verdict == "incomplete"

        await eventually(silent, "a launch that waits for the name service")
        told = await host.process_is("named", "backoff")
        assert told.message.startswith("cannot be launched: the name service of this machine has not said within")
        assert (await host.commander.stop(ALICE, processes=["worker"])).verdict == "stopped"
        assert (await host.commander.start(ALICE, processes=["worker"])).verdict == "started"

        host.configure(WITH_USER.replace(f'user = "{HERE}"', f'user = "{os.getuid()}"'))
        applied = await run("apply", data=host.data)
        assert applied.code == 1
        assert "Nothing was changed" in applied.err
        assert "/etc/nsswitch.conf" in applied.err
        mark.unlink()
        await host.process_is("named", "running")
        assert (await run("apply", data=host.data)).code == 0


async def test_one_thread_looks_names_up_whoever_waits_and_a_late_answer_counts() -> None:
    answers, looked_up = threading.Event(), list[tuple[str, int]]()

    def find(name: str) -> str | None:
        answers.wait()
        looked_up.append((name, threading.get_ident()))
        return None if name == "nobody there" else name.upper()

    names = NameService(find)
    for name in ("a", "a", "b"):
        with pytest.raises(NameServiceSilent, match=name):
            await names.look_up(name, within=0.01)
    answers.set()
    assert [await names.look_up(name) for name in ("a", "b", "nobody there")] == ["A", "B", None]
    assert (names.known("a"), names.known("nobody there")) == ("A", None)
    assert [name for name, _ in looked_up] == ["a", "b", "nobody there"]
    assert len({thread for _, thread in looked_up}) == 1
