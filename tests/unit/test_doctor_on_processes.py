"""What the doctor says of a host: of its processes, and of what a cancel proves there."""

from signalbox_cli.commands.checks import clock_checks, process_check, proof_checks

HOST = {"name": "web-01"}
NOTICE = "Celery 5.9.0: waiting tasks cannot be cancelled, `celery.worker.request.Request._gone` is not there"


def test_a_process_that_runs_with_a_feature_off_is_well_and_worth_a_note() -> None:
    check = process_check(HOST, {"name": "worker", "state": "running", "desired": "running", "message": NOTICE})
    assert (check.ok, check.note, check.detail) == (True, True, f"running: {NOTICE}")
    assert "docs/celery.md" in check.advice


def test_a_process_that_runs_as_it_should_is_worth_none() -> None:
    check = process_check(HOST, {"name": "worker", "state": "running", "desired": "running", "message": ""})
    assert (check.ok, check.note) == (True, False)


def test_a_process_that_is_no_longer_configured_is_named_with_the_way_to_stop_it() -> None:
    running = {"name": "former", "state": "running", "desired": "stopped", "configured": False}
    check = process_check(HOST, running)
    assert (check.ok, "signalbox stop --host web-01 --process former" in check.advice) == (False, True)


def test_a_process_that_runs_with_other_options_than_the_file_has_is_worth_a_note() -> None:
    running = {"name": "worker", "state": "running", "desired": "running", "outdated": "queues", "message": "queues"}
    check = process_check(HOST, running)
    assert (check.ok, check.note) == (True, True)
    assert "signalbox restart --host web-01 --process worker" in check.advice


def test_a_host_whose_kernel_proves_a_death_is_well() -> None:
    (check,) = proof_checks({**HOST, "proof": "cgroup", "proof_detail": "each task has a cgroup"})
    assert (check.ok, check.note, check.detail) == (True, False, "by the kernel: each task has a cgroup")


def test_a_host_that_can_only_search_is_worth_a_note_that_says_why_and_where_to_read_on() -> None:
    (check,) = proof_checks({**HOST, "proof": "search", "proof_detail": "/sys is not writable: use Delegate=yes"})
    assert (check.ok, check.note) == (True, True)
    assert "Delegate=yes" in check.detail
    assert "docs/operating.md" in check.advice


def test_a_host_of_an_older_version_is_asked_for_no_proof() -> None:
    assert list(proof_checks({**HOST, "proof": None})) == []


def test_a_host_whose_clock_is_off_says_by_how_much_and_one_that_does_not_say_is_passed_over() -> None:
    [behind] = clock_checks({**HOST, "clock_ahead": -120.4})
    assert (behind.ok, behind.detail) == (False, "its clock is 120 s behind")
    [right] = clock_checks({**HOST, "clock_ahead": 0.0})
    assert right.ok
    assert list(clock_checks({**HOST, "clock_ahead": None})) == []
