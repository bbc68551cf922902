"""Random strokes inside classes or objects, as somebody paints who does not label everything.

The strokes are the line scribbles of Wong et al. 2024 (ScribblePrompt, ECCV): a line between two
random pixels of a region, bent by a smooth random displacement, and cut to the region. They do
not follow skeletons or outlines. As a brush leaves one mark, only the piece around the first
pixel is kept; as nobody draws across the whole image, lines are at most ``longest`` pixels long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BEND = (1.0, 6.0)  # largest displacement of a stroke, in pixels, drawn from this range
FUTILE_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class Scribbles:
    """What was painted.

    Attributes
    ----------
    labels : (Y, X) int32 array
        0 where nothing was painted. Instances: the object's own label, and ``background`` on the
        background. Classes: the class value plus 1.
    background : int or None
        The label that means background (instances).
    strokes : list of (class, array of int)
        In the order of painting: the class (instances: 0 background, 1 objects) and the
        flat indices of the pixels.
    share : float
        Painted pixels over all pixels.
    """

    labels: NDArray[np.int32]
    background: int | None
    strokes: list[tuple[int, NDArray[np.intp]]]
    share: float


def paint(
    labels: NDArray[Any],
    share: float,
    seed: int | list[int],
    *,
    instances: bool,
    width: int = 3,
    longest: int = 40,
) -> Scribbles:
    """Paint rounds of one stroke per class until about a share of the pixels is painted.

    Parameters
    ----------
    labels : (Y, X) int array
        The truth: objects with 0 as background, or classes.
    share : float
        Of the pixels, 0 to 1. The number of rounds that comes nearest is taken, at least one.
    seed : int or list of int
        Equal seeds paint equal strokes.
    instances : bool
        True: the classes are background and objects, and a stroke stays in one object; objects
        take turns. False: every value is a class.
    width, longest : int
        Width of a stroke, and largest distance of its ends, in pixels.

    Returns
    -------
    Scribbles
    """
    rng = np.random.default_rng(seed)
    places = _places(labels)
    if instances:
        background = int(labels.max(initial=0)) + 1
        groups = {0: [v for v in places if v == 0], 1: [v for v in places if v != 0]}
        marks = {value: value or background for value in places}
    else:
        background = None
        groups = {value: [value] for value in places}
        marks = {value: value + 1 for value in places}
    turns = {name: _Turns(values, rng) for name, values in groups.items() if values}
    painted = np.zeros(labels.shape, np.int32)
    strokes: list[tuple[int, NDArray[np.intp]]] = []
    done, futile = 0, 0
    while futile < FUTILE_ROUNDS:
        before = painted.copy()
        added = []
        for name, turn in turns.items():
            value = turn.take()
            pixels = _stroke(labels, value, places[value], rng, width, longest)
            painted.flat[pixels] = marks[value]
            added.append((name, pixels))
        count = int(np.count_nonzero(painted))
        wanted = share * labels.size
        if strokes and count - wanted > wanted - done:  # the round before was nearer
            painted = before
            break
        futile = futile + 1 if count == done else 0
        done = count
        strokes += added
        if count >= wanted:
            break
    return Scribbles(painted, background, strokes, done / labels.size)


class _Turns:
    """Values in random order, each once before any comes again."""

    def __init__(self, values: list[int], rng: np.random.Generator) -> None:
        self.values, self.rng = values, rng
        self.queue: list[int] = []

    def take(self) -> int:
        if not self.queue:
            self.queue = [int(v) for v in self.rng.permutation(self.values)]
        return self.queue.pop()


def _places(labels: NDArray[Any]) -> dict[int, NDArray[np.intp]]:
    """Flat indices of the pixels of each value."""
    order = np.argsort(labels, axis=None, kind="stable")
    values, first = np.unique(labels.ravel()[order], return_index=True)
    return {int(v): part for v, part in zip(values, np.split(order, first[1:]), strict=True)}


def _stroke(
    labels: NDArray[Any],
    value: int,
    places: NDArray[np.intp],
    rng: np.random.Generator,
    width: int,
    longest: int,
) -> NDArray[np.intp]:
    """Flat indices of the pixels of one stroke in a region."""
    start = np.array(np.unravel_index(places[rng.integers(places.size)], labels.shape))
    reach = longest + int(BEND[1]) + width
    low = np.maximum(start - reach, 0)
    window = tuple(slice(int(a), int(b)) for a, b in zip(low, start + reach + 1, strict=True))
    region = labels[window] == value
    first = start - low
    pixels = np.argwhere(region)
    pixels = pixels[((pixels - first) ** 2).sum(1) <= longest**2]
    path = _bent_line(first, pixels[rng.integers(len(pixels))], rng)
    path = (path[:, None] + _disc((width - 1) / 2)).reshape(-1, 2)
    path = path[((path >= 0) & (path < region.shape)).all(1)]
    corner, end = path.min(0), path.max(0) + 1
    thick = np.zeros(end - corner, bool)
    thick[tuple((path - corner).T)] = True
    thick &= region[tuple(slice(a, b) for a, b in zip(corner, end, strict=True))]
    pieces, _ = ndimage.label(thick, np.ones((3, 3)))
    own = np.argwhere(pieces == pieces[tuple(first - corner)]) + corner + low
    return np.asarray(np.ravel_multi_index(tuple(own.T), labels.shape))


def _disc(radius: float) -> NDArray[np.intp]:
    """Offsets of the pixels of a disc."""
    reach = int(radius)
    offsets = np.argwhere(np.ones((2 * reach + 1,) * 2)) - reach
    return np.asarray(offsets[(offsets**2).sum(1) <= radius**2])


def _bent_line(
    first: NDArray[np.intp], last: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Pixels of a line between two pixels, moved aside by smooth noise that ends at 0."""
    length = float(np.linalg.norm(last - first))
    count = 2 * int(np.ceil(length)) + 1
    t = np.linspace(0, 1, count)[:, None]
    noise = ndimage.gaussian_filter1d(rng.standard_normal((count, 2)), max(count / 8, 1), axis=0)
    noise = noise * np.sin(np.pi * t)
    largest = float(np.abs(noise).max())
    bend = min(rng.uniform(*BEND), length / 3)
    if largest > 0:
        noise *= bend / largest
    path: NDArray[np.intp] = np.rint(first + t * (last - first) + noise).astype(np.intp)
    path[0] = first
    return path
