"""Secrets: generated passwords and keys, each in a file that only its owner can read."""

import os
import secrets
from pathlib import Path


def secret(folder: Path, name: str) -> str:
    """The secret called `name`; generated at the first call, then constant.

    Concurrent callers get the same one: the file appears whole or not at all.
    """
    path = folder / "secrets" / name
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{name}.{os.getpid()}")
        write_private(draft, secrets.token_urlsafe(24))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def is_known(folder: Path, name: str) -> bool:
    """Whether there is a secret called `name` already."""
    return (folder / "secrets" / name).exists()


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600 from its first byte on; replaces an existing one atomically."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
