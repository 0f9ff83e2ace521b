"""Texts that come from tasks are made fit for the wire, whatever they hold."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox_agent.tasks.events import instant
from signalbox_agent.tasks.texts import LIMIT, TRACEBACK_LIMIT, clean, error_of, lost, traceback_of


@given(st.text(st.characters(), max_size=50))
def test_a_text_can_be_encoded_and_stored(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert "\0" not in cleaned


def test_a_lone_surrogate_and_a_nul_are_replaced() -> None:
    assert clean("a\ud800b\0c") == "a?b\ufffdc"


def test_a_long_text_is_cut_to_the_limit() -> None:
    assert len(clean("x" * 5_000)) == LIMIT
    assert clean("x" * 5_000).endswith("x…")
    assert clean("x" * LIMIT) == "x" * LIMIT


def test_of_a_long_traceback_the_end_is_kept() -> None:
    class Info:
        traceback = "first" + "x" * 50_000 + "last"

    text = traceback_of(Info())
    assert len(text) == TRACEBACK_LIMIT
    assert text.endswith("last")
    assert not text.startswith("first")


def test_an_error_reads_as_python_prints_it() -> None:
    assert error_of(ValueError("boom")) == "ValueError: boom"
    assert error_of(KeyError("name")) == "KeyError: 'name'"
    assert error_of(TimeoutError()) == "TimeoutError"


def test_an_error_whose_text_cannot_be_had_still_has_a_name() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert error_of(Broken()) == "Broken: (the error has no readable text)"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Worker exited prematurely: signal 9 (SIGKILL) Job: 3.", ": signal 9 (SIGKILL)"),
        ("Worker exited prematurely: signal 63 Job: 3.", ": signal 63"),
        ("Worker exited prematurely: exitcode 70 Job: 3.", ": exitcode 70"),
        ("ExceptionWithTraceback()", ""),
    ],
)
def test_a_lost_process_is_told_in_words(said: str, told: str) -> None:
    assert lost(41, Exception(said)) == f"The process 41 that ran it died{told}"


@given(st.floats(0, 4e9))
def test_an_instant_reads_back_as_what_it_was(epoch: float) -> None:
    assert abs(datetime.fromisoformat(instant(epoch)).timestamp() - epoch) < 2e-6
