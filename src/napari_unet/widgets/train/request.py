"""What the form of a training asks for: arrays and values only, no layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Shapes
from numpy.typing import NDArray

from napari_unet.axes import label_axes
from napari_unet.card import Task
from napari_unet.dataset.example import Example
from napari_unet.errors import InputError
from napari_unet.settings import TrainConfig
from napari_unet.widgets.annotation.marks import (
    Marks,
    axes_of_labels,
    marks_of,
    plane_count,
    plane_index,
)
from napari_unet.widgets.annotation.snapshot import Trusted, mask_of_shapes, trusted
from napari_unet.widgets.recovery.stores import store_of
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, LayerImage, level_of
from napari_unet.widgets.viewer.placement import lift

if TYPE_CHECKING:
    from napari_unet.widgets.train.example_line import ExampleLine


NO_IMAGE = "There is no image", "open one, or take a sample: File > Open Sample > U-Net"


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
        raise InputError(*NO_IMAGE, code="no-image")
    if labels is None:
        raise InputError(*_missing(image, task), code="no-labels")
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
    known = _target(labels, line.where, image, axes) if task == "regression" else None
    store = store_of(labels)
    return LabelledLayers(
        image=LayerImage.of(image),
        labels_name=labels.name,
        trusted=known or _known(line),
        axes=axes,
        channels=channels,
        task=task,
        image_file=image.source.path,
        labels_file=labels.source.path,
        labels_axes=axes_of_labels(labels, image, axes),
        label_store=None if store is None else str(store.folder),
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
    """

    image: LayerImage
    labels_name: str
    trusted: Trusted
    axes: str
    channels: tuple[int, ...] | None = None
    task: Task = "instance"
    image_file: str | None = None
    labels_file: str | None = None
    labels_axes: str = ""
    label_store: str | None = None

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
        return Example(
            self.image.image,
            labels,
            region=region,
            background=self.background,
            axes=self.axes,
            channels=self.channels,
            pixel_size=self.image.pixel_size(self.axes),
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


@dataclass(frozen=True, eq=False)
class TrainingRequest:
    """A training in every detail.

    Attributes
    ----------
    layers : tuple of LabelledLayers
        One per example.
    base : str, Path or None
        Name or file of the model to start from.
    config : TrainConfig
        How.
    """

    layers: tuple[LabelledLayers, ...]
    base: str | Path | None
    config: TrainConfig

    def examples(self, *, copy: bool) -> list[Example]:
        """What is learned from.

        Parameters
        ----------
        copy : bool
            True for a training: the labels as they are at this moment. False to look at
            them once: the labels are those of the layers, which may change meanwhile.
        """
        return [each.example(copy=copy) for each in self.layers]

    def values(self) -> dict[str, Any]:
        """What is asked for in plain values, to be told and kept."""
        return {
            "examples": [
                {
                    "image": each.image.name,
                    "labels": each.labels_name,
                    "axes": each.axes,
                    "channels": None if each.channels is None else list(each.channels),
                    "trusted": each.trusted.way,
                    "done": [list(plane) for plane in each.trusted.planes],
                    "background": each.background,
                    "image_file": each.image_file,
                    "labels_file": each.labels_file,
                    "label_store": each.label_store,
                }
                for each in self.layers
            ],
            "base": None if self.base is None else str(self.base),
            "config": self.config.model_dump(mode="json", exclude_defaults=True),
        }

    def as_python(self) -> str:
        """The same training as a script.

        What no file is known of is read from the layers of a viewer, as in its console.
        """
        lines = ["import napari_unet as nu"]
        if any(each.trusted.way in ("planes", "mask") for each in self.layers):
            lines.insert(0, "import numpy as np")
        if any(each.image_file or each.labels_file for each in self.layers):
            lines.append("from napari_unet.io import read_image")
        for number, each in enumerate(self.layers, 1):
            lines += ["", *_read_lines(each, number)]
        fields = {"task": self.config.task, **self.config.model_dump(exclude_defaults=True)}
        names = ", ".join(f"example_{number}" for number in range(1, len(self.layers) + 1))
        lines += ["", "model = nu.train(", f"    [{names}],"]
        base = str(self.base) if isinstance(self.base, Path) else self.base
        lines += [f"    base={base!r},"]
        lines += [f"    {name}={value!r}," for name, value in fields.items()]
        name = self.config.name
        return "\n".join([*lines, ")", f'model.save("{name}.safetensors")', ""])


def _read_lines(each: LabelledLayers, number: int) -> list[str]:
    """Lines of a script that make one example."""
    lines = [
        f"image_{number} = {_source(each.image_file, each.image.name)}",
        f"labels_{number} = {_source(each.labels_file, each.labels_name, each.labels_axes)}",
    ]
    region = repr(each.trusted.way)
    if each.whole_planes:
        _, mask, _ = each.trusted.live()
        lines.append(f"done = np.zeros({mask.shape}, bool)  # planes that are completely labelled")
        for plane in each.trusted.planes:
            index = plane_index(each.trusted.marks.axes, plane)
            shown = [str(place) if isinstance(place, int) else ":" for place in index]
            lines.append(f"done[{', '.join(shown)}] = True")
        lines.append(f"labels_{number} = np.where(done, labels_{number}, 0)")
        region = "('planes', done)"
    elif each.trusted.way in ("planes", "mask"):
        lines.append("# save here first where the labels can be trusted: not 0, of their shape")
        lines.append(f"mask_{number} = np.load('mask_{number}.npy')")
        region = f"(mask_{number}, 'painted')" if each.trusted.way == "planes" else f"mask_{number}"
    arguments = {
        "region": region,
        "background": None if each.background is None else repr(each.background),
        "axes": repr(each.axes),
        "channels": None if each.channels is None else repr(each.channels),
        "pixel_size": _size(each),
    }
    shown = [f"{name}={value}" for name, value in arguments.items() if value is not None]
    return [
        *lines,
        f"example_{number} = nu.Example(",
        f"    image_{number}, labels_{number}, {', '.join(shown)}",
        ")",
    ]


def _source(file: str | None, name: str, axes: str = "") -> str:
    if file is not None:
        return f"read_image({file!r}).array"
    without = f"[{', '.join('0' if a == 'C' else ':' for a in axes)}]" if "C" in axes else ""
    return f"viewer.layers[{name!r}].data{without}"


def _size(each: LabelledLayers) -> str | None:
    size = each.image.pixel_size(each.axes)
    return None if all(value is None for value in size) else repr(size)
