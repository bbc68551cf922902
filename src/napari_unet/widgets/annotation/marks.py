"""What is known of painted labels: which image they are of, and which planes are done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_unet.axes import Plane, axes_beside, label_axes, plane_index
from napari_unet.dataset.correction import MARKS_KEY
from napari_unet.dataset.review import Review
from napari_unet.errors import InputError
from napari_unet.widgets.viewer.coordinates import position
from napari_unet.widgets.viewer.layer_axes import letters_of
from napari_unet.widgets.viewer.layer_image import shape_of

if TYPE_CHECKING:
    from napari import Viewer

JOURNAL_KEY = "napari_unet_journal"  # in the metadata of a layer: its corrections


class ImageNames:
    """Follows the names of a viewer's images in the marks of its labels.

    Parameters
    ----------
    viewer : Viewer
        Whose layers.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._names: list[tuple[Image, str]] = []
        events = viewer.layers.events
        self._connected = [
            (events.inserted, self._store_names),
            (events.removed, self._store_names),
            (events.renamed, self._rename_marks),
        ]
        for event, callback in self._connected:
            event.connect(callback)
        self._store_names()

    def close(self) -> None:
        """Follow no more."""
        for event, callback in self._connected:
            event.disconnect(callback)
        self._connected, self._names = [], []

    def _store_names(self, _: Any = None) -> None:
        self._names = [(each, each.name) for each in self._viewer.layers if isinstance(each, Image)]

    def _rename_marks(self, _: Any) -> None:
        names = [image.name for image, _ in self._names]
        if len(set(names)) < len(names):
            return  # the viewer is about to tell them apart
        renamed = {old: image.name for image, old in self._names if image.name != old}
        self._store_names()
        for layer in self._viewer.layers:
            marks = marks_of(layer) if isinstance(layer, Labels) else None
            if marks is not None and marks.image in renamed:
                set_marks(layer, replace(marks, image=renamed[marks.image]))


__all__ = [
    "MARKS_KEY",
    "Marks",
    "Plane",
    "adopt",
    "describe_done",
    "done_at",
    "marks_for",
    "marks_of",
    "plane_count",
    "plane_index",
    "plane_shown",
    "set_marks",
    "toggle_done",
]


@dataclass(frozen=True)
class Marks:
    """What a layer of painted labels says of itself.

    Attributes
    ----------
    image : str
        Name of the image layer.
    axes : str
        Of the layer: some of TZYX, and C, of length 1, where the image has channels after other
        axes.
    done : tuple of (int, int)
        Time point and z of the planes in which everything is labelled, sorted.
    background : int or None
        The label that means background.
    corrected : dict or None
        The run record of the prediction that the labels began as.
    part : tuple of (int, int) or None
        For each axis the pixels, first and one past the last, that the prediction covered;
        None: all of the image, or no prediction.
    predicted : str or None
        The objects that the labels began as, from
        `napari_unet.dataset.correction.remember_objects`; None: not known.
    review : Review
        The objects that somebody has looked at one by one.
    """

    image: str
    axes: str
    done: tuple[Plane, ...] = ()
    background: int | None = None
    corrected: dict[str, Any] | None = None
    part: tuple[tuple[int, int], ...] | None = None
    predicted: str | None = field(default=None, compare=False, repr=False)
    review: Review = field(default_factory=Review, repr=False)

    def as_json(self) -> dict[str, Any]:
        """As plain values.

        >>> Marks("cells", "ZYX", done=((0, 3),)).as_json()["done"]
        [[0, 3]]
        """
        values = asdict(replace(self, review=Review()))
        values["review"] = self.review.as_json() if self.review else None
        values["done"] = [list(plane) for plane in self.done]
        values["part"] = None if self.part is None else [list(ends) for ends in self.part]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Marks | None:
        """From plain values; None where they are not what `as_json` gives.

        >>> Marks.from_json({"image": "cells", "axes": "YX", "done": [[0, 0]]}).done
        ((0, 0),)
        >>> Marks.from_json({"image": "cells"}) is None
        True
        """
        try:
            axes, background = str(values["axes"]), values.get("background")
            corrected, part = values.get("corrected"), values.get("part")
            predicted = values.get("predicted")
            found = cls(
                image=str(values["image"]),
                axes=axes,
                done=tuple(sorted({(int(t), int(z)) for t, z in values.get("done") or ()})),
                background=None if background is None else int(background),
                corrected=None if corrected is None else dict(corrected),
                part=None if part is None else tuple((int(a), int(b)) for a, b in part),
                predicted=None if predicted is None else str(predicted),
                review=Review.from_json(values.get("review")),
            )
        except (KeyError, TypeError, ValueError):
            return None
        known = set(axes) <= set("TCZYX") and {"Y", "X"} <= set(axes)
        return found if known and len(set(axes)) == len(axes) else None


def marks_of(layer: Any) -> Marks | None:
    """The marks of a layer; None where it has none."""
    found = layer.metadata.get(MARKS_KEY)
    marks = Marks.from_json(found) if isinstance(found, Mapping) else None
    return marks if marks is not None and len(marks.axes) == layer.ndim else None


def set_marks(layer: Any, marks: Marks) -> None:
    """Give a layer marks; it emits ``events.metadata``."""
    layer.metadata = {**layer.metadata, MARKS_KEY: marks.as_json()}


