"""Whether labels seem to be flipped or shifted against their image, by what the image shows.

In their place, borders of labels lie on edges or lines of the image; anywhere else they do so by
chance only. Labels are laid on windows of the image in other ways as well, and doubted where one
of these is much better. How often that is wrong: `studies/study_misplaced_labels.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from napari_unet.card import Task
from napari_unet.checks.finding import Report
from napari_unet.checks.sampling import around, sample_places
from napari_unet.dataset.label_placement import LabelPlacement
from napari_unet.dataset.label_statistics import LabelStatistics
from napari_unet.dataset.labelled_image import LabelledImage
from napari_unet.tiling import Region

WINDOW = (320, 320)  # pixels of a window, of which there are at most three
REACH_PIXELS = 40  # of the shifts that are tried; less in small images
NEAR_PIXELS = 4  # shifts below are no doubt: outlines are drawn inside or outside of edges
SAME_PIXELS = 1.5  # shifts up to this are taken as none
FLIP_REACH_PIXELS = 2  # that flipped labels may lie beside their place
LEAST_BORDER = 300  # pixels of borders, below which nothing is said
CLEAR = 7.0  # deviations by which the borders fit a place better than a place by chance
MARGIN = 0.65  # of that, which the place where the labels are does not reach
SMOOTHING_PIXELS, BROAD_PIXELS = 1.5, 3.0  # standard deviations of Gaussians

FLIPS = {
    "Y": "flipped upside down",
    "X": "flipped left to right",
    "YX": "turned by 180 degrees",
    "Z": "in the reverse order of planes",
    "T": "with rows and columns swapped",
    "TY": "turned by 90 degrees",
    "TX": "turned by 90 degrees",
    "TYX": "with rows and columns swapped, and turned by 180 degrees",
}
"""What is done to labels: axes that are reversed, after T for swapped rows and columns."""

Maps = NDArray[np.floating]


@dataclass(frozen=True)
class Fit:
    """How well borders of labels fit what an image shows, in robust standard deviations.

    Attributes
    ----------
    here, there : float
        Where the labels are; and at the best other place.
    flip : str
        How labels are flipped at that place, a key of `FLIPS`; empty: they are shifted.
    shift : (int, int)
        Rows and columns from where they are to there.
    """

    here: float
    there: float
    flip: str
    shift: tuple[int, int]

    @property
    def is_doubtful(self) -> bool:
        """Whether the other place is so much better that the labels' own is doubted."""
        return self.there > CLEAR and self.here < MARGIN * self.there


def check_place(
    report: Report, index: int, labelled: LabelledImage, seen: LabelStatistics, task: Task
) -> None:
    """Doubt labels that fit the image much better when they are flipped or shifted.

    Parameters
    ----------
    report : Report
        Takes the findings.
    index : int
        Of the example.
    labelled, seen : LabelledImage, LabelStatistics
        The example.
    task : str
        What is learned; the target of a regression has no borders.
    """
    if task == "regression" or not seen.known:
        return
    found = find_best_place(labelled, seen)
    if found is None or not found.is_doubtful:
        return
    rows, columns = found.shift
    moves = [
        f"{abs(n)} pixels {['up', 'left'][axis] if n < 0 else ['down', 'right'][axis]}"
        for axis, n in enumerate((rows, columns))
        if n
    ]
    how = FLIPS[found.flip] if found.flip else f"moved {' and '.join(moves)}"
    report.doubt(
        "labels-misplaced",
        index,
        "labels",
        f"The labels do not seem to lie on what the image shows: {how}, their borders would fit it "
        "much better.",
        "Look at the labels on the image, and mend their file or place; dismiss this if they are "
        "right.",
    )


