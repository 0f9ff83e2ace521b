"""What the doctor says of the processes of a host."""

from signalbox_cli.commands.checks import process_check

HOST = {"name": "web-01"}
NOTICE = "Celery 5.9.0: waiting tasks cannot be cancelled, `celery.worker.request.Request._gone` is not there"


def test_a_process_that_runs_with_a_feature_off_is_well_and_worth_a_note() -> None:
    check = process_check(HOST, {"name": "worker", "state": "running", "desired": "running", "message": NOTICE})
    assert (check.ok, check.note, check.detail) == (True, True, f"running: {NOTICE}")
    assert "docs/celery.md" in check.advice


def test_a_process_that_runs_as_it_should_is_worth_none() -> None:
    check = process_check(HOST, {"name": "worker", "state": "running", "desired": "running", "message": ""})
    assert (check.ok, check.note) == (True, False)
