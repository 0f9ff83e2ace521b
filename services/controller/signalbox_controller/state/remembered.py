"""Remembered values: in memory and in small files, each of which holds the old value or the new, never half of both."""

import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from signalbox_controller.errors import StateUnreadable

log = logging.getLogger(__name__)

T = TypeVar("T")
V = TypeVar("V")


class Remembered(Generic[T]):
    """A value that survives a restart of the controller."""

    def __init__(
        self, path: Path, shape: type[T], default: T, meaning: str, *, durable: bool = False, private: bool = False
    ) -> None:
        """Read the file; without one the value is `default`.

        Args:
            path: the file, as JSON.
            shape: the type of the value.
            default: the value of a controller that has no file yet.
            meaning: what is forgotten without the file, in words.
            durable: whether the value survives a power cut, too: a write then waits for the disk (milliseconds).
            private: whether only the controller's own user may read the file, as it holds other people's variables.

        Raises:
            StateUnreadable: the file is damaged.
        """
        self._path = path
        self._meaning = meaning
        self._durable = durable
        self._private = private
        try:
            self.value = msgspec.json.decode(path.read_bytes(), type=shape, dec_hook=_decoded)
        except FileNotFoundError:
            self.value = default
        except (msgspec.DecodeError, OSError) as error:
            raise StateUnreadable(
                f"{path} cannot be read ({error}); restore it, or delete it, which forgets {meaning}"
            ) from error

    def set(self, value: T) -> None:
        """Replace the value, in memory and on disk."""
        self.value = value
        self.save()

    def save(self) -> None:
        """Write the value after it was changed in place; a full disk is logged."""
        write(self._path, self.value, self._meaning, durable=self._durable, private=self._private)


class RememberedTable(Remembered[dict[str, V]]):
    """Remembered values by key; a subclass says which."""

    #: See `Remembered`.
    shape: type[dict[str, V]]
    meaning: str
    durable = private = False

    def __init__(self, path: Path) -> None:
        """Read the file; without one the table is empty.

        Raises:
            StateUnreadable: the file is damaged.
        """
        super().__init__(path, self.shape, {}, self.meaning, durable=self.durable, private=self.private)

    def note(self, key: str, value: V) -> None:
        """Add or replace the value of a key."""
        self.value[key] = value
        self.save()

    def forget(self, key: str) -> None:
        """Remove a key, if it is there."""
        if self.value.pop(key, None) is not None:
            self.save()

    def rename(self, names: Mapping[str, str]) -> None:
        """Keep the values of these keys under other ones, all at once."""
        value = {names.get(key, key): value for key, value in self.value.items()}
        if value != self.value:
            self.set(value)


def write(path: Path, value: object, meaning: str, *, durable: bool = False, private: bool = False) -> None:
    """Replace a file in one step; a failure is logged, as a full disk must keep nobody from starting or stopping."""
    try:
        text = msgspec.json.format(msgspec.json.encode(value, enc_hook=_encoded), indent=2)
        replace_file(path, text, durable=durable, private=private)
    except OSError as error:
        log.error("%s cannot be written: %s; a restart may forget %s", path, error, meaning)  # noqa: TRY400


def _encoded(value: object) -> str:
    """The form on disk of what JSON has no form for."""
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value)} has no form on disk")


def _decoded(shape: type, value: object) -> object:
    """The reverse of `_encoded`."""
    if shape is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"{shape} has no form on disk")


def replace_file(path: Path, content: bytes, *, durable: bool, private: bool = False) -> None:
    """Replace a file in one step; with `durable`, return when the disk has it.

    Raises:
        OSError: it cannot be written; the old file stays.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)  # one that a crash left there may have another mode
    with open(fresh, "wb", opener=partial(os.open, mode=0o600 if private else 0o666)) as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    fresh.replace(path)
    if durable:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
