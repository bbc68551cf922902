"""Whether the labels of an example are what the task needs: objects, classes, or values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from napari_unet.card import Task
from napari_unet.checks.finding import Report
from napari_unet.checks.fragments import check_fragments
from napari_unet.checks.sampling import sample_places
from napari_unet.dataset.correction import find_correction
from napari_unet.dataset.label_statistics import LabelStatistics
from napari_unet.dataset.labelled_image import LabelledImage
from napari_unet.io.record import find_record
from napari_unet.tiling import Region

CRUMB = 4  # pixels of a region that is no object
MANY_VALUES = 12  # from which labels may be intensities
FEW_VALUES = 10  # up to which objects may be classes
PIECES = 3  # regions of one value from which it may be a class
MASK_PIECES = 2  # and those of a plane, where there is no other value
CLASSES = {False: 6, True: 10}  # values from which classes may be objects; if painted


def check_labels(
    report: Report,
    index: int,
    labelled: LabelledImage,
    seen: LabelStatistics,
    task: Task,
    named: bool,
) -> None:
    """Look at the labels of one example.

    Parameters
    ----------
    report : Report
        Takes the findings.
    index : int
        Of the example.
    labelled, seen : LabelledImage, LabelStatistics
        The example.
    task : str
        What is learned.
    named : bool
        Whether the classes were named.
    """
    _check_origin(report, index, labelled.labels)
    _check_region(report, index, labelled)
    if not seen.known:
        report.doubt(
            "nothing-known",
            index,
            "region",
            "No label of it counts: nothing is labelled, or nothing inside its region.",
            "Label something, or correct the region; as it is, the example teaches nothing.",
        )
    elif task == "regression":
        _check_target(report, index, labelled, seen)
    else:
        _check_values(report, index, labelled, seen, task)
        _check_meaning(report, index, labelled, seen, task, named)
        if task == "instance":
            check_fragments(report, index, labelled, seen)


def _check_origin(report: Report, index: int, labels: Any) -> None:
    correction = find_correction(labels)
    if correction is not None and correction.nothing_changed:
        maker = f"the model {correction.model!r}" if correction.model else "a model"
        report.doubt(
            "nothing-corrected",
            index,
            "labels",
            f"Nothing was changed in these labels, which began as a prediction of {maker}: the "
            "model would learn its own answer.",
            "Correct what is wrong in them; dismiss this if nothing is.",
        )
    record = find_record(labels)
    if record is None:
        return
    model = record.get("model")
    name = model.get("name") if isinstance(model, Mapping) else None
    maker = f"the model {name!r}" if name else "a model"
    report.doubt(
        "prediction-as-truth",
        index,
        "labels",
        f"The labels are a prediction of {maker}: they carry the record of its run.",
        "Correct them before you train on them; dismiss this if you have.",
    )


def _check_region(report: Report, index: int, labelled: LabelledImage) -> None:
    """Regions of which one holds all that another has."""
    regions = set(labelled.regions)
    if labelled.known_everywhere and (len(regions) > 1 or labelled.masks):
        report.doubt(
            "region-without-effect",
            index,
            "region",
            "The region ⟨region:'all'⟩ holds everywhere, so that the other regions beside it have "
            "no effect.",
            "Leave out ⟨region:'all'⟩ if the labels are known in part only, else the others.",
        )
    elif {"planes", "painted"} <= regions:
        report.doubt(
            "region-without-effect",
            index,
            "region",
            "The region ⟨region:'planes'⟩ makes every plane with a stroke in it a complete one, so "
            "that ⟨region:'painted'⟩ beside it has no effect.",
            "Leave out ⟨region:'planes'⟩, and name the complete planes by a mask.",
        )


def _check_values(
    report: Report, index: int, labelled: LabelledImage, seen: LabelStatistics, task: Task
) -> None:
    """Empty or constant labels, and a background that nobody painted."""
    values = seen.values
    alone = labelled.regions == ("painted",) and not labelled.masks
    if labelled.background is not None and alone and 0 not in values:
        report.doubt(
            "background-not-painted",
            index,
            "background",
            f"No pixel has the label {labelled.background} that means background.",
            "Paint some background with it, or name the label that you painted it with.",
        )
    if len(values) > 1 or alone:
        return
    (value,) = values
    if task == "instance" and value == 0:
        report.doubt(
            "labels-empty",
            index,
            "labels",
            "The labels are empty: all that is known of this image is that it has no object.",
            "Dismiss this if it really has none; else label its objects.",
        )
    else:
        report.doubt(
            "labels-constant",
            index,
            "labels",
            f"The labels are constant: every known pixel has the value {value}.",
            "Label what else there is, or leave this example out.",
        )


def _check_meaning(
    report: Report,
    index: int,
    labelled: LabelledImage,
    seen: LabelStatistics,
    task: Task,
    named: bool,
) -> None:
    """Intensities, classes or objects, by how equal values lie together."""
    values = {v for v in seen.values if v}
    if not values:
        return
    windows = [_look(labelled, *place) for place in sample_places(labelled, seen)]
    pieces, shown, ragged, regions = (
        sum(getattr(w, name) for w in windows) for name in ("pieces", "values", "ragged", "regions")
    )
    most = max((w.pieces for w in windows), default=0)
    strokes = "painted" in labelled.regions and not labelled.known_everywhere
    if len(values) >= MANY_VALUES and ragged > regions / 2:
        report.doubt(
            "labels-look-like-intensities",
            index,
            "labels",
            f"The labels look like intensities: {len(values)} values, most of them in specks of a "
            "few pixels that touch one another.",
            "Choose labels; another image is none, nor is a mask that was smoothed or saved as "
            "JPEG.",
        )
    elif (
        task == "instance"
        and not strokes  # of which one object may have several
        and len(values) <= FEW_VALUES
        and (pieces >= PIECES * max(1, shown) or (len(values) == 1 and most >= MASK_PIECES))
    ):
        what, kind, cause = f"{len(values)} values", "classes", ""
        if len(values) == 1:
            what, kind = f"the value {min(values)} only,", "a mask"
            cause = "labels-are-a-mask" if most >= PIECES else ""  # surely
        report.doubt(
            "labels-look-like-classes",
            index,
            "labels",
            f"The labels look like {kind}, not objects: they have {what} in "
            f"{most} separate regions of a plane.",
            "Give each object a number of its own, as skimage.measure.label does with separate "
            "regions, or choose the task ⟨task:'semantic'⟩.",
            cause,
        )
    elif (
        task == "semantic"
        and not named
        and CLASSES["painted" in labelled.regions] <= min(len(values), shown)
        and pieces <= (1.25 if len(values) < 2 * MANY_VALUES else 2) * shown
    ):
        report.doubt(
            "labels-look-like-objects",
            index,
            "labels",
            f"The labels look like objects, not classes: {len(values)} values, nearly each of "
            "them in a single region.",
            "Choose the task ⟨task:'instance'⟩, or name the classes if these are some.",
        )


@dataclass(frozen=True)
class _Look:
    """What lies in a window: values that are not 0, and connected regions of equal value.

    ``pieces`` are the regions that are no crumbs beside the largest one of their value;
    ``ragged`` are those of few pixels that touch another value that is not 0.
    """

    values: int
    regions: int
    pieces: int
    ragged: int


def _look(labelled: LabelledImage, time: int, part: Region) -> _Look:
    found = labelled.read_labels(time, part)[0][0]
    region: NDArray[np.integer] = measure.label(  # type: ignore[no-untyped-call]
        found, background=0, connectivity=found.ndim
    )
    regions = int(region.max(initial=0))
    if regions == 0:
        return _Look(0, 0, 0, 0)
    # diagonal neighbours of one value are one region, so beside another region means beside
    # another value
    others = np.where(region == 0, regions + 1, region)
    crowded = (ndimage.maximum_filter(region, 3) != region) | (
        ndimage.minimum_filter(others, 3) != region
    )
    sizes = np.bincount(region.ravel())[1:]
    touching = np.bincount(region.ravel(), weights=crowded.ravel())[1:] > 0
    place = np.zeros(regions + 1, np.intp)  # of one pixel of each
    place[region.ravel()] = np.arange(region.size)
    values, inverse = np.unique(found.ravel()[place[1:]], return_inverse=True)
    largest = np.zeros(len(values), sizes.dtype)
    np.maximum.at(largest, inverse, sizes)
    pieces = (sizes > CRUMB) & (sizes >= 0.02 * largest[inverse])
    ragged = (sizes <= CRUMB) & touching
    return _Look(len(values), regions, int(pieces.sum()), int(ragged.sum()))


def _check_target(
    report: Report, index: int, labelled: LabelledImage, seen: LabelStatistics
) -> None:
    """Targets of a regression: NaN, or the image itself."""
    same, low, high = True, np.inf, -np.inf
    for time, part in sample_places(labelled, seen):
        target, known = labelled.read_labels(time, part)
        if target.dtype.kind == "f" and not np.isfinite(target[:, known]).all():
            report.fault(
                "not-finite",
                index,
                "labels",
                "The target image has NaN or infinite pixels.",
                "Replace them, for example with np.nan_to_num, or leave them out by the region.",
            )
            return
        if known.any():
            low, high = min(low, target[:, known].min()), max(high, target[:, known].max())
        pixels: NDArray[Any] = labelled.read_image(time, part)
        same &= target.shape == pixels.shape and bool((target == pixels)[:, known].all())
    if low == high:
        report.doubt(
            "target-constant",
            index,
            "labels",
            f"The target image is constant: every pixel looked at has the value {low:g}.",
            "Choose another target, or leave this example out.",
        )
    elif same:
        report.doubt(
            "target-is-image",
            index,
            "labels",
            "The target image is the same as the image.",
            "Choose the image that the network is to make of it.",
        )
