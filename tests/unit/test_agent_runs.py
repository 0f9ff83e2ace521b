"""What an agent knows of the tasks of its worker."""

from types import SimpleNamespace
from typing import Any

from signalbox_agent.tasks.runs import Recent, Run, Runs, delivery_key, run_key


def a_run(task_id: str = "a") -> Run:
    return Run(SimpleNamespace(), task_id, "shop.a", "a")


def test_the_keys_of_runs_sort_as_they_happened() -> None:
    happened = [
        run_key(0),  # it waits
        run_key(0, 1_700_000_000.0, "instance", 41),  # it runs
        run_key(0, 1_700_000_000.5),  # it was delivered again, and waits
        run_key(0, 1_700_000_000.5, "instance", 42),  # it runs again
        run_key(1),  # its retry waits
        run_key(1, 1_600_000_000.0, "another", 7),  # and runs, on a host whose clock is late
        run_key(10),
    ]
    assert happened == sorted(happened)


def test_the_key_of_a_started_run_has_the_form_that_the_record_expects() -> None:
    assert run_key(2, 1_700_000_000.123, "0123456789abcdef", 41) == "0002.1700000000123.01234567.41"


def test_a_task_that_was_delivered_twice_has_two_runs() -> None:
    runs = Runs()
    first, second = a_run(), a_run()
    runs.add(first)
    runs.add(second)
    runs.remove(first)
    assert runs.of("a") == [second]
    runs.remove(second)
    runs.remove(second)
    assert runs.of("a") == runs.all() == []


def test_what_celery_forgets_with_its_connection_is_forgotten() -> None:
    runs = Runs()
    waiting, running = a_run("waiting"), a_run("running")
    running.begin(1.0, 41, "instance")
    runs.add(waiting)
    runs.add(running)
    runs.forget_waiting()
    assert runs.all() == [running]


def test_a_run_that_is_over_keeps_nothing_of_celerys_alive() -> None:
    runs = Runs()
    run = a_run()
    runs.add(run)
    runs.remove(run)
    assert run.request is None


def test_a_full_memory_forgets_what_was_not_touched_for_longest() -> None:
    recent: Recent[Any] = Recent(2)
    recent["a"], recent["b"] = 1, 2
    recent["a"] = 3
    recent["c"] = None
    assert [recent.get(key) for key in "abc"] == [3, None, None]
    assert "b" not in recent
    assert "c" in recent
    assert len(recent) == 2


def test_runs_of_one_id_that_begin_in_the_same_millisecond_have_keys_of_their_own() -> None:
    runs = Runs()
    first, second = a_run(), a_run()
    for run in (first, second):
        runs.add(run)
        runs.begin(run, 1_700_000_000.0, 41, "instance")  # greenlets share a pid
    assert first.key != second.key


def test_what_waits_bears_the_key_of_its_delivery_until_it_begins() -> None:
    delivery = delivery_key(2, 1_700_000_000.123, "0123456789abcdef", "w7")
    assert delivery == "0002.1700000000123.01234567.w7"
    run = Run(SimpleNamespace(), "a", "shop.a", "a", 2, delivery)
    assert run.key == delivery
    run.begin(1_700_000_001.0, 41, "0123456789abcdef")
    assert (run.key, run.delivery) == ("0002.1700000001000.01234567.41", delivery)
