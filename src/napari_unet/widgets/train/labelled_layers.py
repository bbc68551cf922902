"""An image, its labels and where they count, taken out of the layers of a viewer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Shapes
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.card import Task
from napari_unet.dataset.correction import CorrectedLabels, compare_objects, model_of
from napari_unet.dataset.example import Example
from napari_unet.dataset.label_placement import LabelPlacement
from napari_unet.dataset.pixel_grid import MismatchError
from napari_unet.dataset.review import find_accepted
from napari_unet.errors import InputError
from napari_unet.widgets.annotation.beside_channels import lay_beside_channels
from napari_unet.widgets.annotation.label_matching import match_layers
from napari_unet.widgets.annotation.marks import (
    Marks,
    axes_of_labels,
    marks_of,
    plane_count,
)
from napari_unet.widgets.annotation.snapshot import Trusted, mask_of_shapes, trusted
from napari_unet.widgets.recovery.stores import store_of
from napari_unet.widgets.train.label_candidates import Unmatched, describe_unmatched
from napari_unet.widgets.viewer.layer_image import FILE_PART_KEY, RECORD_KEY, LayerImage, level_of
from napari_unet.widgets.viewer.placement import lift

if TYPE_CHECKING:
    from napari_unet.widgets.train.example_line import ExampleLine


NO_IMAGE = "There is no image", "open one, or take a sample: File > Open Sample > U-Net"


class UnmatchedError(InputError):
    """There are layers that might be the labels, and none can be taken.

    Parameters
    ----------
    found : Unmatched
        The layers.
    *arguments
        Problem and remedy.
    """

    def __init__(self, found: Unmatched, *arguments: str) -> None:
        super().__init__(*arguments)
        self.found = found


class UncorrectedError(InputError):
    """The labels are a prediction that nobody has corrected, or not all of it."""


def labelled_layers(
    line: ExampleLine,
    axes: str,
    channels: tuple[int, ...] | None,
    task: Task,
    *,
    is_truth: bool,
    unmatched: Unmatched | None = None,
) -> LabelledLayers:
    """What a line stands for, as it is now; labels get the axis of the image's channels.

    Parameters
    ----------
    line : ExampleLine
        With an image.
    axes : str
        Of the image's array, which they fit.
    channels : tuple of int or None
        Input channels where there is an axis C.
    task : str
        What is learned.
    is_truth : bool
        Whether a prediction was declared to be the truth.
    unmatched : Unmatched, optional
        Other layers that might be the labels, where there are none.

    Raises
    ------
    InputError
        If labels are missing, do not lie on the pixels of the image, are a prediction or one
        of which not all is done, or count nowhere.
    """
    image, labels = line.image, line.labels
    if image is None:
        raise InputError(*NO_IMAGE, code="no-image")
    if labels is None:
        if unmatched is not None and (reason := describe_unmatched(image, unmatched))[0]:
            raise UnmatchedError(unmatched, *reason)
        raise InputError(*_missing(image, task), code="no-labels")
    if isinstance(labels, Labels):
        lay_beside_channels(labels, image, axes)
    try:
        placement = match_layers(image, axes, labels, target=task == "regression")
    except MismatchError as error:
        found = Unmatched(mismatches=[(labels, error)])
        raise UnmatchedError(found, *describe_unmatched(image, found)) from None
    if task != "regression" and RECORD_KEY in labels.metadata and not is_truth:
        raise UncorrectedError(
            f"‘{labels.name}’ is a prediction that nobody has corrected",
            "correct it and train on that, or take it as truth",
            code="not-corrected",
        )
    if task != "regression" and not is_truth and _is_half_corrected(labels, line.where):
        raise UncorrectedError(
            f"‘{labels.name}’ began as a prediction, and not all of it is marked as done",
            "choose done planes, or take all of it as truth",
            code="not-corrected",
        )
    known = None
    if task == "regression":
        if not placement.is_whole:
            sizes = placement.shape, placement.image_shape
            raise InputError(
                f"‘{labels.name}’ has the size {sizes[0]}, ‘{image.name}’ {sizes[1]}",
                "crop both to the part that they share: a target has the size of its image",
            )
        known = _target(labels, line.where, image, axes)
    store = store_of(labels)
    return LabelledLayers(
        image=LayerImage.of(image, level=placement.image_level),
        placement=placement,
        labels_name=labels.name,
        trusted=known or _known(line, placement.label_level),
        axes=axes,
        channels=channels,
        task=task,
        image_file=_whole_file(image),
        labels_file=_whole_file(labels),
        labels_axes=axes_of_labels(labels, image, axes),
        label_store=None if store is None else str(store.folder),
        multiscale=(bool(image.multiscale), bool(labels.multiscale)),
    )


def _whole_file(layer: Any) -> str | None:
    """The file of a layer that has all of it; one scene or channel of a file is read otherwise."""
    return None if FILE_PART_KEY in layer.metadata else layer.source.path


def _is_half_corrected(labels: Any, where: Any) -> bool:
    """Whether predicted objects count in planes that nobody marked as done."""
    marks = marks_of(labels)
    if marks is None or marks.corrected is None or where not in ("all", "painted"):
        return False
    times, depth = plane_count(labels, marks.axes)
    done = {(t, z) for t, z in marks.done if t < times and z < depth}
    # where a part was predicted, nobody has looked at the rest
    return marks.part is not None or len(done) < times * depth


def _known(line: ExampleLine, level: int) -> Trusted:
    if level and line.where not in ("all", "painted"):
        raise InputError(
            f"Only level {level} of the pyramid ‘{line.labels.name}’ has the pixels of the image, "
            "which has no marks and shapes of its own",
            "choose everywhere, or painted pixels",
        )
    found = trusted(line.labels, line.where)
    if level:
        return replace(found, labels=level_of(line.labels, level))
    if found.way == "seen" and not (found.marks.review or found.marks.corrected or found.planes):
        raise InputError(
            f"Nothing of ‘{line.labels.name}’ was looked at in the dock ‘Correct’",
            "accept or correct some objects there, or choose where else its labels can be trusted",
            code="nothing-done",
        )
    if found.way == "planes" and not found.planes:
        several = len(found.marks.axes) > 2
        what = "No plane of" if several else "Nothing of"
        raise InputError(
            f"{what} ‘{line.labels.name}’ is marked as done",
            f"label {'one' if several else 'it'} completely and press ‘This plane is done’, or "
            "choose where else its labels can be trusted",
            code="nothing-done",
        )
    return found


def _target(layer: Image, where: Any, image: Image, axes: str) -> Trusted:
    """The image that is to come out, and where it counts."""
    own = axes_of_labels(layer, image, axes)
    array, known = lift(level_of(layer), own or label_axes(axes))
    marks = Marks("", known)
    if not isinstance(where, Shapes):
        return Trusted(array, marks, "all")
    if not own:
        raise InputError(
            f"‘{layer.name}’ has channels, so that no shapes can say where it counts",
            "choose everywhere",
        )
    mask, _ = lift(np.asarray(mask_of_shapes(where, layer, own)), own)
    return Trusted(array, marks, "mask", mask=mask)


def _missing(image: Image, task: Task) -> tuple[str, str]:
    """What is missing, and what to do."""
    if task == "regression":
        return (
            f"There is no target for ‘{image.name}’",
            "open the image that is to come out, of the same shape",
        )
    return (
        f"There are no labels of ‘{image.name}’",
        f"press ‘New labels for {image.name}’ and paint, or open some",
    )


@dataclass(frozen=True, eq=False)
class LabelledLayers:
    """One line of the table of examples.

    Attributes
    ----------
    image : LayerImage
        The image.
    labels_name : str
        Name of the layer with the labels, or with the target image.
    trusted : Trusted
        Its array, which changes while somebody paints there, and where it counts.
    axes : str
        Of the image's array.
    placement : LabelPlacement
        On which pixels of the image they lie.
    channels : tuple of int or None
        Input channels where there is an axis C.
    task : str
        What is learned: a regression's target is not copied, nobody paints on it.
    image_file, labels_file : str or None
        Where they were read from, as far as the layers know.
    labels_axes : str
        Of the layer with the labels, which may have a C of length 1; empty: not known.
    label_store : str or None
        The folder where the labels are kept against a crash.
    multiscale : (bool, bool)
        Whether the layers of image and labels are pyramids.
    """

    image: LayerImage
    labels_name: str
    trusted: Trusted
    axes: str
    placement: LabelPlacement
    channels: tuple[int, ...] | None = None
    task: Task = "instance"
    image_file: str | None = None
    labels_file: str | None = None
    labels_axes: str = ""
    label_store: str | None = None
    multiscale: tuple[bool, bool] = (False, False)

    @property
    def background(self) -> int | None:
        """The label that means background; of classes it is one of them."""
        return self.trusted.marks.background if self.task == "instance" else None

    def example(self, *, copy: bool) -> Example:
        """As the Python API takes it.

        Parameters
        ----------
        copy : bool
            Whether painting must not change it any more.
        """
        trusted = self.trusted
        if copy and self.task != "regression":
            labels, region, _ = trusted.copy()
        else:
            labels, region, _ = trusted.live()
            if self.whole_planes:
                labels, region = _DonePlanes(labels, region), ("planes", region)
        if self.task != "regression":
            if self.whole_planes and not self.placement.is_whole:
                region = trusted.live()[1]  # the planes are complete where the labels lie only
            region = self.placement.place_region(region, labels)
            labels = self._with_correction(self.placement.place(labels))
        return Example(
            self.image.image,
            labels,
            region=region,
            background=self.background,
            axes=self.axes,
            channels=self.channels,
            pixel_size=self.image.pixel_size(self.axes),
        )

    def _with_correction(self, labels: Any) -> Any:
        """Labels that tell what somebody has looked at, where they began as a prediction."""
        marks, now = self.trusted.marks, self.trusted.labels
        began = marks.predicted or marks.review.began
        if began is None or not self.placement.is_whole:
            return labels
        found = compare_objects(now, began, marks.done, marks.axes, model_of(marks.corrected))
        if found is None:
            return labels
        accepted = find_accepted(now, marks.axes, marks.review)
        return CorrectedLabels(
            labels, found.with_accepted(accepted, around=self.trusted.way == "seen")
        )

    @property
    def whole_planes(self) -> bool:
        """Whether what can be trusted are whole planes."""
        return self.trusted.way == "planes" and self.trusted.mask is None


class _DonePlanes:
    """Labels of which all but some planes read as 0; nothing is copied before it is read."""

    def __init__(self, labels: Any, mask: NDArray[np.bool_]) -> None:
        self._labels, self._mask = labels, mask
        self.shape, self.dtype, self.ndim = labels.shape, labels.dtype, labels.ndim

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray[Any]:
        place = tuple(
            each if size > 1 else 0 if isinstance(each, int) else slice(None)
            for each, size in zip(index, self._mask.shape, strict=False)
        )
        done = self._mask[place]
        if not done.any():
            sizes = [
                len(range(*each.indices(size)))
                for each, size in zip(index, self.shape, strict=True)
                if not isinstance(each, int)
            ]
            return np.zeros(sizes, self.dtype)
        return np.where(done, np.asarray(self._labels[index]), self.dtype.type(0))
