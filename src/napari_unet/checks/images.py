"""Whether the image of an example can be learned from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import ModelCard, Normalization
from napari_unet.checks.finding import Report
from napari_unet.errors import Note
from napari_unet.image.normalization import find_limits, sample_blocks
from napari_unet.image.source import ImageSource

KEPT = 1 << 14  # pixels of a block whose spread is looked at
DIM, GLARING = 0.2, 5.0  # brightest pixels, where those of the training were at about 1


def check_image(
    report: Report,
    index: int,
    source: ImageSource,
    normalization: Normalization,
    base: ModelCard | None,
) -> None:
    """Look at a sample of the pixels of one image.

    Only a fixed range of intensities can be compared with that of a base model: percentiles
    bring every image to the same range, and cards do not tell whether objects were bright or
    dark.
    """
    with report.errors_of("image-unusable", index, "image"):
        found = find_limits(source, normalization)
        limits = found.at() if normalization.mode == "range" else None
        lowest, highest, sample = _spread(source)
        for channel, (low, high) in enumerate(zip(lowest, highest, strict=True)):
            name = f"Channel {channel} of the image" if len(lowest) > 1 else "The image"
            if low == high:
                report.doubt(
                    "image-constant",
                    index,
                    "image",
                    f"{name} is constant: every pixel looked at has the value {low:g}.",
                    "Choose another image, or other channels.",
                )
            elif limits is not None:
                _check_range(report, index, name, sample[channel], limits[channel], base)


def _spread(
    source: ImageSource,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Smallest and largest value of each channel, and some of its pixels."""
    lowest, highest, parts = [], [], []
    for block in sample_blocks(source):
        pixels = block.reshape(len(block), -1)
        if block.dtype.kind == "f":
            pixels = pixels[:, np.isfinite(pixels).all(0)]
            if not pixels.size:
                continue
        lowest.append(pixels.min(1))
        highest.append(pixels.max(1))
        parts.append(pixels[:, :: max(1, pixels.shape[1] // KEPT)].astype(np.float64))
    low, high = np.min(lowest, axis=0), np.max(highest, axis=0)
    return low.astype(np.float64), high.astype(np.float64), np.concatenate(parts, axis=1)


def _check_range(
    report: Report,
    index: int,
    name: str,
    pixels: NDArray[np.float64],
    limits: tuple[float, float],
    base: ModelCard | None,
) -> None:
    low, high = limits
    darkest, brightest = np.percentile(pixels, (1.0, 99.8))
    if DIM <= (brightest - low) / (high - low) <= GLARING:
        return
    whose = f"the base model {base.name!r} works on" if base else "the settings name"
    report.doubt(
        "intensity-range",
        index,
        "image",
        f"{name} has intensities from {darkest:g} to {brightest:g}, far from the range {low:g} to "
        f"{high:g} that {whose}.",
        "Bring the intensities to that range, or take a model that is normalised by percentiles.",
    )


def report_axes_doubt(report: Report, index: int, doubt: Note | None) -> None:
    """Tell where the axes were guessed and could be others."""
    if doubt is not None:
        report.doubt(
            "axes-guessed",
            index,
            "image",
            doubt.text.as_sentence(),
            doubt.remedy.as_sentence(),
        )
