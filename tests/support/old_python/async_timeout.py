"""`async_timeout`, which redis-py asks for below Python 3.11.3: what asyncio has of its own by then."""

from asyncio import timeout as timeout  # noqa: PLC0414 - it is imported from here
