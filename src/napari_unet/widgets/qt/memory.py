"""Settings of a dock, kept between sessions in the user's configuration folder."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from napari_unet.errors import FileError
from napari_unet.io.atomic import atomic_path

logger = logging.getLogger(__name__)


def config_folder() -> Path:
    """The platform's configuration folder, or NAPARI_UNET_CONFIG."""
    from platformdirs import user_config_path

    override = os.environ.get("NAPARI_UNET_CONFIG")
    return Path(override) if override else user_config_path("napari-unet", appauthor=False)


def recall(dock: str) -> dict[str, Any]:
    """What a dock remembered; empty where there is nothing, or nothing legible."""
    try:
        found = json.loads((config_folder() / f"{dock}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(dock: str, values: dict[str, Any]) -> None:
    """Keep values for the next session; a folder that cannot be written is no fault."""
    try:
        with atomic_path(config_folder() / f"{dock}.json") as part:
            part.write_text(json.dumps(values, indent=1), encoding="utf-8")
    except FileError as error:
        logger.info("The settings were not kept: %s", error)
