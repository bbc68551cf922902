"""The command that repeats a record, for what no other command has options for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from napari_unet.io.atomic import atomic_path
from napari_unet.io.record import encode_record
from napari_unet.replay.source_code import quote
from napari_unet.state import state_folder

MOST_CHARACTERS = 8_000  # of a record in a command line; a shell of Windows takes 8,191


def run_command(record: Mapping[str, Any], output: str) -> str:
    """``napari-unet run`` with a record as a text, or as a file where it is long."""
    import json

    text = json.dumps(record, ensure_ascii=False)
    if len(text) <= MOST_CHARACTERS // 2:
        return quote(["napari-unet", "run", text, "-o", output])
    data = encode_record(record)
    name = f"{record.get('operation', 'run')}-{hashlib.sha256(data).hexdigest()[:12]}.json"
    path = state_folder() / "arrays" / name
    with atomic_path(path) as part:
        part.write_bytes(data)
    return quote(["napari-unet", "run", str(path), "-o", output])
