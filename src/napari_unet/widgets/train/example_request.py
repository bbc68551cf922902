"""From a line of the table of examples to what training takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Shapes

from napari_unet.card import Task
from napari_unet.errors import InputError
from napari_unet.widgets.annotation.marks import Marks, marks_of, plane_count
from napari_unet.widgets.annotation.shape_region import mask_of_shapes
from napari_unet.widgets.annotation.snapshot import Trusted, trusted
from napari_unet.widgets.train.request import LabelledLayers
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, LayerImage

if TYPE_CHECKING:
    from napari_unet.widgets.train.example_line import ExampleLine

NO_IMAGE = "There is no image; open one, or take a sample: File > Open Sample > U-Net."


class UncorrectedError(InputError):
    """The labels are a prediction that nobody has corrected, or not all of it."""


def labelled_layers(
    line: ExampleLine,
    axes: str,
    channels: tuple[int, ...] | None,
    task: Task,
    *,
    is_truth: bool,
) -> LabelledLayers:
    """What a line stands for, as it is now.

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

    Raises
    ------
    InputError
        If labels are missing, are a prediction or one of which not all is done, or count
        nowhere.
    """
    image, labels = line.image, line.labels
    if image is None:
        raise InputError(NO_IMAGE)
    if labels is None:
        raise InputError(_missing(image, task))
    if task != "regression" and RECORD_KEY in labels.metadata and not is_truth:
        raise UncorrectedError(
            f"‘{labels.name}’ is a prediction that nobody has corrected; correct it and train on "
            "that, or take it as truth."
        )
    if task != "regression" and not is_truth and _is_half_corrected(labels, line.where):
        raise UncorrectedError(
            f"‘{labels.name}’ began as a prediction, and not all of it is marked as done; choose "
            "done planes, or take all of it as truth."
        )
    known = _target(labels, line.where, axes) if task == "regression" else None
    return LabelledLayers(
        image=LayerImage.of(image),
        labels_name=labels.name,
        trusted=known or _known(line),
        axes=axes,
        channels=channels,
        task=task,
        image_file=image.source.path,
        labels_file=labels.source.path,
    )


def _is_half_corrected(labels: Any, where: Any) -> bool:
    """Whether predicted objects count in planes that nobody marked as done."""
    marks = marks_of(labels)
    if marks is None or marks.corrected is None or where not in ("all", "painted"):
        return False
    times, depth = plane_count(labels, marks.axes)
    done = {(t, z) for t, z in marks.done if t < times and z < depth}
    # where a part was predicted, nobody has looked at the rest
    return marks.part is not None or len(done) < times * depth


def _known(line: ExampleLine) -> Trusted:
    found = trusted(line.labels, line.where)
    if found.way == "planes" and not found.planes:
        several = len(found.marks.axes) > 2
        what = "No plane of" if several else "Nothing of"
        raise InputError(
            f"{what} ‘{line.labels.name}’ is marked as done; label "
            f"{'one' if several else 'it'} completely and press ‘This plane is done’, or choose "
            "where else its labels can be trusted."
        )
    return found


def _target(layer: Image, where: Any, axes: str) -> Trusted:
    """The image that is to come out, and where it counts."""
    array = layer.data[0] if layer.multiscale else layer.data
    marks = Marks("", axes.replace("C", ""))
    if not isinstance(where, Shapes):
        return Trusted(array, marks, "all")
    if layer.ndim != len(marks.axes):
        raise InputError(
            f"‘{layer.name}’ has channels, so that no shapes can say where it counts; choose "
            "everywhere."
        )
    mask = mask_of_shapes(where, layer, marks.axes)
    return Trusted(array, marks, "mask", mask=np.asarray(mask))


def _missing(image: Image, task: Task) -> str:
    if task == "regression":
        return (
            f"There is no target for ‘{image.name}’; open the image that is to come out, of the "
            "same shape."
        )
    return (
        f"There are no labels of ‘{image.name}’; press ‘New labels for {image.name}’ and paint, or "
        "open some."
    )
