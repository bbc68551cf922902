"""The command line: ``napari-unet``."""

from __future__ import annotations

from napari_unet.cli.main import main

__all__ = ["main"]
