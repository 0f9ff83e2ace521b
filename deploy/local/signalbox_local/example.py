"""Example application: sends it tasks, at the addresses that a run writes while it is up."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from signalbox_local.errors import LocalError
from signalbox_local.plan import ROOT
from signalbox_local.secret import write_private


def address_file(data: Path) -> Path:
    """The file with the addresses of the example's broker; it exists while the run is up."""
    return data / "example.json"


def write_addresses(data: Path, shop: Mapping[str, str]) -> None:
    """Write the addresses; only the owner can read the file, as they contain passwords."""
    write_private(address_file(data), json.dumps(dict(shop)))


def send(data: Path, arguments: Sequence[str]) -> None:
    """Replace this process by `python -m shop …`; does not return.

    Raises:
        LocalError: no run is up in `data`.
    """
    try:
        shop = json.loads(address_file(data).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LocalError(f"nothing is up in {data}: start it with `make up`, and leave that open") from None
    os.chdir(ROOT / "examples")
    os.execve(sys.executable, [sys.executable, "-m", "shop", *arguments], os.environ | shop)  # noqa: S606 - ourselves
