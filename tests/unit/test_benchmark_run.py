"""A run of benchmarks ends with every row, whatever its parts do."""

import asyncio
from pathlib import Path

import pytest

from bench.errors import BenchmarkError
from bench.options import Options, parse
from bench.parts.all import PARTS
from bench.report import document
from bench.rows import Measurements, Row, Target
from bench.runner import Outcome, brief, run, run_part, summary
from bench.session import Measure, Part, Session

NAMES = [(part.name, part.what) for part in PARTS]
ROWS = (Row("first", "the first figure", "ms", Target(5.0)), Row("second", "the second figure", "ms", Target(5.0)))


def options(*arguments: str) -> Options:
    return parse(arguments, NAMES, Path("report.md"))


def part(measure: Measure, name: str = "part", deadline: float = 60.0) -> Part:
    return Part(name, f"What {name} measures", "Some method.", ROWS, measure, deadline, needs_flower=False)


async def good(_session: Session, measurements: Measurements) -> None:
    measurements.put("first", [1.0])
    measurements.put("second", [9.0])


async def fails_halfway(_session: Session, measurements: Measurements) -> None:
    measurements.put("first", [1.0])
    raise BenchmarkError("the worker ended")


async def breaks(_session: Session, _measurements: Measurements) -> None:
    raise ZeroDivisionError("nobody expected this")


async def hangs(_session: Session, measurements: Measurements) -> None:
    measurements.put("first", [1.0])
    await asyncio.Event().wait()


async def outcome_of(measure: Measure, within: float = 60.0) -> Outcome:
    session = Session(options(), Path(), None, lambda _line: None)
    return await run_part(part(measure), session, within)


@pytest.mark.parametrize(
    ("measure", "within", "reason", "told"),
    [
        (good, 60.0, "", "1 reached, 1 missed"),
        (fails_halfway, 60.0, "the worker ended", "1 reached, 1 not measured"),
        (breaks, 60.0, "ZeroDivisionError: nobody expected this", "2 not measured"),
        (hangs, 0.01, "not done within 0 s", "1 reached, 1 not measured"),
        (good, 0.0, "no time was left for it", "2 not measured"),
    ],
)
async def test_a_part_that_fails_keeps_what_it_has_and_says_why(
    measure: Measure, within: float, reason: str, told: str
) -> None:
    outcome = await outcome_of(measure, within)
    assert outcome.reason == reason
    assert summary(outcome).startswith(f"{told}, in ")


async def test_a_cancel_of_the_run_is_no_failure_of_a_part() -> None:
    running = asyncio.create_task(outcome_of(hangs))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_part_that_fails_does_not_end_the_others_and_the_report_has_every_row(tmp_path: Path) -> None:
    lines: list[str] = []
    parts = [part(breaks, "one"), part(hangs, "two", deadline=0.01), part(good, "three")]
    outcomes = await run(options(), parts, tmp_path, lines.append)
    assert [outcome.reason for outcome in outcomes] == [
        "ZeroDivisionError: nobody expected this",
        "not done within 0 s",
        "",
    ]
    text = document(outcomes, options(), {"cores": "2"}, 0.5)
    assert text.count("| the first figure |") == text.count("| the second figure |") == 3
    assert text.count("| not measured |") == 3
    assert "This part ended early: ZeroDivisionError: nobody expected this." in text
    assert "| cores | 2 |" in text
    assert [line for line in lines if line.startswith("[")] == [
        f"[{number}/3] {name}: What {name} measures" for number, name in enumerate(("one", "two", "three"), 1)
    ]


def test_a_reason_is_one_line_without_the_path_of_a_log() -> None:
    failure = "postgres did not start; the last lines of /tmp/x/logs/postgres.log:\n    one\n    no space left"
    assert brief(failure) == "postgres did not start: no space left"
    assert brief("") == "no reason given"
    assert len(brief("x" * 1000)) == 240


def test_parts_run_in_the_order_of_the_report_whatever_the_order_they_are_named_in() -> None:
    assert options("--only", "idle, cancel").only == ("cancel", "idle")
    assert options().only == tuple(name for name, _ in NAMES)
    assert options("--write", "-").write is None
    assert options("--rows", "200000", "--rounds", "2").rows == 200_000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--only", "nonsense"), "there is no part nonsense; there are: cancel"),
        (("--only", ","), "no part is named"),
        (("--rounds", "0"), "'0' is no whole number from 1 on"),
        (("--rows", "1e6"), "'1e6' is no whole number from 1 on"),
        (("--seconds", "nan"), "'nan' is no number above 0"),
        (("--minutes", "-1"), "'-1' is no number above 0"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        options(*arguments)
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err


def test_the_help_names_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options("--help")
    told = capsys.readouterr().out
    assert all(name in told and what in told for name, what in NAMES)


def test_no_two_rows_of_a_part_have_the_same_key_or_words() -> None:
    for one in PARTS:
        assert len({row.key for row in one.rows}) == len({(row.what, row.unit) for row in one.rows}) == len(one.rows)
