"""Sample images that come with the package, with their truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_unet.errors import InputError

FOLDER = Path(__file__).parent / "data"


@dataclass(frozen=True, eq=False)
class Sample:
    """A real image and what is in it.

    Attributes
    ----------
    name : str
        Name of the sample.
    path : Path
        The image file.
    image : array
        Axes as in ``axes``.
    truth : array
        Instance labels with the same axes.
    axes : str
        "YX" or "ZYX".
    source : str
        Where it comes from, and its licence.
    """

    name: str
    path: Path
    image: NDArray[Any]
    truth: NDArray[Any]
    axes: str
    source: str


_SOURCES = {
    "nuclei_2d": ("YX", "2018 Data Science Bowl, BBBC038 (CC0 1.0)"),
    "nuclei_3d": ("ZYX", "StarDist 0.9.2 (BSD-3-Clause)"),
}


def sample_names() -> tuple[str, ...]:
    """Names for `load_sample`.

    >>> sample_names()
    ('nuclei_2d', 'nuclei_3d')
    """
    return tuple(_SOURCES)


def load_sample(name: str) -> Sample:
    """Load a sample image.

    Raises
    ------
    InputError
        If there is no sample of that name.

    Examples
    --------
    >>> load_sample("nuclei_3d").image.shape
    (31, 61, 57)
    """
    import tifffile

    if name not in _SOURCES:
        raise InputError(f"There is no sample {name!r}; there are {', '.join(_SOURCES)}.")
    axes, source = _SOURCES[name]
    path = FOLDER / f"{name}.tif"
    truth = tifffile.imread(FOLDER / f"{name}_truth.tif")
    return Sample(name, path, tifffile.imread(path), truth, axes, source)
