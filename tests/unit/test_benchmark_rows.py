"""Figures of a benchmark become medians, ratios, verdicts and table rows; what is missing never looks measured."""

import pytest

from bench.figures import Spread, percentile, ratios
from bench.rows import Measured, Measurements, Row, Target, loses, verdict
from bench.table import HEADINGS, cells, number, spread_text, table, target_text


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([7.0], 99, 7.0), ([1.0, 2.0, 3.0], 50, 2.0), (list(map(float, range(101))), 99, 99.0), ([3.0, 1.0], 50, 2.0)],
)
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values: list[float], percent: int, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_a_spread_has_the_median_and_the_range() -> None:
    assert Spread.of([5.0, 1.0, 3.0]) == Spread(median=3.0, low=1.0, high=5.0)
    assert Spread.of([]) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([2.0, 9.0], [1.0, 3.0], [2.0, 3.0]),  # round by round
        ([2.0, 4.0, 6.0], [2.0], [2.0]),  # medians, where the rounds differ
        ([0.0, 1.0], [0.0, 4.0], [0.25]),  # nothing is a multiple of 0
        ([1.0, 2.0], [0.0], []),
        ([1.0], [], []),
        ([], [1.0], []),
    ],
)
def test_ratios_compare_rounds(ours: list[float], theirs: list[float], expected: list[float]) -> None:
    assert ratios(ours, theirs) == expected


AT_MOST, AT_LEAST, OF_FLOWER = Target(10.0), Target(30.0, at_least=True), Target(0.9, of_ratio=True)


@pytest.mark.parametrize(
    ("target", "ours", "flower", "expected"),
    [
        (AT_MOST, (10.0,), (), "reached"),  # a limit belongs to what is allowed
        (AT_MOST, (9.0, 9.5, 100.0), (), "reached"),  # the median counts
        (AT_MOST, (10.1,), (), "missed"),
        (AT_MOST, (), (1.0,), "not measured"),
        (AT_LEAST, (30.0,), (), "reached"),
        (AT_LEAST, (29.0,), (), "missed"),
        (OF_FLOWER, (9.0,), (10.0,), "reached"),
        (OF_FLOWER, (9.1,), (10.0,), "missed"),
        (OF_FLOWER, (1.0,), (), "not measured"),  # without Flower there is no ratio
        (None, (1.0,), (), ""),
        (None, (), (), "not measured"),
    ],
)
def test_a_target_is_reached_or_missed_or_was_not_measured(
    target: Target | None, ours: tuple[float, ...], flower: tuple[float, ...], expected: str
) -> None:
    assert verdict(Row("key", "what", "ms", target), Measured(ours, flower)) == expected


def test_the_better_figure_is_the_smaller_one_unless_the_row_says_otherwise() -> None:
    less, more = Row("key", "time", "ms"), Row("key", "rate", "/s", more_is_better=True)
    ours_is_larger = Measured((2.0,), (1.0,))
    assert loses(less, ours_is_larger)
    assert not loses(more, ours_is_larger)
    assert not loses(less, Measured((2.0,), ()))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0.00"), (0.01234, "0.0123"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (12345.6, "12,346")],
)
def test_a_number_has_three_digits(value: float, expected: str) -> None:
    assert number(value) == expected


def test_a_cell_has_the_median_with_its_range_and_nothing_looks_like_nothing() -> None:
    assert spread_text([1.0, 2.0, 4.0], "ms") == "2.00 ms (1.00 – 4.00)"
    assert spread_text([2.0], "ms") == "2.00 ms"
    assert spread_text([], "ms") == "–"
    assert target_text(OF_FLOWER, "ms") == "≤ 0.9 × Flower"
    assert target_text(AT_LEAST, "/s") == "≥ 30.0 /s"


def test_a_row_that_loses_says_so() -> None:
    row = Row("key", "dead", "ms", OF_FLOWER)
    assert cells(row, Measured((12.0,), (10.0,), "a remark")) == (
        "dead",
        "12.0 ms",
        "10.0 ms",
        "1.20, worse",
        "≤ 0.9 × Flower",
        "missed",
        "a remark",
    )


def test_a_table_has_a_line_for_each_row_measured_or_not() -> None:
    measurements = Measurements((Row("a", "first|one", "ms"), Row("b", "second", "ms", AT_MOST)))
    measurements.put("a", [1.0], note="two\nlines")
    assert table(measurements).splitlines()[2:] == [
        "| first/one | 1.00 ms | – | – |  |  | two lines |",
        "| second | – | – | – | ≤ 10.0 ms | not measured |  |",
    ]
    assert table(measurements).count("---") == len(HEADINGS)


def test_a_figure_for_which_there_is_no_row_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Measurements(()).put("unknown", [1.0])
