"""Images that show the same pixels, up to a shift and a little noise.

`skimage.feature.match_template` looks for a part of one image in the other one: with the middle
0.6 of a thumbnail it misses shifts by more than a fifth of the image, which are found here, and
takes 1.6 ms a pair of images instead of 1.0 ms.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from napari_unet.checks.sampling import around
from napari_unet.image.source import ImageSource

WINDOW = (512, 512)  # pixels about the middle of an image that stand for it
THUMBNAIL = 48  # pixels along the shorter side of a thumbnail
CANDIDATE, SAME = 0.85, 0.95  # correlations; those of 7140 pairs of other images: below 0.8
OVERLAP = 0.5  # of the smaller image, in which both are compared

Picture = NDArray[np.float32]
Shape = tuple[int, int]


def find_near_copies(
    sources: Mapping[int, ImageSource], pairs: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Find pairs of images that show nearly the same pixels.

    Compared are the planes in the middle, in a window about their centre: by the highest
    normalised cross-correlation of thumbnails over all shifts that leave half of the smaller
    one in common, with the sums over the common part of each shift (Lewis 1995, "Fast
    normalized cross-correlation"; Padfield 2012 for the part in common). What looks alike
    is compared at a finer resolution.

    Parameters
    ----------
    sources : mapping of int to ImageSource
        The images, by index.
    pairs : iterable of (int, int)
        Indices of those to compare.

    Yields
    ------
    (int, int)
        A pair that shows the same; at most one for each second index.
    """
    window = functools.cache(lambda index: _middle(sources[index]))
    thumbnail = functools.cache(lambda index, factor: _shrink(window(index), factor))

    @functools.cache
    def side(index: int, factor: int, other: Shape, *, first: bool) -> _Correlated:
        return _Correlated.of(thumbnail(index, factor), other, first=first)

    found = set()
    for i, j in pairs:
        if j in found:
            continue
        a, b = window(i), window(j)
        factor = max(1, min(*a.shape, *b.shape) // THUMBNAIL)
        small = _shape(thumbnail(i, factor)), _shape(thumbnail(j, factor))
        left = side(i, factor, small[1], first=True)
        if left.best(side(j, factor, small[0], first=False)) < CANDIDATE:
            continue
        # smoothed, as noise would outweigh what both show
        fine = 1 if factor <= 4 else 2
        a, b = (_shrink(ndimage.uniform_filter(w, 3), fine) for w in (a, b))
        left, right = (
            _Correlated.of(a, _shape(b), first=True),
            _Correlated.of(b, _shape(a), first=False),
        )
        if left.best(right) >= SAME:
            found.add(j)
            yield i, j


@dataclass(frozen=True, eq=False)
class _Correlated:
    """An image beside another one of a known shape, at all shifts.

    Attributes
    ----------
    spectrum : array
        Its Fourier transform, padded.
    count : array
        Pixels that both have in common at each shift.
    total, spread : array
        Its sum, and its summed squares about the mean, over these pixels.
    smallest : int
        Pixels of the smaller one.
    """

    spectrum: NDArray[np.complexfloating]
    count: Picture
    total: Picture
    spread: Picture
    smallest: int

    @classmethod
    def of(cls, image: Picture, other: Shape, *, first: bool) -> _Correlated:
        """Of an image that is the first or the second of the two."""
        size = [
            fft.next_fast_len(m + n - 1, real=True) for m, n in zip(image.shape, other, strict=True)
        ]
        ones = fft.rfft2(np.ones(other, np.float32), size)

        def common(values: Picture) -> tuple[NDArray[np.complexfloating], Picture]:
            mine = fft.rfft2(values, size)
            return mine, fft.irfft2(mine * ones.conj() if first else ones * mine.conj(), size)

        deviation = float(image.std())
        image = np.asarray((image - image.mean()) / (deviation or 1), np.float32)
        count = np.maximum(np.rint(common(np.ones_like(image))[1]), 1)
        spectrum, total = common(image)
        spread = np.asarray(common(image**2)[1] - total**2 / count, np.float32)
        return cls(spectrum, count, total, spread, min(image.size, other[0] * other[1]))

    def best(self, second: _Correlated) -> float:
        """The highest correlation with the other image, over all shifts."""
        both = fft.irfft2(self.spectrum * second.spectrum.conj(), self._size())
        both -= self.total * second.total / self.count
        # an empty corner correlates with anything
        usable = self.count >= OVERLAP * self.smallest
        for side in (self, second):
            usable &= side.spread > 0.05 * side.count
        root = np.sqrt(self.spread[usable] * second.spread[usable])
        return float(np.max(both[usable] / root, initial=-1.0))

    def _size(self) -> Shape:
        return _shape(self.count)


def _middle(source: ImageSource) -> Picture:
    """A window about the centre of the middle plane and time point, the mean of the channels."""
    shape = source.spatial_shape
    sizes = (1, *WINDOW) if len(shape) == 3 else WINDOW
    part = around(shape, [n // 2 for n in shape], sizes)
    pixels = source.read(source.times // 2, part).mean(axis=0, dtype=np.float32)
    pixels = pixels[0] if len(shape) == 3 else pixels
    # infinities are told of elsewhere
    return np.asarray(np.nan_to_num(pixels, posinf=0, neginf=0), np.float32)


def _shrink(image: Picture, factor: int) -> Picture:
    """Means of blocks; what is left over at the ends is dropped."""
    rows, columns = (n // factor for n in image.shape)
    blocks = image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _shape(image: Picture) -> Shape:
    return int(image.shape[0]), int(image.shape[1])
