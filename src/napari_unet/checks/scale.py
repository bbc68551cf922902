"""Whether sizes fit: of pixels, and of objects beside the base model and what it sees."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from napari_unet.card import ModelCard
from napari_unet.checks.finding import Report
from napari_unet.dataset.label_statistics import LabelStatistics
from napari_unet.dataset.labelled_image import LabelledImage
from napari_unet.dataset.properties import common_pixel_size, median_diameter
from napari_unet.image.source import ImageSource
from napari_unet.network.architecture import DataProperties, propose_architecture
from napari_unet.settings import TrainConfig
from napari_unet.unet_config import UNetConfig

UNEQUAL = 1.5  # ratio of pixel sizes
FAR = 2.0  # ratio of diameters that augmentation does not make up for


def compare_pixel_sizes(
    report: Report, sources: Sequence[ImageSource], ndim: int, base: ModelCard | None
) -> None:
    """Compare the pixel sizes of images with one another, and with that of the base."""
    for axis, name in enumerate("zyx"[-ndim:]):
        sizes = [s.pixel_size[-ndim:][axis] for s in sources]
        known = [size for size in sizes if size is not None]
        if known and max(known) > UNEQUAL * min(known):
            report.doubt(
                "pixel-sizes-differ",
                None,
                "image",
                f"The pixel sizes of the images differ: from {min(known):g} to {max(known):g} µm "
                f"along {name}.",
                "Check them; bring the images to one scale, or train a model for each.",
            )
            return
    own = common_pixel_size(sources, ndim)
    theirs = base.pixel_size if base is not None else None
    if base is None or own is None or theirs is None or base.object_diameter is not None:
        return
    ratio = math.prod(own) ** (1 / ndim) / math.prod(theirs) ** (1 / ndim)
    if not 1 / FAR < ratio < FAR:
        report.doubt(
            "pixel-size-unlike-base",
            None,
            "base",
            f"The pixels are {ratio:.2g} times as large as those that the base model "
            f"{base.name!r} was trained on.",
            f"Scale the images by {ratio:.2g}, choose another base, or train longer.",
        )


def check_diameter(
    report: Report,
    examples: Sequence[tuple[LabelledImage, LabelStatistics]],
    ndim: int,
    base: ModelCard | None,
    config: TrainConfig,
) -> None:
    """Compare the size of the objects with those of the base, and with what the network sees."""
    diameter = median_diameter(examples, ndim)
    if diameter is None:
        return
    usual = base.object_diameter if base is not None else None
    if base is not None and usual is not None and not 1 / FAR < diameter / usual < FAR:
        report.doubt(
            "objects-unlike-base",
            None,
            "base",
            f"The objects are about {diameter:.3g} pixels across, those of the base model "
            f"{base.name!r} were about {usual:.3g}.",
            f"Scale the images by {usual / diameter:.2g}, choose another base, or train longer.",
        )
    facts = DataProperties(
        ndim=ndim,
        shapes=tuple(labelled.shape[-ndim:] for labelled, _ in examples),
        pixel_size=common_pixel_size([labelled.source for labelled, _ in examples], ndim),
        object_diameter=diameter,
    )
    field = base.architecture.receptive_field if base is not None else _proposed(facts, config)
    across = facts.extents or ()
    shares = [e / 2 / r for e, r in zip(across, field, strict=True)]
    if max(shares) > 1:
        axis = int(np.argmax(shares))
        report.doubt(
            "objects-exceed-view",
            None,
            "labels" if base is None else "base",
            f"The objects are about {across[axis]:.3g} pixels across, but the network judges a "
            f"pixel by what lies within {field[axis]} pixels of it.",
            f"Scale the images by {1 / max(shares):.2g} or less, or train a new network with more "
            "levels (⟨features⟩).",
        )


def _proposed(facts: DataProperties, config: TrainConfig) -> tuple[int, ...]:
    """What a new network would see: pixels to each side."""
    features = config.features if "features" in config.model_fields_set else None
    strides = config.strides or None
    patch = config.patch if config.patch and len(config.patch) == facts.ndim else None
    proposal = propose_architecture(facts, features=features, strides=strides, patch=patch)
    return UNetConfig(
        ndim=2 if facts.ndim == 2 else 3,
        features=proposal.features,
        strides=proposal.strides,
        upsampling=config.upsampling,
    ).receptive_field
