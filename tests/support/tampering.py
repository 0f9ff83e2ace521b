"""What a superuser may do to the trail in SQL, and which line of it a verification must find."""

# ruff: noqa: S608 - our own words

import random
from typing import NamedTuple

_COLUMNS = ("written_by", "kind", "who", "address", "about", "details", "outcome")
_TIMES = ("1 microsecond", "-1 day", "4000 years", "-4000 years")
_OF_N = "WHERE line = (SELECT line FROM c WHERE number = :n)"
_EMPTY = "(kind, who, address, about, details, outcome) VALUES ('added', '', '', '', '', '')"
_WITH_CHAIN = (
    "WITH gone AS (DELETE FROM trail_chain WHERE number :which RETURNING line)"
    " DELETE FROM trail USING gone WHERE trail.line = gone.line"
)


class Tampering(NamedTuple):
    """A change, with `:n` and the greater `:m` for numbers of lines, `:column`, `:time` and `:end` for the last number.

    The table `c` holds the chain as it was.
    """

    sql: str
    #: The line that is found, in the same words.
    found: str = ":n"

    def at_random(self, seed: int, lines: int) -> tuple[str, int]:
        """The statement, and the number of the line that is to be found, of a chain of so many lines."""
        chance = random.Random(seed)  # noqa: S311 - to be repeated
        one, other = sorted(chance.sample(range(1, lines), 2))
        values = {":n": one, ":m": other, ":end": lines, ":column": chance.choice(_COLUMNS)}
        sql, found = self.sql.replace(":time", chance.choice(_TIMES)), self.found
        for name, value in values.items():
            sql, found = sql.replace(name, str(value)), found.replace(name, str(value))
        return sql, sum(map(int, found.split("+")))


#: Changed, removed, added, reordered.
TAMPERINGS = (
    Tampering(f"UPDATE trail SET :column = :column || 'x' {_OF_N}"),
    Tampering(f"UPDATE trail SET who = who || kind, kind = '' {_OF_N}"),
    Tampering(f"UPDATE trail SET at = at + interval ':time' {_OF_N}"),
    Tampering("UPDATE trail_chain SET hash = sha256(hash) WHERE number = :n"),
    Tampering("UPDATE trail_ends SET hash = sha256(hash) WHERE name = 'head'", ":end"),
    Tampering("UPDATE trail_ends SET hash = sha256(hash) WHERE name = 'cut'", "1"),
    Tampering(f"DELETE FROM trail {_OF_N}"),
    Tampering("TRUNCATE trail", "1"),
    Tampering("TRUNCATE trail, trail_chain", "1"),
    Tampering(_WITH_CHAIN.replace(":which", "= :n")),
    Tampering(_WITH_CHAIN.replace(":which", "BETWEEN :n AND :m")),
    Tampering(_WITH_CHAIN.replace(":which", "> :n"), ":n+1"),
    Tampering(_WITH_CHAIN.replace(":which", "<= :n"), "1"),
    Tampering(
        f"DELETE FROM trail {_OF_N}; DELETE FROM trail_chain WHERE number = :n;"
        " UPDATE trail_chain SET number = -number WHERE number > :n;"
        " UPDATE trail_chain SET number = -number - 1 WHERE number < 0"
    ),
    Tampering(
        "UPDATE trail_ends SET number = :n, hash = sha256(hash) WHERE name = 'cut'; "
        + _WITH_CHAIN.replace(":which", "<= :n"),
        ":n+1",
    ),
    Tampering(
        "UPDATE trail_chain SET number = -number WHERE number >= :n;"
        " UPDATE trail_chain SET number = -number + 1 WHERE number < 0;"
        f" INSERT INTO trail {_EMPTY}; INSERT INTO trail_chain SELECT :n, max(line), sha256('') FROM trail"
    ),
    Tampering(
        f"INSERT INTO trail {_EMPTY}; INSERT INTO trail_chain SELECT :end + 1, max(line), sha256('') FROM trail",
        ":end+1",
    ),
    Tampering(
        "INSERT INTO trail (at, kind, who, address, about, details, outcome)"
        " VALUES (now() - interval ':n days 2 hours', 'added', '', '', '', '', ''); SELECT chain_trail('0', 500)",
        ":end+1",
    ),
    Tampering(
        "UPDATE trail_chain AS t SET line = -c.line FROM c"
        " WHERE t.number IN (:n, :m) AND c.number = :n + :m - t.number;"
        " UPDATE trail_chain SET line = -line WHERE line < 0"
    ),
    Tampering(
        "UPDATE trail_chain SET number = -(:n + :m - number) WHERE number IN (:n, :m);"
        " UPDATE trail_chain SET number = -number WHERE number < 0"
    ),
    Tampering(
        "UPDATE trail AS t SET who = o.who, about = o.about FROM trail AS o, c AS a, c AS b"
        " WHERE a.number IN (:n, :m) AND b.number = :n + :m - a.number AND t.line = a.line AND o.line = b.line"
    ),
)
