"""An address of PostgreSQL that cannot be used is one sentence; whatever means the same as ours is taken."""

import pytest

from signalbox.errors import SettingsError
from signalbox.postgres.address import usable

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("postgresql://a:b@db:5432/x", "postgresql://a:b@db:5432/x"),
        ("postgres://a:b@db/x", "postgresql://a:b@db/x"),
        ("postgresql+psycopg2://a:b@db/x", "postgresql://a:b@db/x"),
        ("postgresql+asyncpg://a:b@db/x", "postgresql://a:b@db/x"),
        (
            "postgresql://a:b%2Fc%23@[::1]:5432/x?sslmode=require",
            "postgresql://a:b%2Fc%23@[::1]:5432/x?sslmode=require",
        ),
        ("postgresql://a@one:5432,two:5433/x", "postgresql://a@one:5432,two:5433/x"),
        ("postgresql:///x?host=/run/postgresql", "postgresql:///x?host=/run/postgresql"),
        ("  postgresql://db/x\n", "postgresql://db/x"),
    ],
)
def test_what_means_the_same_is_taken(given: str, taken: str) -> None:
    assert usable(given) == taken


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (f"mysql://a:{SECRET}@db/x", "is mysql://"),
        (f"sqlite:///{SECRET}.db", "is sqlite://"),
        (f"host=db user=a password={SECRET}", "of another form"),
        (f"a:{SECRET}@db:5432/x", "of another form"),
        ("", "of another form"),
        (f"postgresql://a:{SECRET}#x@db/x", "%23"),
        (f"postgresql://a:{SECRET}/x@db:5432/x", "%2F"),
        (f"postgresql://a:{SECRET}@db:http/x", "no host and port"),
        (f"postgresql://a:{SECRET}@db:0/x", "no host and port"),
        (f"postgresql://a:{SECRET}@db:5432/x/y", "more than the name of a database"),
        (f"postgresql://a:{SECRET}@db/x?pool_size=5", "'pool_size'"),
        (f"postgresql://a:{SECRET}@db/x?channel_binding=require", "'channel_binding'"),
        (f"postgresql://a:{SECRET}@db/x?sslmode=on", "sslmode=on"),
        (f"postgresql://a:{SECRET}@db/x?sslmode", "not name=value"),
    ],
)
def test_a_form_that_cannot_be_used_is_one_sentence_without_the_password(given: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        usable(given)
    sentence = str(caught.value)
    assert sentence.startswith("SIGNALBOX_DATABASE_URL ")
    assert says in sentence
    assert "\n" not in sentence
    assert SECRET not in sentence
