"""Whether labels that are to hold everywhere were made for a part of the image only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from napari_unet.card import Task
from napari_unet.checks.finding import Report
from napari_unet.dataset.label_statistics import FrameStatistics, LabelStatistics
from napari_unet.dataset.labelled_image import LabelledImage

SPARSE = 0.01  # share of labelled pixels below which not everything seems to be labelled
SPAN = 0.75  # share of the planes, from the first with labels to the last, of a whole stack
REMEDY = "Choose the region ⟨region:'painted'⟩ or ⟨region:'planes'⟩ if not everything was labelled."


def in_few_planes(stacks: Mapping[int, Sequence[bool]]) -> bool:
    """Whether some planes were labelled and others were left out.

    Parameters
    ----------
    stacks : dict of sequences of bool
        For each time point whether the planes, in their order, have labels. A few empty ones
        at either end are usual: objects need not reach that far.

    Examples
    --------
    >>> in_few_planes({0: [False, True, True, True, True, True, True]})
    False
    >>> in_few_planes({0: [False, True, False, True, True]})
    True
    >>> in_few_planes({0: [True], 1: [False]})
    True
    """
    times = [any(planes) for planes in stacks.values()]
    if not any(times):
        return False
    return not all(times) or any(_is_partial(list(planes)) for planes in stacks.values())


def _is_partial(planes: list[bool]) -> bool:
    first, last = planes.index(True), len(planes) - planes[::-1].index(True)
    return not all(planes[first:last]) or last - first < SPAN * len(planes)


def check_complete(
    report: Report,
    index: int,
    labelled: LabelledImage,
    seen: LabelStatistics,
    task: Task,
    *,
    background_named: bool,
) -> None:
    """Tell where hardly anything is labelled and the rest counts as background.

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
    background_named : bool
        Whether 0 is one of the named classes, so that it is a label like others.
    """
    if task == "regression" or "all" not in labelled.regions:
        return
    if task == "semantic" and background_named:
        return
    count = sum(_labelled(frame) for frame in seen.frames)
    if not count:
        return  # of which other findings tell
    stacks: dict[int, list[bool]] = {}
    for frame in seen.frames:
        stacks.setdefault(frame.time, []).append(_labelled(frame) > 0)
    if count < SPARSE * seen.known:
        percent = 100 * count / seen.known
        share = f"Only {percent:.2g} %" if percent >= 0.01 else "Less than 0.01 %"
        found = f"{share} of the image is labelled, and all the rest counts as background."
    elif in_few_planes(stacks):
        planes = [has for each in stacks.values() for has in each]
        flat = len(labelled.shape) == 2 or seen.frames[0].plane is not None
        what = "planes" if flat else "stacks"
        found = (
            f"Only {sum(planes)} of the {len(planes)} {what} have labels, and all of the others "
            "counts as background."
        )
    else:
        return
    report.doubt("mostly-unlabelled", index, "region", found, REMEDY)


def _labelled(frame: FrameStatistics) -> int:
    return sum(frame.sizes.values()) - frame.sizes.get(0, 0)
