"""The places in a list that callers give back to us."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalbox_api.errors import BadCursor
from signalbox_api.record.cursor import Cursor, read_cursor

_times = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(_times, st.text(max_size=155))
def test_a_list_goes_on_exactly_where_it_was(at: datetime, key: str) -> None:
    cursor = Cursor(at, key)
    assert read_cursor(str(cursor)) == cursor


@pytest.mark.parametrize("text", ["", "nonsense", "%%%", "AAAA", "x" * 400, "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OS54"])
def test_a_place_that_we_never_gave_is_refused(text: str) -> None:
    with pytest.raises(BadCursor, match="is not a place in this list"):
        read_cursor(text)
