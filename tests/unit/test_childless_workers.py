"""A worker that consumes, and of whose pool no process is up, is not shown as one that runs."""

import pytest

from signalbox.messages.events import Event, ProcessChanged
from signalbox_controller.agents.protocol import Children, Hello, PoolReport, Ready, Waiting
from signalbox_controller.processes.agent_reports import CHILDLESS, AgentReports
from signalbox_controller.processes.machine import Input, step
from signalbox_controller.processes.status import Identity, ProcessStatus

NONE, ONE = Children(up=0, wanted=2, within=4.0), Children(up=1, wanted=2, within=4.0)
WORDS = (
    "can run nothing: none of the 2 processes of its pool is up, see its log; "
    "Celery kills one that takes longer than 4.0 s to start (worker_proc_alive_timeout)"
)


class Worker(AgentReports):
    """The state of one, by the machine's table."""

    def __init__(self) -> None:
        self.published: list[ProcessChanged] = []
        identity = Identity(name="worker", kind="worker", node="worker@here", host="here")
        self.status = ProcessStatus(identity, "running", self._publish)
        self.status.enter("starting")

    def _publish(self, event: Event) -> None:
        assert isinstance(event, ProcessChanged)
        self.published.append(event)

    def _feed(self, event: Input, message: str = "") -> None:
        transition = step(self.status.state, event)
        if transition.state != self.status.state or transition.actions:
            self.status.message = message or self.status.message
        if transition.state != self.status.state:
            self.status.enter(transition.state)
            self.status.message = message
        self.status.publish()

    @property
    def shown(self) -> tuple[str, str]:
        return self.status.state, self.status.message

    def reports(self, children: Children, times: int = 1, *, ready: bool = True) -> None:
        for _ in range(times):
            self.on_report(PoolReport(ready=ready, children=children))


def hello(children: Children | None) -> Hello:
    return Hello(instance="i", pid=1, kind="worker", ready=True, children=children)


@pytest.mark.parametrize("children", [None, ONE, Children(up=0, wanted=0)], ids=["no processes", "one", "none wanted"])
def test_a_worker_that_can_run_something_runs_as_soon_as_it_consumes(children: Children | None) -> None:
    for report in (Ready(children=children), hello(children)):
        worker = Worker()
        worker.on_report(report)
        assert worker.status.state == "running"


def test_one_that_starts_runs_with_the_first_of_its_processes() -> None:
    worker = Worker()
    worker.on_report(Ready(children=NONE))
    assert worker.shown[0] == "starting"
    worker.reports(ONE)
    assert worker.shown == ("running", "")


def test_a_process_that_is_being_replaced_is_not_worth_a_word() -> None:
    worker = Worker()
    worker.on_report(Ready(children=ONE))
    worker.reports(NONE, CHILDLESS - 1)
    worker.reports(ONE)
    worker.reports(NONE, CHILDLESS - 1)
    assert [event.state for event in worker.published] == ["running"]


def test_one_that_stays_without_says_so_and_what_to_do_and_runs_again_by_itself() -> None:
    worker = Worker()
    worker.on_report(Ready(children=ONE))
    worker.reports(NONE, CHILDLESS)
    assert worker.shown == ("starting", WORDS)
    worker.reports(ONE)
    assert worker.shown == ("running", "")


def test_one_that_was_never_able_to_run_anything_says_so_too() -> None:
    worker = Worker()
    worker.on_report(Ready(children=NONE))
    worker.reports(NONE, CHILDLESS)
    assert worker.shown == ("starting", WORDS)


def test_processes_that_are_up_do_not_make_one_run_that_has_lost_its_broker() -> None:
    worker = Worker()
    worker.on_report(Ready(children=ONE))
    worker.on_report(Waiting())
    worker.reports(ONE, ready=False)
    assert worker.status.state == "starting"
