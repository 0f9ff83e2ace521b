"""Publisher of the contract: `make protocol` writes its documents into docs/protocol."""

import json
import sys
from pathlib import Path

from signalbox_protocol.asyncapi import asyncapi_document
from signalbox_protocol.json_schema import schema_document


def documents() -> dict[str, str]:
    """Each published file by its name, with its text."""
    found = {"asyncapi.json": asyncapi_document(), "messages.schema.json": schema_document()}
    return {name: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for name, document in found.items()}


def write(folder: Path) -> None:
    """Write the documents into `folder`, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m signalbox_protocol FOLDER")
    write(Path(sys.argv[1]))
