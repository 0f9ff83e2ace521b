"""What an edited signalbox.toml would change, before anything is changed."""

import msgspec
import pytest

from signalbox.local.protocol import Change
from signalbox_controller.config.specs import ProcessSpec
from signalbox_controller.fleet.plan import Plan, Present, plan
from support.specs import beat, worker

W1, W2, BEAT = worker("w1"), worker("w2"), beat("beat")
MANY = msgspec.structs.replace(W1, concurrency=8)
PATIENT = msgspec.structs.replace(W1, stop_timeout=60.0)
SECRET = msgspec.structs.replace(W1, environment={"PASSWORD": "hush"})
NOBODYS = msgspec.structs.replace(W1, user="nobody")
LEASED = msgspec.structs.replace(BEAT, lease=10.0)


def running(spec: ProcessSpec, launched: ProcessSpec | None = None) -> Present:
    return Present(spec=spec, running=launched or spec, active=True)


def unconfigured(spec: ProcessSpec) -> Present:
    return Present(spec=spec, running=spec, active=True, wanted=False, configured=False)


@pytest.mark.parametrize(
    ("what", "present", "wanted", "expected"),
    [
        ("nothing", [running(W1)], [W1], []),
        ("a new one", [running(W1)], [W1, W2], [("w2", "start", "new")]),
        ("one less", [running(W1), running(W2)], [W1], [("w2", "stop", "no longer in the file")]),
        ("one less that a person has stopped", [running(W1), Present(spec=W2, wanted=False)], [W1],
         [("w2", "remove", "no longer in the file; it does not run")]),
        ("another concurrency", [running(W1)], [MANY], [("w1", "restart", "concurrency 2 → 8")]),
        ("the same, of one that a person has stopped", [Present(spec=W1, wanted=False)], [MANY],
         [("w1", "adjust", "concurrency 2 → 8")]),
        ("the same, of one that has failed", [Present(spec=W1)], [MANY], [("w1", "restart", "concurrency 2 → 8")]),
        ("an older launch still runs", [running(MANY, W1)], [MANY], [("w1", "restart", "concurrency 2 → 8")]),
        ("supervision only", [running(W1)], [PATIENT], [("w1", "adjust", "stop_timeout 30.0 → 60.0")]),
        ("a variable, whose value stays unsaid", [running(W1)], [SECRET],
         [("w1", "restart", "environment (PASSWORD)")]),
        ("put back", [unconfigured(W1)], [W1], [("w1", "take over", "configured again")]),
        ("put back with another concurrency", [unconfigured(W1)], [MANY],
         [("w1", "restart", "configured again: concurrency 2 → 8")]),
        ("left out for good", [running(W1), unconfigured(W2)], [W1], []),
    ],
)  # fmt: skip
def test_only_what_differs_is_changed(
    what: str, present: list[Present], wanted: list[ProcessSpec], expected: list[tuple[str, str, str]]
) -> None:
    found = plan({one.spec.name: one for one in present}, wanted)
    assert found.changes == tuple(
        Change(name=name, action=action, detail=detail)  # type: ignore[arg-type]
        for name, action, detail in expected
    ), what
    assert (found.specs, found.later) == (tuple(wanted), ())


@pytest.mark.parametrize(
    ("present", "wanted", "later"),
    [
        ([running(W1)], [beat("w1")], "w1: it was a worker, and is a beat now"),
        ([running(LEASED)], [BEAT], "beat: its lease, or the application of its lease, is another one"),
        ([running(BEAT)], [beat("clock")], "beat: beat has another name now, clock"),
    ],
)
def test_what_cannot_be_changed_in_a_running_controller_is_said_and_left(
    present: list[Present], wanted: list[ProcessSpec], later: str
) -> None:
    found = plan({one.spec.name: one for one in present}, wanted)
    assert (found.changes, found.later) == ((), (later,))
    assert found.specs == tuple(one.spec for one in present)


def test_no_process_takes_the_name_of_a_worker_that_others_launched() -> None:
    found = plan({"w1": running(W1)}, [W1, W2], others={"w2"})
    assert (found.changes, found.specs) == ((), (W1,))
    assert found.later == ("w2: a worker that others launched goes by this name; give it another one",)


def test_a_process_of_a_user_that_the_controller_has_made_nothing_ready_for_waits_for_its_next_start() -> None:
    later = ("w1: it runs as nobody, as no process did when the controller was started",)
    assert plan({}, [NOBODYS], new_users={"nobody"}) == Plan(later=later)
    assert plan({"w1": running(W1)}, [NOBODYS], new_users={"nobody"}) == Plan(specs=(W1,), later=later)
    [change] = plan({"w1": running(W1)}, [NOBODYS]).changes
    assert (change.action, change.detail) == ("restart", "user none → nobody")
