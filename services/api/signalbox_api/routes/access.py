"""Access to routes: bearer tokens, session cookies with their CSRF token, and roles."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.requests import HTTPConnection

from signalbox.client.commander import Issuer
from signalbox_api.auth.credential import Credential, Role, allows
from signalbox_api.auth.lines import Author
from signalbox_api.auth.secret import Secret, read_secret
from signalbox_api.errors import ForgedRequest, NotSignedIn, NoUserYet, RoleLacking
from signalbox_api.services import Services, Wired

SESSION_COOKIE = "signalbox_session"
CSRF_COOKIE = "signalbox_csrf"
CSRF_HEADER = "X-CSRF-Token"

#: Ports that a browser leaves out of an Origin.
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
#: Methods that change nothing (RFC 9110, section 9.2.1).
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


async def identify(connection: HTTPConnection, services: Wired) -> Credential:
    """The credential of the caller.

    Raises:
        NotSignedIn: there is none, or none that is valid.
        ForgedRequest: the page of another site made the browser send this.
        CredentialsUnknown: neither Redis nor PostgreSQL answers.
    """
    bearer = _bearer(connection)
    text = bearer or _session(connection, services)
    if not text and not await services.directory.has_users():
        raise NoUserYet
    if not text:
        raise NotSignedIn("Sign in first, or send a token in the header Authorization: Bearer <token>")
    secret = read_secret(text)
    credential = await services.directory.find(secret) if secret else None
    note_caller(connection, credential.issuer if credential else _unknown(secret))
    if credential is None:
        what = "This token" if bearer else "Your session"
        raise NotSignedIn(f"{what} is not valid: it is unknown, has expired or was revoked. Sign in again")
    if not bearer:
        if credential.kind != "session":  # it has no CSRF token that could be asked for
            raise NotSignedIn("A token is sent in the header Authorization: Bearer <token>, not in a cookie")
        _check_source(connection, credential)
    return credential


async def identify_if_any(connection: HTTPConnection, services: Wired) -> Credential | None:
    """The credential of the caller, as `identify` finds it; None: the caller shows none."""
    if not (_bearer(connection) or _session(connection, services)):
        return None
    return await identify(connection, services)


def require(needed: Role) -> Callable[..., Awaitable[Credential]]:
    """A dependency that refuses callers below this role."""

    async def check(credential: Annotated[Credential, Depends(identify)]) -> Credential:
        if not allows(credential.role, needed):
            raise RoleLacking(
                f"{credential.name} has the role {credential.role}; this needs the role {needed}. Ask an admin"
            )
        return credential

    return check


def client_address(connection: HTTPConnection) -> str:
    """The network address that a request came from, as the audit trail shows it."""
    return connection.client.host if connection.client else ""


def author(caller: Credential, connection: HTTPConnection) -> Author:
    """Who changes users or tokens, for the trail."""
    return Author(caller.issuer, client_address(connection))


def note_caller(connection: HTTPConnection, name: str) -> None:
    """Note who asks, or claims to, should the request be refused: for the trail."""
    connection.state.caller = name


def noted_caller(connection: HTTPConnection) -> str:
    """Who was noted; empty: whoever asks has shown nothing."""
    return str(getattr(connection.state, "caller", ""))


def issuer(caller: Credential, connection: HTTPConnection, reason: str | None) -> Issuer:
    """The issuer of a command, for the audit trail."""
    return Issuer(name=caller.issuer, address=client_address(connection), reason=reason or "")


def same_origin(connection: HTTPConnection) -> bool:
    """Whether a request comes from our own page, or from no page at all."""
    origin = connection.headers.get("origin")
    if origin is None:
        return True
    theirs = urlsplit(origin)
    default = _DEFAULT_PORTS.get(theirs.scheme, "")
    asked = connection.headers.get("host", "").lower().removesuffix(default)
    return bool(asked) and theirs.netloc.lower().removesuffix(default) == asked


def forged(connection: HTTPConnection, what: str = "This request") -> ForgedRequest:
    """The refusal of what another site's page made the browser send."""
    return ForgedRequest(
        f"{what} came from another site, {connection.headers['origin']}; it was refused. If that is the address of your"
        " proxy: it must send it as Host, or as X-Forwarded-Host and be named in SIGNALBOX_TRUSTED_PROXIES"
    )


def _bearer(connection: HTTPConnection) -> str | None:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def is_secure(connection: HTTPConnection) -> bool:
    """Whether the browser speaks TLS, to us or to a named proxy."""
    return connection.scope.get("scheme") in {"https", "wss"}


def cookie_names(connection: HTTPConnection, root_path: str) -> tuple[str, str]:
    """The names of the cookies of the session and of its CSRF token.

    Behind TLS they have a prefix, by which a browser takes them from nobody but this host (`__Host-`, for the path /
    only) or from TLS (`__Secure-`, below a root path).
    """
    prefix = "" if not is_secure(connection) else "__Secure-" if root_path else "__Host-"
    return prefix + SESSION_COOKIE, prefix + CSRF_COOKIE


def _unknown(secret: Secret | None) -> str:
    return f"a credential that is not valid, {secret.id}" if secret else "what is no credential"


def _session(connection: HTTPConnection, services: Services) -> str | None:
    """The session cookie; of several the first, which is that of the longest path (RFC 6265, section 5.4)."""
    wanted, _ = cookie_names(connection, services.root_path)
    for part in connection.headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == wanted:
            return value
    return None


def _check_source(connection: HTTPConnection, credential: Credential) -> None:
    if not same_origin(connection):
        raise forged(connection)
    if connection.scope["type"] == "websocket":
        if "origin" not in connection.headers:  # browsers always send it here, and it stands in for the CSRF token
            raise ForgedRequest("A websocket with a session cookie must say its Origin; scripts use a token instead")
        return
    if connection.scope["method"] in _SAFE:
        return
    sent = connection.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(sent.encode(), credential.csrf.encode()):
        raise ForgedRequest(
            f"The header {CSRF_HEADER} is missing or wrong, so this request may be forged; reload the page"
        )


async def require_session(caller: Annotated[Credential, Depends(identify)]) -> Credential:
    """A dependency that refuses tokens."""
    if caller.kind != "session":
        raise NotSignedIn("A token has no password; sign in as a person")
    return caller


#: For routes that use the credential.
Person = Annotated[Credential, Depends(require_session)]
Operator = Annotated[Credential, Depends(require("operator"))]
Admin = Annotated[Credential, Depends(require("admin"))]

#: For routes that only need the role.
VIEWERS = [Depends(require("viewer"))]
ADMINS = [Depends(require("admin"))]
