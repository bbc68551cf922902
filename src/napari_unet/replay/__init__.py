"""Runs that are repeated from their records, or told as Python and as commands."""

from napari_unet.replay.run import run

__all__ = ["run"]
