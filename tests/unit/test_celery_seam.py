"""The seam to Celery: one place knows its privates, and what is missing is told in a sentence."""

import ast
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, states
from kombu.asynchronous import Hub

from signalbox_agent.celery_compat import names, prefork, requests
from signalbox_agent.celery_compat.names import CANCEL_RUNNING, Missing, Name
from signalbox_controller.agents import protocol
from support.agent.worker import AGENT
from support.eventually import HANGS

PACKAGE = AGENT / "signalbox_agent"
ALL = [*names.WORKER_NAMES, *names.PREFORK_NAMES, *names.REDIS_NAMES, *names.BEAT_NAMES]
#: Public names of other libraries, or of Celery itself, that are in the list as well.
PUBLIC = {"append", "tick", "reserve", "apply_async", "revoked"}
PUBLIC |= {"on_success", "on_failure", "on_accepted", "execute_using_pool"}
PRIVATE = {name.name for name in ALL} - PUBLIC - {"DEATH", "TERM_SIGNAL", "semaphore", "state_handlers"}
#: Attributes of our own objects, and of the standard library, that begin with an underscore.
OURS = {"_signalbox", "_signalbox_progress", "_signalbox_tracker", "_under_way", "_exit", "_getframe"}


def modules() -> list[Path]:
    return [file for file in PACKAGE.rglob("*.py") if "celery_compat" not in file.parts]


def foreign_privates(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Private attributes of what is not `self`, and attributes that the seam lists."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            of_self = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
            private = node.attr.startswith("_") and not node.attr.startswith("__") and node.attr not in OURS
            if (private and not of_self) or (node.attr in PRIVATE and not of_self):
                yield node.lineno, node.attr


def test_only_the_seam_names_privates_of_celery() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{line}: {name}"
        for file in modules()
        for line, name in foreign_privates(ast.parse(file.read_text()))
    ]
    assert found == []


def test_the_celery_that_we_are_tested_with_has_all_of_them() -> None:
    assert Missing(ALL).sentences == []


def test_what_is_missing_is_said_in_one_sentence_a_feature() -> None:
    missing = Missing([Name(CANCEL_RUNNING, "celery.worker.request:Request", "_gone")])
    (sentence,) = missing.sentences
    assert sentence.endswith(
        ": running tasks cannot be cancelled one by one, `celery.worker.request.Request._gone` is not there"
    )
    assert not missing.can(CANCEL_RUNNING)


def test_a_name_that_only_a_newer_celery_has_is_not_missed() -> None:
    assert Missing([Name(CANCEL_RUNNING, "celery", "_of_the_future", (99,))]).sentences == []


def test_the_rest_of_a_chain_ends_on_a_celery_that_does_not_see_to_it() -> None:
    app = Celery(backend="cache+memory://", set_as_current=False)
    links = [app.signature(f"t{number}", task_id=f"id{number}") for number in range(2)]
    older = SimpleNamespace(store_result=app.backend.store_result, on_chord_part_return=None)
    request: Any = SimpleNamespace(
        task=SimpleNamespace(backend=older), _context=SimpleNamespace(chain=links), store_errors=True
    )
    requests.fail_chain(request, "cancelled")
    assert [app.backend.get_state(f"id{number}") for number in range(2)] == [states.REVOKED] * 2


def test_the_descriptor_of_a_killed_child_is_left_to_celery_to_close() -> None:
    """Before 5.7 a worker ended when it was gone (`AsynPool._untrack_child_process`)."""
    hub: Any = Hub()  # type: ignore[no-untyped-call]
    handle, other = os.pipe()
    process: Any = SimpleNamespace(_sentinel_poll=handle)
    hub.add_reader(handle, lambda: None)
    prefork.stop_watching(process, hub)
    assert (handle in hub.readers, process._sentinel_poll) == (False, handle)
    os.close(handle)  # raises when it is closed
    os.close(other)
    hub.close()


def test_a_process_without_an_agent_says_so(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    code = "import signal, sys; from signalbox_agent.not_installed import report\n"
    code += "report(sys.argv[1], 'i', 'worker', ImportError('no such name')); signal.pause()"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(HANGS)
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], env={"PYTHONPATH": str(AGENT)})
        try:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as file:
                line = file.readline()
        finally:
            process.kill()
            process.wait()
    hello = protocol.decode(line)
    assert isinstance(hello, protocol.Hello)
    assert protocol.notice_of(hello) == (
        "runs without agent, its tasks are not seen without a watch and cannot be cancelled one by one:"
        " ImportError: no such name"
    )
    assert json.loads(line)["pid"] == process.pid


@pytest.mark.parametrize("name", ["_already_revoked", "outqR_fd", "_do_restore_message"])
def test_each_private_name_stands_in_the_list_with_its_feature(name: str) -> None:
    assert name in {one.name for one in ALL}
