"""Checks of examples before a training: what would fail, and what is probably a mistake."""

from napari_unet.checks.finding import Finding
from napari_unet.checks.run import check_examples

__all__ = ["Finding", "check_examples"]
