"""Checks of examples before a training: what would fail, and what is probably a mistake."""

from napari_unet.example_checks.checking import check_examples
from napari_unet.example_checks.finding import Finding

__all__ = ["Finding", "check_examples"]
