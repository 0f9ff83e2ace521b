"""What a person is told of a cancel beyond its verdict, row by row."""

import pytest

from signalbox.messages.verdicts import Verdict
from signalbox_agent.cancel.pool import Abilities
from signalbox_agent.proc import Proc
from signalbox_controller.agents.protocol import CancelReport, CancelState
from signalbox_controller.cancelling.proof import Proof
from signalbox_controller.cancelling.wording import WorkerAnswer, detail_of


def report(
    state: CancelState, *, pid: int | None = None, shared: bool = False, detail: str = "", status: str = ""
) -> CancelReport:
    return CancelReport(
        command_id="c", task_id="t", state=state, pid=pid, shared=shared, detail=detail, status=status or None
    )


GREEN = {"gevent", "eventlet"}
CONTAINED = Proof([], [], "cgroup")
SEARCH = Proof([], [])
LEFT = Proof([Proc(8, 1)], [], "cgroup")
OUTLIVED = Proof([], [Proc(9, 1)])


@pytest.mark.parametrize(
    ("pool", "result", "said", "proof", "words"),
    [
        ("prefork", "cancelled", report("dead", pid=7), CONTAINED, ""),
        ("prefork", "cancelled", report("dead", pid=7), SEARCH, "left the task's family cannot be found on this host"),
        ("prefork", "cancelled", report("dead", pid=7), LEFT, "1 processes that it had left behind were ended"),
        (
            "gevent",
            "cancelled",
            report("dead", shared=True, detail="Programs run on (pid 5)."),
            SEARCH,
            "Programs run on (pid 5). Programs that it had started are not covered",
        ),
        ("prefork", "alive", report("alive", pid=7), None, "Pid 7 of w outlived KILL."),
        ("prefork", "alive", report("dead", pid=7), OUTLIVED, "Pid 9 of w outlived KILL."),
        ("gevent", "alive", report("alive", shared=True), None, "only stopping the whole process ends it"),
        ("prefork", "unproven", None, None, "w did not answer in time."),
        ("eventlet", "unproven", None, None, "a task that never waits keeps all else from running"),
        ("threads", "unsupported", None, None, "The pool of w (threads) cannot end a single task."),
        ("solo", "finished", report("finished", status="completed"), None, "It ended by itself (completed)."),
        ("prefork", "finished", None, None, "It ended by itself (how is not known)."),
        ("prefork", "dropped", report("dropped"), None, ""),
    ],
)
def test_it_is_said_in_words(
    pool: str, result: Verdict, said: CancelReport | None, proof: Proof | None, words: str
) -> None:
    told = detail_of(WorkerAnswer("w", pool, Abilities(takes_turns=pool in GREEN), result, said, proof))
    assert (words in told) if words else (told == "")
