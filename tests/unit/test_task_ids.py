"""Any text may be the id of a task: each has a key that fits everywhere, and an address that nobody changes."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox.messages.codec import decode_command, decode_event, encode
from signalbox.messages.commands import CancelTasks
from signalbox.messages.events import HostSeen
from signalbox.messages.ids import LONGEST, address_part, from_address_part, printable, short_name, task_key
from signalbox_agent.child.bodies import Bodies
from signalbox_agent.child.child import VARIABLE, CurrentTask
from signalbox_agent.child.own_cgroup import OwnCgroup
from signalbox_agent.child.slot import Slot
from signalbox_agent.child.slot_file import PLACE
from signalbox_agent.child.slot_state import label
from signalbox_agent.child.slots import Slots
from signalbox_agent.tasks import ids as agent
from signalbox_api.web.task_addresses import with_id_in_one_part
from signalbox_reconciler.feed import without_nul
from support.history import HOST, Life, after
from support.odd_ids import LONG_NAME, ODD_IDS, SURROGATE

EVERY = {**ODD_IDS, "surrogate": SURROGATE}
TEXTS = st.text(st.characters(), max_size=400) | st.text(st.characters(), min_size=300).map(lambda text: text * 5)


@pytest.mark.parametrize(
    ("task_id", "key"),
    [
        ("8f8b3c1e-5a64-4d0c-9a52-0d6c3f4a7f10", "8f8b3c1e-5a64-4d0c-9a52-0d6c3f4a7f10"),
        ("order:42/7", "order:42/7"),
        (" Größe ", " Größe "),
        ("a\u00a0b", "a\u00a0b"),
        ("a\\x0ab", "a\\x0ab"),
        ("a\0b", "a\\x00b…59b271ae1bbcb1d31d41929817f4b16fb439eb4f31520b5ad1d5ce98920a7138"),
        ("a\nb", "a\\x0ab…7e18f737311b2dc3b2f269dd78396b0351f14fb66efa879f768cb23181883c78"),
        ("a\u2028b", "a\\u2028b…fe2d3b945530c806f1ff5298f4486e3f1d2656c1bb026709f785a5f84d23af64"),
        ("a\ud800b", "a\\ud800b…45e334b6c74ca5db8d8f8fcd1157fb31a2ebc9953e0d8d182e37b6b67e6a1705"),
        ("x" * 1000, "x" * 1000),
        ("x" * 1001, "x" * 100 + "…cbe4a2e86e808c9b51174c17d56b401791a6282036247a95c3fb2098f098ff79"),
    ],
)
def test_the_key_of_an_id(task_id: str, key: str) -> None:
    assert task_key(task_id) == key


@given(TEXTS)
def test_a_key_fits_everywhere_and_is_its_own(text: str) -> None:
    key = task_key(text)
    assert len(key.encode()) <= LONGEST
    assert len(key.splitlines()) <= 1
    assert "\0" not in key
    assert task_key(key) == key
    assert (key == text) == (printable(text) == text and len(text.encode()) <= LONGEST)


@given(TEXTS, TEXTS)
def test_no_two_ids_share_a_key(one: str, other: str) -> None:
    assert (task_key(one) == task_key(other)) == (one == other)


@given(TEXTS.filter(lambda text: printable(text) != text))
def test_an_id_that_reads_as_another_one_is_shown_is_not_that_one(text: str) -> None:
    assert task_key(printable(text)) != task_key(text)


@given(TEXTS)
def test_the_agent_makes_the_same_of_an_id(text: str) -> None:
    assert agent.key_of(text) == task_key(text)
    assert agent.whole(text) == ("" if task_key(text) == text else printable(text)[: agent.LONGEST_WHOLE])


def test_two_long_ids_that_begin_alike_are_two_tasks() -> None:
    assert task_key("x" * 3000) != task_key("x" * 3000 + "y")


@given(TEXTS.filter(bool))
def test_an_address_leads_to_its_task(text: str) -> None:
    part = address_part(text)
    assert part == quote(part, safe=":@")
    assert part not in {".", ".."}
    assert from_address_part(part) == task_key(text)


@pytest.mark.parametrize("text", ["base64url:", "base64url:%", "base64url:ä", "base64url:_w", "plain"])
def test_what_is_no_code_is_an_id(text: str) -> None:
    assert from_address_part(text) == text


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("/scheduler/tasks/", "/scheduler/tasks/"),
        ("/scheduler/tasks/t1/", "/scheduler/tasks/t1/"),
        ("/scheduler/tasks/t1", "/scheduler/tasks/t1"),
        ("/scheduler/tasks/a%2Fb/", "/scheduler/tasks/a%2Fb/"),
        ("/scheduler/tasks/a/b/", "/scheduler/tasks/a%2Fb/"),
        ("/scheduler/tasks//a//b//", "/scheduler/tasks/%2Fa%2F%2Fb%2F/"),
        ("/scheduler/tasks/a/logs/", "/scheduler/tasks/a/logs/"),
        ("/scheduler/tasks/a%2Flogs/", "/scheduler/tasks/a%2Flogs/"),
        ("/scheduler/tasks/a%2Flogs/logs/", "/scheduler/tasks/a%2Flogs/logs/"),
        ("/scheduler/tasks/a/b/allow/", "/scheduler/tasks/a%2Fb/allow/"),
        ("/scheduler/tasks/logs/", "/scheduler/tasks/logs/"),
        ("/scheduler/tasks/../", "/scheduler/tasks/../"),
        ("/scheduler/tasks/a%252Fb/", "/scheduler/tasks/a%252Fb/"),
        ("/scheduler/cancel-task/https://shop/a/logs/", "/scheduler/cancel-task/https%3A%2F%2Fshop%2Fa%2Flogs/"),
        ("/ops/scheduler/cancel-task/a/b/", "/ops/scheduler/cancel-task/a%2Fb/"),
        ("/scheduler/cancel-tasks/", "/scheduler/cancel-tasks/"),
        ("/scheduler/stats%20x/", "/scheduler/stats x/"),
    ],
)
def test_an_id_is_one_part_of_the_path(sent: str, read: str) -> None:
    assert with_id_in_one_part(sent) == read


@pytest.mark.parametrize("task_id", EVERY.values(), ids=EVERY)
def test_a_message_names_a_task_by_its_key(task_id: str) -> None:
    key = task_key(task_id)
    now = after(0)
    cancel = CancelTasks(command_id="c1", issued_by="user:ann", issued_at=now, expires_at=now, task_ids=(task_id,))
    decoded = decode_command(encode(cancel))
    assert isinstance(decoded, CancelTasks)
    assert decoded.task_ids == (key,)
    started = Life(task_id).run(1).started()
    assert (started.task_id, started.full_id) == (key, "" if key == task_id else printable(task_id))
    assert decode_event(encode(started)) == started
    assert HostSeen(at=now, host=HOST, running=((task_id, "r"),)).running == ((key, "r"),)


def test_a_name_is_cut_to_what_an_index_takes() -> None:
    assert short_name("x" * LONGEST) == "x" * LONGEST
    cut = short_name(LONG_NAME)
    assert len(cut.encode()) <= LONGEST
    assert cut == LONG_NAME[:249] + "…"
    assert short_name(cut) == cut


@pytest.mark.parametrize("task_id", EVERY.values(), ids=EVERY)
def test_a_slot_holds_any_id(task_id: str, tmp_path: Path) -> None:
    key = agent.key_of(task_id)
    slot, slots = Slot(str(tmp_path)), Slots(str(tmp_path))
    slot.begin(key, 1, LONG_NAME)
    slot.write("FAILURE", "é" * 5000, ended=True)
    [path] = tmp_path.iterdir()
    assert path.stat().st_size <= 2 * PLACE
    assert (state := slots.read(int(path.name))) is not None
    assert (state.task_id, state.word) == (label(key), "FAILURE")


@pytest.mark.parametrize("text", ["a\0b", "\0\0\0", "\\\0", "\\u0000", "\\\\u0000\0", "a\\", "plain"])
def test_only_what_is_a_nul_is_replaced_in_what_the_record_reads(text: str) -> None:
    assert json.loads(without_nul(json.dumps(text).encode())) == text.replace("\0", "\ufffd")


@pytest.mark.parametrize("task_id", EVERY.values(), ids=EVERY)
def test_a_child_marks_itself_and_its_slot_with_the_key(
    task_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    task = SimpleNamespace(request=SimpleNamespace(retries=0), name="shop.charge", acks_late=False)
    current = CurrentTask(Slot(str(tmp_path)), OwnCgroup(""), Bodies())
    current._begin(task_id, task)
    assert os.environ[VARIABLE] == agent.key_of(task_id)
    current._end(task, "SUCCESS", None)
    state = Slots(str(tmp_path)).read(os.getpid())
    assert state is not None
    assert (state.task_id, state.word) == (label(agent.key_of(task_id)), "SUCCESS")
