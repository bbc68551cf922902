"""Sample images that come with the package, with their truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_unet.errors import InputError

FOLDER = Path(__file__).parent / "files"


@dataclass(frozen=True, eq=False)
class Sample:
    """An image and what is in it.

    Attributes
    ----------
    name : str
        Name of the sample.
    path : Path or None
        The image file; None where the image is made on demand.
    image : array
        uint8 or uint16, axes as in ``axes``.
    truth : array
        Instance labels, 0 for background, axes as in ``axes`` less C. Over time an object
        keeps its label.
    axes : str
        "YX", "YXC", "ZYX" or "TYX".
    source : str
        Where it comes from, and its licence.
    """

    name: str
    path: Path | None
    image: NDArray[Any]
    truth: NDArray[Any]
    axes: str
    source: str


_BOWL = "2018 Data Science Bowl, BBBC038 (CC0 1.0)"
_STORED = {
    "nuclei_2d": ("YX", _BOWL),
    "histology": ("YXC", _BOWL),
    "nuclei_3d": ("ZYX", "StarDist 0.9.2 (BSD-3-Clause)"),
}
_SERIES = "time_series"


def sample_names() -> tuple[str, ...]:
    """Names for `load_sample`.

    - ``nuclei_2d``: nuclei, fluorescence, one plane (YX), 123 objects.
    - ``histology``: nuclei, stained tissue in colour (YXC), 111 objects.
    - ``nuclei_3d``: nuclei, fluorescence, a stack (ZYX), 51 objects.
    - ``time_series``: nuclei that move and divide, 12 frames (TYX). It is synthetic
      (`napari_unet.samples.synthetic.make_time_series`), the others are real.

    >>> sample_names()
    ('nuclei_2d', 'histology', 'nuclei_3d', 'time_series')
    """
    return (*_STORED, _SERIES)


def load_sample(name: str) -> Sample:
    """Load a sample image, or make it where it is synthetic; always the same.

    Parameters
    ----------
    name : str
        One of `sample_names`.

    Raises
    ------
    InputError
        If there is no sample of that name.

    Examples
    --------
    >>> load_sample("nuclei_3d").image.shape
    (31, 61, 57)
    >>> sample = load_sample("histology")
    >>> sample.axes, sample.image.shape, sample.truth.shape
    ('YXC', (256, 320, 3), (256, 320))
    """
    if name == _SERIES:
        from napari_unet.samples.synthetic import make_time_series

        image, truth = make_time_series(seed=0)
        source = "synthetic, made by napari_unet.samples.synthetic.make_time_series (BSD-3-Clause)"
        return Sample(name, None, image, truth, "TYX", source)
    if name not in _STORED:
        raise InputError(f"There is no sample {name!r}", f"there are {', '.join(sample_names())}")
    import tifffile

    axes, source = _STORED[name]
    path = FOLDER / f"{name}.tif"
    truth = tifffile.imread(FOLDER / f"{name}_truth.tif")
    return Sample(name, path, tifffile.imread(path), truth, axes, source)
