"""How often the record is queried before a cancel is answered without it."""

import asyncio
from collections.abc import Iterator

import pytest

from signalbox_api.cancelling.polling import poll


@pytest.mark.parametrize(
    ("results", "seconds", "last", "left"),
    [
        ([True, False], 60.0, True, 1),
        ([False, False, True], 60.0, True, 0),
        ([False, True], 0.0, False, 1),
    ],
)
def test_the_record_is_queried_until_it_is_as_wanted_or_time_is_up(
    results: list[bool], seconds: float, last: bool, left: int
) -> None:
    queries: Iterator[bool] = iter(results)

    async def query() -> bool:
        return next(queries)

    assert asyncio.run(poll(query, lambda done: done, seconds)) is last
    assert len(list(queries)) == left
