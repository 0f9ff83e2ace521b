"""Which configured process a launch of a former controller belongs to, after somebody has edited the file."""

import msgspec
import pytest

from signalbox_agent.proc import Proc
from signalbox_controller.config.differences import changed, outdated
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.fleet.left_behind import owners
from signalbox_controller.launch.launches import Launch
from support.specs import beat, worker


def launch(spec: ProcessSpec | None) -> Launch:
    return Launch(instance="1", boot="b", proc=Proc(1, 1), spec=spec)


W1, W2, OTHERS = worker("w1"), worker("w2"), worker("w1", "crm", "crm")
MANY = msgspec.structs.replace(W1, concurrency=8)


@pytest.mark.parametrize(
    ("what", "left", "configured", "expected"),
    [
        ("nothing was edited", [W1], [W1, W2], {"w1": "w1"}),
        ("other options", [W1], [MANY], {"w1": "w1"}),
        ("another application under the same label", [W1], [worker("w1", app="store")], {"w1": "w1"}),
        ("the application has another label", [W1], [worker("w1", "store")], {"w1": "w1"}),
        ("renamed", [W1], [W2], {}),
        ("removed", [W1, W2], [W2], {"w2": "w2"}),
        ("moved to another application", [W1], [OTHERS], {}),
        ("it is beat now", [W1], [beat("w1")], {}),
        ("beat was renamed", [beat("beat")], [W1, beat("clock")], {"beat": "clock"}),
        ("beat and a worker changed names", [beat("a"), worker("b")], [beat("b"), worker("a")], {"a": "b"}),
        ("two beats changed names", [beat("a"), beat("b", "crm", "crm")], [beat("b"), beat("a", "crm", "crm")],
         {"a": "b", "b": "a"}),
        ("beat was removed", [beat("beat")], [W1], {}),
    ],
)  # fmt: skip
def test_a_process_keeps_its_place_when_the_file_is_edited(
    what: str, left: list[ProcessSpec], configured: list[ProcessSpec], expected: dict[str, str]
) -> None:
    assert owners({spec.name: launch(spec) for spec in left}, configured) == expected, what


def test_what_an_older_release_launched_keeps_its_name() -> None:
    assert owners({"w1": launch(None), "w9": launch(None)}, [W1, W2]) == {"w1": "w1"}


def test_one_that_was_set_aside_under_another_name_is_found_when_it_is_configured_again() -> None:
    assert owners({"w1-4711": launch(W1)}, [W1]) == {"w1-4711": "w1"}
    assert owners({"w1": launch(OTHERS), "w1-4711": launch(W1)}, [W1]) == {"w1-4711": "w1"}
    assert owners({"w1": launch(W1), "w1-4711": launch(W1)}, [W1]) == {"w1": "w1"}


def test_only_what_a_new_launch_brings_into_effect_makes_a_process_outdated() -> None:
    supervised = msgspec.structs.replace(W1, stop_timeout=1.0, restart="never", minimum_running=1)
    assert outdated(W1, supervised) == ()
    assert set(changed(W1, supervised)) == {"stop_timeout", "restart", "minimum_running"}
    assert outdated(W1, msgspec.structs.replace(supervised, concurrency=3, queues=("a",))) == ("queues", "concurrency")
    assert outdated(W1, msgspec.structs.replace(W1, environment={"A": "1"})) == ("environment",)
