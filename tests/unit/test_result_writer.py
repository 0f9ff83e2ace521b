"""Results of cancelled tasks are stored by a thread, and a backend that hangs holds up nobody."""

import os
import threading
from functools import partial

from signalbox_agent.cancel.results import ResultWriter
from support.eventually import HANGS


def test_results_are_stored_in_their_order_and_all_of_them_before_a_drain_ends() -> None:
    writer, stored = ResultWriter(), list[int]()
    for number in range(100):
        writer.put(partial(stored.append, number))
    assert writer.drain(HANGS)
    assert stored == list(range(100))


def test_a_backend_that_hangs_does_not_hold_up_who_puts_and_a_drain_comes_to_its_end() -> None:
    writer, answers, stored = ResultWriter(), threading.Event(), list[str]()
    writer.put(answers.wait)
    writer.put(lambda: stored.append("next"))
    assert not writer.drain(0.01)
    assert stored == []
    answers.set()
    assert writer.drain(HANGS)
    assert stored == ["next"]


def test_an_error_of_the_backend_ends_nothing() -> None:
    writer, stored = ResultWriter(), list[str]()
    writer.put(lambda: 1 / 0)
    writer.put(lambda: stored.append("next"))
    assert writer.drain(HANGS)
    assert stored == ["next"]


def test_what_waits_is_bounded() -> None:
    writer, answers, stored = ResultWriter(limit=2), threading.Event(), list[int]()
    writer.put(answers.wait)
    for number in range(5):
        writer.put(partial(stored.append, number))
    answers.set()
    assert writer.drain(HANGS)
    assert stored == [0]


def test_a_result_that_has_waited_for_too_long_is_given_up() -> None:
    writer, stored = ResultWriter(deadline=-1.0), list[str]()
    writer.put(lambda: stored.append("late"))
    assert writer.drain(HANGS)
    assert stored == []


def test_the_thread_ends_when_there_is_nothing_to_do_and_comes_back() -> None:
    writer, stored = ResultWriter(), list[threading.Thread]()
    for _ in range(2):
        writer.put(lambda: stored.append(threading.current_thread()))
        assert writer.drain(HANGS)
        stored[-1].join(HANGS)
        assert not stored[-1].is_alive()
    assert stored[0] is not stored[1]


def test_where_a_thread_would_hold_up_nobody_less_it_is_stored_at_once() -> None:
    writer, stored = ResultWriter(), list[str]()
    writer.at_once = True
    writer.put(lambda: stored.append("now"))
    assert stored == ["now"]


def test_a_fork_finds_no_store_under_way() -> None:
    """A lock that the thread holds at a fork is held for ever in the child."""
    writer, lock, forked = ResultWriter(), threading.Lock(), 0
    os.register_at_fork(before=writer.hold, after_in_parent=writer.release, after_in_child=writer.abandon)

    def store() -> None:
        with lock:
            threading.Event().wait(0.002)

    for _ in range(50):
        writer.put(store)
        pid = os.fork()
        if pid == 0:
            os._exit(0 if lock.acquire(blocking=False) else 1)
        forked += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert forked == 50
    assert writer.drain(HANGS)


def test_a_fork_does_not_wait_for_a_backend_that_hangs() -> None:
    writer, answers = ResultWriter(), threading.Event()
    writer.put(answers.wait)
    for _ in range(3):
        writer.hold()
        writer.release()
    answers.set()
    assert writer.drain(HANGS)
