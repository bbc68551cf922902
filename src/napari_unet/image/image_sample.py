"""The sample of an image that its intensity limits come from, and what identifies it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import Normalization
from napari_unet.image.normalization import IntensityLimits, find_limits, sample_blocks
from napari_unet.image.source import ImageSource
from napari_unet.tiling import Region


@dataclass(frozen=True)
class ImageSample:
    """What the sample of an image tells.

    Attributes
    ----------
    limits : IntensityLimits
        Intensities that become 0 and 1.
    sha256 : str
        Of the sampled pixels of the whole image, whichever the normalisation.
    """

    limits: IntensityLimits
    sha256: str


def look_at_sample(source: ImageSource, normalization: Normalization) -> ImageSample:
    """Limits and hash of an image; where both come from the same pixels they are read once.

    Raises
    ------
    InputError, SettingsError
        As `napari_unet.image.normalization.find_limits` does.
    """
    noting = _Noting(**{each.name: getattr(source, each.name) for each in fields(source)})
    limits = find_limits(noting, normalization)
    if normalization.mode == "percentile" and limits.scope == "image":
        return ImageSample(limits, noting.digest.hexdigest())
    # other samples, or none
    noting = _Noting(**{each.name: getattr(source, each.name) for each in fields(source)})
    for _ in sample_blocks(noting):
        pass
    return ImageSample(limits, noting.digest.hexdigest())


@dataclass(frozen=True)
class _Noting(ImageSource):
    """An image that hashes what is read of it."""

    digest: Any = field(default_factory=hashlib.sha256)

    def read(self, time: int, region: Region) -> NDArray[Any]:
        pixels = super().read(time, region)
        self.digest.update(np.ascontiguousarray(pixels).data)
        return pixels
