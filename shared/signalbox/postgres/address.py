"""Address of PostgreSQL: checked before it is used, so that a form that we cannot use is one sentence."""

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from signalbox.errors import SettingsError

NAME = "SIGNALBOX_DATABASE_URL"
EXAMPLE = "postgresql://user:password@host:5432/signalbox"
#: What the driver reads from the query of an address; it sends everything else to the server, which refuses it.
PARAMETERS = frozenset(
    {
        "application_name",
        "database",
        "dbname",
        "gsslib",
        "host",
        "krbsrvname",
        "passfile",
        "password",
        "port",
        "service",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcert",
        "sslcrl",
        "sslkey",
        "sslmode",
        "sslnegotiation",
        "sslpassword",
        "sslrootcert",
        "target_session_attrs",
        "user",
    }
)
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_HIGHEST_PORT = 65535
#: One host, perhaps with a port; IPv6 in brackets.
_HOST = re.compile(r"(?P<name>\[[^\]]+\]|[^:\[\]]*)(?::(?P<port>.*))?")
#: As SQLAlchemy writes it, with the name of a driver.
_SCHEME = re.compile(r"(postgresql|postgres)(\+\w+)?")


def usable(url: str) -> str:
    """The address in the form that the driver takes: the driver that SQLAlchemy names in it is left out.

    Raises:
        SettingsError: it cannot be used; the sentence says why, and never contains the password.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        given = f"{scheme}://…" if separator and scheme.replace("+", "").isalnum() else "of another form"
        raise SettingsError(f"{NAME} is {given}; it must look like {EXAMPLE}")
    address = f"postgresql://{rest}"
    _check_hosts(address)
    _check_query(address)
    return address


def _check_hosts(address: str) -> None:
    parts = urlsplit(address)
    if parts.fragment or "#" in address:
        raise SettingsError(f"{NAME} has a # in it; in a name or a password write it as %23, as in {EXAMPLE}")
    for host in parts.netloc.rpartition("@")[2].split(","):
        found = _HOST.fullmatch(host)
        port = found["port"] if found else ""
        if found is None or not (port is None or _is_port(port)):
            raise SettingsError(
                f"{NAME} names no host and port that make sense: write / as %2F, @ as %40, ? as %3F in a name or"
                f" a password, as in {EXAMPLE}"
            )
    if "/" in unquote(parts.path.removeprefix("/")):
        raise SettingsError(f"{NAME} has more than the name of a database after the host; it must look like {EXAMPLE}")


def _check_query(address: str) -> None:
    query = urlsplit(address).query
    try:
        given = parse_qsl(query, strict_parsing=bool(query))
    except ValueError:
        raise SettingsError(f"{NAME} has something after its ? that is not name=value; take it out") from None
    for name, value in given:
        if name not in PARAMETERS:
            known = ", ".join(sorted(PARAMETERS))
            raise SettingsError(
                f"{NAME} has the parameter {name!r}, which cannot be used; take it out (known: {known})"
            )
        if name == "sslmode" and value not in SSL_MODES:
            raise SettingsError(f"{NAME} has sslmode={value}; it must be one of: {', '.join(SSL_MODES)}")


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= _HIGHEST_PORT
