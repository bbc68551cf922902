"""The folder in which the program keeps its state: recovery data and the log of errors."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """The platform's folder for the state of programs, or NAPARI_UNET_STATE."""
    from platformdirs import user_state_path

    override = os.environ.get("NAPARI_UNET_STATE")
    return Path(override) if override else user_state_path("napari-unet", appauthor=False)
