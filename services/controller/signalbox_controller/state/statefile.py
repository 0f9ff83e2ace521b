"""Small files that are either the old or the new, never half of both."""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from signalbox_controller.errors import StateUnreadable

T = TypeVar("T")


def write(path: Path, value: object, *, durable: bool) -> None:
    """Replace the file at once; `durable` waits until the disk has it (milliseconds), so that a power cut keeps it."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(value), indent=2))
        if durable:
            file.flush()
            os.fsync(file.fileno())
    fresh.replace(path)
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder, too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path, shape: type[T], otherwise: T, meaning: str) -> T:
    """What the file holds, or `otherwise` when there is none.

    Raises:
        StateUnreadable: it is damaged; `meaning` says what deleting it would forget.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except FileNotFoundError:
        return otherwise
    except (msgspec.DecodeError, OSError) as error:
        raise StateUnreadable(
            f"{path} cannot be read ({error}); restore it, or delete it, which forgets {meaning}"
        ) from error
