"""Tables of the report, in Markdown."""

from collections.abc import Iterable, Sequence

from bench.figures import Spread, ratios
from bench.rows import Measured, Measurements, Row, Target, loses, verdict

HEADINGS = ("what", "Signalbox", "Flower", "ratio", "to reach", "verdict", "remarks")
#: What stands where nothing was measured.
NOTHING = "–"


def number(value: float) -> str:
    """Three significant digits, and whole thousands: 0.0123, 1.23, 12.3, 123, 12,345."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 or size == 0 else f"{value:.3g}"


def spread_text(values: Sequence[float], unit: str = "") -> str:
    """The median with its unit, and the range where there is more than one value."""
    spread = Spread.of(values)
    if spread is None:
        return NOTHING
    median = f"{number(spread.median)} {unit}".rstrip()
    return f"{median} ({number(spread.low)} – {number(spread.high)})" if len(values) > 1 else median


def target_text(target: Target | None, unit: str) -> str:
    """A limit, as a person writes it."""
    if target is None:
        return ""
    sign, of = "≥" if target.at_least else "≤", "× Flower" if target.of_ratio else unit
    return f"{sign} {number(target.limit)} {of}".rstrip()


def cells(row: Row, measured: Measured) -> tuple[str, ...]:
    """The cells of a row."""
    compared = spread_text(ratios(measured.ours, measured.flower))
    return (
        row.what,
        spread_text(measured.ours, row.unit),
        spread_text(measured.flower, row.unit),
        f"{compared}, worse" if loses(row, measured) else compared,
        target_text(row.target, row.unit),
        verdict(row, measured),
        measured.note,
    )


def table(measurements: Measurements) -> str:
    """The table of one part."""
    rows = [cells(row, measurements.of(row)) for row in measurements.rows]
    return "\n".join(map(_line, (HEADINGS, ["---"] * len(HEADINGS), *rows)))


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(text.replace('|', '/').replace(chr(10), ' ') for text in texts)} |"
