"""The trail of a test: lines appended, chained, and verified as the command line does."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable

from signalbox.postgres.pool import Connection, Database
from signalbox.trail.append import NewLine, append
from signalbox.trail.line import End, TrailLine
from signalbox.trail.read import read_ends, read_lines
from signalbox.trail.verify import Report, Verifier
from signalbox_reconciler.trail import BEGIN, chain_lines
from support.eventually import eventually


async def fill(connection: Connection, count: int) -> None:
    """Append so many lines, with texts in which a field may seem to end, and chain them."""
    for number in range(count):
        line = NewLine(kind="test", who=f"user:{number}", about=f"1:a,{number}", details={"ä": "\n", "n": number})
        await append(connection, line)
    await chain_lines(connection, BEGIN)


async def noted_start(database: Database) -> None:
    """Wait until the api has noted its settings: nothing comes by itself after that."""

    async def look() -> bool:
        async with database.connection() as connection:
            return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM trail WHERE kind = 'settings')"))

    await eventually(look, "the start of the api is on the trail")


async def lines(connection: Connection) -> AsyncIterator[TrailLine]:
    """All lines, as they are exported."""

    async def run(query: Callable[[Connection], Awaitable[list[TrailLine]]]) -> list[TrailLine]:
        return await query(connection)

    async for part in read_lines(run):
        for line in part:
            yield line


async def verified(connection: Connection, checkpoints: Iterable[End] = (), writers: Collection[str] = ()) -> Report:
    """What a verification finds."""
    verifier = Verifier(await read_ends(connection), checkpoints, writers)
    async for line in lines(connection):
        verifier.take(line)
    return verifier.report()
