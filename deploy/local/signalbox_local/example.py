"""Sending tasks to the example application of a run that is up: only the run knows where its stores are."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from signalbox_local.errors import LocalError
from signalbox_local.plan import ROOT
from signalbox_local.secret import write_private


def place(data: Path) -> Path:
    """The file that tells where the example's tasks wait; it is there while the run is up."""
    return data / "example.json"


def tell(data: Path, shop: Mapping[str, str]) -> None:
    """Write it; only its owner can read it, as the addresses bear passwords."""
    write_private(place(data), json.dumps(dict(shop)))


def send(data: Path, arguments: Sequence[str]) -> None:
    """Become `python -m shop …`; does not return.

    Raises:
        LocalError: nothing is up there.
    """
    try:
        shop = json.loads(place(data).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LocalError(f"nothing is up in {data}: start it with `make up`, and leave that open") from None
    os.chdir(ROOT / "examples")
    os.execve(sys.executable, [sys.executable, "-m", "shop", *arguments], os.environ | shop)  # noqa: S606 - ourselves
