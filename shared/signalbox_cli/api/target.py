"""Target of a command: the api's address and token, from options, the environment or the data folder."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from signalbox_cli.errors import Unreachable

#: Written by `signalbox setup` and `make up` into the data folder, for its owner only.
CLIENT_FILE = "client.json"


class Target(msgspec.Struct, frozen=True):
    """Address of the api, and the token for it."""

    url: str
    token: str = ""
    #: Where the address was found, in words.
    source: str = ""


class _ClientFile(msgspec.Struct, frozen=True):
    url: str
    token: str = ""


def find_target(url: str | None, token: str | None, environ: Mapping[str, str] = os.environ) -> Target:
    """The target from options, else `SIGNALBOX_URL`, else the data folder.

    The token of the data folder is sent to no other address than the one beside it.

    Raises:
        Unreachable: no address is given, and the data folder has none.
    """
    url = url or environ.get("SIGNALBOX_URL")
    token = token or environ.get("SIGNALBOX_TOKEN")
    path = Path(environ.get("SIGNALBOX_DATA") or ".signalbox") / CLIENT_FILE
    found = _read(path)
    if not url:
        if found is None:
            raise Unreachable(
                f"No running Signalbox found: there is no {path}. Run `signalbox setup` where the record is kept, or"
                " `make up` in a clone; else set SIGNALBOX_DATA to its data folder, or give --url and --token."
            )
        return Target(found.url.rstrip("/"), token or found.token, f"from {path}")
    url = _with_scheme(url.rstrip("/"))
    if not token and found is not None and found.url.rstrip("/") == url:
        token = found.token
    return Target(url, token or "", "as given")


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"http://{url}"


def _read(path: Path) -> _ClientFile | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_ClientFile)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise Unreachable(f"{path} cannot be read: {error}. Give --url and --token instead.") from error
