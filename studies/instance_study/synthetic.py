"""Label images of shapes that are hard for one representation or another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Labels = NDArray[np.int32]


def cases() -> dict[str, Labels]:
    """The synthetic cases by name."""
    return {
        "elongated": elongated(),
        "branched": branched(),
        "rings": rings(),
        "rings with an object inside": rings(inner=True),
        "tiny": tiny(),
        "touching discs": discs((400, 400)),
    }


def discs(
    shape: tuple[int, ...], spacing: float = 19.0, radius: float = 11.0, seed: int = 0
) -> Labels:
    """Discs or balls on a shaken grid, in contact; contested pixels go to the nearest centre."""
    rng = np.random.default_rng(seed)
    axes = [np.arange(spacing / 2, n, spacing) for n in shape]
    centres = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(shape))
    centres = centres + rng.uniform(-2.5, 2.5, centres.shape)
    radii = radius * rng.uniform(0.75, 1.1, len(centres))
    out = np.zeros(shape, np.int32)
    nearest = np.full(shape, np.inf, np.float32)
    reach = int(radius * 1.1) + 2
    for i, (centre, size) in enumerate(zip(centres, radii, strict=True), start=1):
        box = tuple(
            slice(max(0, int(c) - reach), min(n, int(c) + reach + 1))
            for c, n in zip(centre, shape, strict=True)
        )
        grid = np.ogrid[box]
        far = np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)))
        won = (far <= size) & (far < nearest[box])
        nearest[box][won] = far[won]
        out[box][won] = i
    return out


def elongated() -> Labels:
    """Rods of width 7 and length 90: pairs side by side, end to end, and at an angle."""
    out = np.zeros((260, 300), np.int32)
    out[20:27, 20:110], out[27:34, 20:110] = 1, 2
    out[60:67, 20:110], out[60:67, 110:200] = 3, 4
    out[90:97, 20:110], out[97:187, 60:67] = 5, 6
    grid = np.mgrid[0:260, 0:300]
    for i, shift in enumerate((0.0, 7.0, 14.0), start=7):
        across = (grid[0] - 170) * 0.8 - (grid[1] - 200) * 0.6 - shift
        along = (grid[0] - 170) * 0.6 + (grid[1] - 200) * 0.8
        out[(np.abs(across) <= 3.5) & (np.abs(along) <= 45)] = i
    out[220:223, 20:280] = 10  # a filament
    return out


def branched() -> Labels:
    """Stars with three to six arms, some of which touch a neighbour."""
    out = np.zeros((300, 300), np.int32)
    grid = np.mgrid[0:300, 0:300]
    number = 0
    for y in (60, 146, 232):
        for x in (60, 146, 232):
            number += 1
            star = np.hypot(grid[0] - y, grid[1] - x) < 8
            arms = 3 + number % 4
            for arm in range(arms):
                angle = 2 * np.pi * arm / arms + 0.3 * number
                along = (grid[0] - y) * np.sin(angle) + (grid[1] - x) * np.cos(angle)
                across = (grid[0] - y) * np.cos(angle) - (grid[1] - x) * np.sin(angle)
                star |= (along > 0) & (along < 46) & (np.abs(across) < 3.5)
            out[star & (out == 0)] = number
    return _whole(out)


def rings(*, inner: bool = False) -> Labels:
    """Rings of several widths; ``inner`` fills half of each hole with an object of its own."""
    out = np.zeros((220, 330), np.int32)
    grid = np.mgrid[0:220, 0:330]
    number = 0
    for y, widths in ((55, (4, 8, 14)), (160, (4, 8, 14))):
        for x, width in zip((55, 160, 265), widths, strict=True):
            far = np.hypot(grid[0] - y, grid[1] - x)
            number += 1
            out[(far <= 40) & (far > 40 - width)] = number
            if inner:  # in the second row it touches the ring
                number += 1
                out[far <= (40 - width if y > 100 else 15)] = number
    return out


def tiny() -> Labels:
    """Objects of one to four pixels; every third pair touches."""
    out = np.zeros((120, 120), np.int32)
    shapes = (
        np.ones((1, 1)),
        np.ones((1, 2)),
        np.ones((2, 1)),
        np.array([[1, 1], [1, 0]]),
        np.ones((2, 2)),
    )
    number = 0
    for y in range(4, 112, 8):
        for x in range(4, 112, 8):
            shape = shapes[number % len(shapes)].astype(bool)
            number += 1
            h, w = shape.shape
            out[y : y + h, x : x + w][shape] = number
            if number % 3 == 0:
                number += 1
                out[y : y + 1, x + w : x + w + 2] = number
    return _whole(out)


def _whole(labels: Labels) -> Labels:
    """Each object's largest piece alone, numbered from 1."""
    out = np.zeros_like(labels)
    for number, value in enumerate(np.unique(labels[labels > 0]), start=1):
        parts, _ = ndimage.label(labels == value)
        largest = np.argmax(np.bincount(parts.ravel())[1:]) + 1
        out[parts == largest] = number
    return out