def find_best_place(labelled: LabelledImage, seen: LabelStatistics) -> Fit | None:
    """Compare where labels lie with other places, in a few windows.

    Borders between labels are laid on maps of the edges and lines of the image. The mean of a map
    along the borders, over all shifts, has a peak where they fit; how high it is, in deviations of
    the other shifts, tells it from chance (a Fourier transform gives all shifts at once).

    Returns
    -------
    Fit or None
        None where there are too few borders, as of scribbles, to tell.
    """
    box = _box(labelled)
    shape = [part.stop - part.start for part in box]
    reach = min(REACH_PIXELS, min(shape[-2:]) // 4)
    if reach <= NEAR_PIXELS:
        return None
    flips = ["Y", "X", "YX"] + ["Z"] * (len(shape) == 3 and shape[0] > 1)
    flips += ["T", "TY", "TX", "TYX"] * (shape[-1] == shape[-2])
    side = 2 * FLIP_REACH_PIXELS + 1
    sums: Maps = np.zeros((4, 2 * reach + 1, 2 * reach + 1))
    flipped: dict[str, Maps] = {flip: np.zeros((4, side, side)) for flip in flips}
    counts = dict.fromkeys(["", *flips], 0)
    for time, whole in sample_places(labelled, seen):
        part = _inside(_middle(labelled.shape, whole), box)
        if min(p.stop - p.start for p in part[-2:]) <= 2 * reach:
            continue
        maps = _map_structure(labelled.read_image(time, part))
        border = _find_borders(labelled, time, part, box, "")
        counts[""] += int(np.count_nonzero(border))
        sums += _sum_all_shifts(border, maps, reach)
        for flip in flips:
            border = _find_borders(labelled, time, part, box, flip)
            counts[flip] += int(np.count_nonzero(border))
            flipped[flip] += _sum_near_shifts(border, maps, FLIP_REACH_PIXELS)
    if counts[""] < LEAST_BORDER:
        return None
    means = sums / counts[""]
    chance = np.median(means, axis=(1, 2), keepdims=True)
    spread = 1.4826 * np.median(np.abs(means - chance), axis=(1, 2), keepdims=True) + 1e-9

    def deviate(means: Maps) -> Maps:
        """The most that any map deviates from chance; lines and objects may be dark or bright."""
        found = (means - chance) / spread
        return np.asarray(np.maximum(found[:2].max(axis=0), np.abs(found[2:]).max(axis=0)))

    fits, away = deviate(means), _distances(reach)
    here = float(fits[away <= SAME_PIXELS].max())
    others = np.where(away >= NEAR_PIXELS, fits, -np.inf)
    row, column = np.unravel_index(int(others.argmax()), others.shape)
    best = Fit(here, float(others.max()), "", (int(row) - reach, int(column) - reach))
    near = _distances(FLIP_REACH_PIXELS) <= FLIP_REACH_PIXELS + 0.5
    for flip in flips:
        if counts[flip] < LEAST_BORDER:
            continue
        there = float(deviate(flipped[flip] / counts[flip])[near].max())
        if there > best.there:
            best = Fit(here, there, flip, (0, 0))
    return best


def _box(labelled: LabelledImage) -> Region:
    """The part of the spatial axes on which the labels lie; they are flipped within it."""
    place = getattr(labelled.labels, "placement", None)
    if not isinstance(place, LabelPlacement):
        return tuple(slice(0, n) for n in labelled.shape)
    parts = dict(zip(labelled.label_axes, place.part, strict=True))
    return tuple(parts[axis] for axis in labelled.source.spatial)


def _middle(shape: tuple[int, ...], part: Region) -> Region:
    centre = [(p.start + p.stop) // 2 for p in part]
    return around(shape, centre, (1, *WINDOW) if len(shape) == 3 else WINDOW)


def _inside(part: Region, box: Region) -> Region:
    return tuple(
        slice(max(p.start, b.start), max(p.start, b.start, min(p.stop, b.stop)))
        for p, b in zip(part, box, strict=True)
    )


def _distances(reach: int) -> NDArray[np.float64]:
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.asarray(np.hypot(rows, columns), np.float64)


def _map_structure(pixels: NDArray[np.generic]) -> Maps:
    """Edges, broad edges, lines, and intensities, (4, Y, X), of mean 0 and deviation 1.

    Borders of membranes lie between the two edges of a line, where the gradient is 0: the broad
    edges and the lines have them.
    """
    planes = pixels.reshape(len(pixels), *pixels.shape[-2:]).astype(np.float32)
    total = np.zeros((4, *planes.shape[1:]), np.float32)
    for plane in planes:
        finite = np.nan_to_num(plane, posinf=0, neginf=0)
        clipped = np.clip(finite, *np.percentile(finite, (0.5, 99.5)))
        smooth = ndimage.gaussian_filter(clipped, SMOOTHING_PIXELS, truncate=3)
        rows, columns = np.gradient(smooth)
        edges = np.hypot(rows, columns)
        broad = ndimage.gaussian_filter(edges, BROAD_PIXELS, truncate=2)
        for number, each in enumerate((edges, broad, ndimage.laplace(smooth), smooth)):
            total[number] += (each - each.mean()) / (each.std() + 1e-9)
    return np.asarray(total / (total.std(axis=(1, 2), keepdims=True) + 1e-9))


def _find_borders(
    labelled: LabelledImage, time: int, part: Region, box: Region, flip: str
) -> NDArray[np.bool_]:
    """(Y, X) pixels beside one of another label, both known, of labels that are flipped."""

    def turn(place: slice, within: slice, axis: str) -> slice:
        """The same place seen from the other end."""
        ends = within.start + within.stop
        return slice(ends - place.stop, ends - place.start) if axis in flip else place

    window = list(part)
    if "T" in flip:  # the box is a square
        first, second = box[-2].start, box[-1].start
        rows, columns = part[-2:]
        window[-2] = slice(columns.start - second + first, columns.stop - second + first)
        window[-1] = slice(rows.start - first + second, rows.stop - first + second)
    axes = "ZYX"[-len(box) :]
    window = [turn(*each) for each in zip(window, box, axes, strict=True)]
    labels, known = labelled.read_labels(time, tuple(window))
    step = tuple(slice(None, None, -1 if axis in flip else 1) for axis in "YX")
    planes = [each.reshape(known.shape[-2:])[step] for each in (labels[0], known)]
    values, sure = (each.T for each in planes) if "T" in flip else planes
    border = np.zeros(values.shape, np.bool_)
    for axis in (0, 1):
        before = (slice(None),) * axis + (slice(None, -1),)
        after = (slice(None),) * axis + (slice(1, None),)
        differ = (values[before] != values[after]) & sure[before] & sure[after]
        border[before] |= differ
        border[after] |= differ
    return border


def _sum_all_shifts(border: NDArray[np.bool_], maps: Maps, reach: int) -> Maps:
    """Sums of the maps along the borders for each shift (map, row, column)."""
    size = [fft.next_fast_len(n + reach, real=True) for n in border.shape]
    spectrum = fft.rfft2(border.astype(np.float32), size).conj()
    shifts = np.arange(-reach, reach + 1)
    found = [fft.irfft2(fft.rfft2(each, size) * spectrum, size) for each in maps]
    return np.stack([each[np.ix_(shifts, shifts)] for each in found])


def _sum_near_shifts(border: NDArray[np.bool_], maps: Maps, reach: int) -> Maps:
    """The same for a few shifts, without a Fourier transform."""
    padded = np.pad(maps, ((0, 0), (reach, reach), (reach, reach)))
    rows, columns = np.nonzero(border)
    shifts = range(2 * reach + 1)
    found = [[padded[:, rows + y, columns + x].sum(axis=1) for x in shifts] for y in shifts]
    return np.moveaxis(np.array(found), 2, 0)