def adopt(layer: Labels, image: Image | None = None, axes: str = "") -> Marks:
    """The marks of a layer, which gets some where it has none.

    Parameters and errors are those of `marks_for`.
    """
    marks = marks_for(layer, image, axes)
    if marks_of(layer) is None:
        set_marks(layer, marks)
    return marks


def marks_for(layer: Labels, image: Image | None = None, axes: str = "") -> Marks:
    """The marks of a layer, or those that it should have; the layer stays as it is.

    Parameters
    ----------
    layer : Labels
        Any, such as one that was made with the viewer's own button.
    image : Image or None
        What it seems to be of.
    axes : str
        Of the image's array, where they are known.

    Raises
    ------
    InputError
        If the layer has axes that labels cannot have.
    """
    found = marks_of(layer)
    if found is not None:
        return found
    own = axes_of_labels(layer, image, axes)
    if not own:
        own = letters_of(layer.axis_labels) or "TZYX"[-layer.ndim :]
    channels = shape_of(layer)[own.index("C")] if "C" in own else 1
    if channels > 1 or len(own) != layer.ndim:
        raise InputError(
            f"The layer ‘{layer.name}’ has {layer.ndim} axes, which do not go with an image",
            "make new labels for the image",
        )
    return Marks("" if image is None else image.name, own)


def axes_of_labels(layer: Any, image: Image | None, axes: str) -> str:
    """Axes of a layer whose labels are those of an image; empty where they cannot be.

    Parameters
    ----------
    layer : Labels
        Laid beside the image by `Placement`, or without that axis C.
    image : Image or None
        None where it is not known: its colours are not known from channels then.
    axes : str
        Of the image's array.
    """
    own = axes[: image.ndim] if image is not None else axes
    for found in (label_axes(axes), axes_beside(own)):
        channels = shape_of(layer)[found.index("C")] if "C" in found[: layer.ndim] else 1
        if len(found) == layer.ndim and channels == 1:
            return found
    return ""


def plane_count(layer: Any, axes: str) -> tuple[int, int]:
    """How many time points and planes labels have."""
    shape = shape_of(layer)
    times, depth = (int(shape[axes.index(a)]) if a in axes else 1 for a in "TZ")
    return times, depth


def plane_shown(viewer: Viewer, layer: Labels, axes: str) -> Plane | None:
    """The plane of labels that the viewer shows.

    None where it shows no plane of Y and X, or one outside of the labels.
    """
    offset = viewer.dims.ndim - layer.ndim  # layers are aligned at the last axes
    if sorted(viewer.dims.displayed) != sorted(offset + axes.index(a) for a in "YX"):
        return None
    point = layer.world_to_data(position(viewer, layer))
    times, depth = plane_count(layer, axes)
    place = {a: round(float(point[axes.index(a)])) if a in axes else 0 for a in "TZ"}
    inside = 0 <= place["T"] < times and 0 <= place["Z"] < depth
    return (place["T"], place["Z"]) if inside else None


def done_at(viewer: Viewer, layer: Labels) -> bool:
    """Whether the plane that the viewer shows is marked as done."""
    marks = marks_of(layer)
    return marks is not None and plane_shown(viewer, layer, marks.axes) in marks.done


def toggle_done(viewer: Viewer, layer: Labels) -> bool:
    """Mark the plane that the viewer shows as done, or take its mark away.

    Returns
    -------
    bool
        Whether it is done now.

    Raises
    ------
    InputError
        If the viewer shows no plane of the labels.
    """
    marks = adopt(layer)
    plane = plane_shown(viewer, layer, marks.axes)
    if plane is None:
        raise InputError(
            f"No plane of ‘{layer.name}’ is shown",
            "show rows and columns in 2D, at a plane of the labels, and mark it then",
        )
    now = plane not in marks.done
    done = {*marks.done, plane} if now else {p for p in marks.done if p != plane}
    set_marks(layer, replace(marks, done=tuple(sorted(done))))
    return now


def describe_done(layer: Labels, marks: Marks) -> str:
    """Which planes are done, in words.

    >>> from napari.layers import Labels
    >>> stack = Labels(np.zeros((26, 8, 8), int))
    >>> describe_done(stack, Marks("cells", "ZYX", done=((0, 3), (0, 4), (0, 5), (0, 9))))
    'done: 3–5, 9 of 26 planes'
    """
    times, depth = plane_count(layer, marks.axes)
    inside = [(t, z) for t, z in marks.done if t < times and z < depth]
    if times * depth == 1:
        return "done" if inside else "not done yet"
    if not inside:
        return f"done: none of {times * depth} planes"
    if times == 1 or depth == 1:
        numbers = [max(plane) for plane in inside]
        return f"done: {_ranges(numbers)} of {times * depth} planes"
    by_time = [f"t {t}: {_ranges([z for u, z in inside if u == t])}" for t, _ in inside]
    return f"done: {'; '.join(dict.fromkeys(by_time))} of {times} × {depth} planes"


def _ranges(numbers: list[int]) -> str:
    """Numbers in order, with runs of three and more drawn together."""
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    words = []
    for run in parts:
        words += [f"{run[0]}–{run[-1]}"] if len(run) > 2 else [str(n) for n in run]
    return ", ".join(words)
