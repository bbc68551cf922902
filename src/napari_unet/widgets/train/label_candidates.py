"""Layers that may be the labels of an image, and why others are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Image, Labels

from napari_unet.card import Task
from napari_unet.dataset.label_placement import LabelPlacement
from napari_unet.dataset.pixel_grid import MismatchError
from napari_unet.errors import InputError
from napari_unet.widgets.annotation.label_matching import looks_like_labels, match_layers
from napari_unet.widgets.annotation.marks import marks_of
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, level_of, plain

if TYPE_CHECKING:
    from napari import Viewer

MOST_NAMED = 3  # layers that a message names


@dataclass(frozen=True, eq=False)
class Unmatched:
    """Layers that might be meant as the labels of an image, and cannot be taken.

    Attributes
    ----------
    mismatches : sequence of (layer, MismatchError)
        Of the right kind, in the wrong place.
    pictures : sequence of Image
        Image layers that look like labels, in the right place.
    """

    mismatches: Sequence[tuple[Any, MismatchError]] = ()
    pictures: Sequence[Image] = ()


class LabelCandidates:
    """Matches the layers of a viewer.

    Parameters
    ----------
    viewer : Viewer
        Whose layers.
    axes_of : callable
        Gives the axes of an image layer's array; empty: unknown.
    """

    def __init__(self, viewer: Viewer, axes_of: Callable[[Image], str]) -> None:
        self._viewer = viewer
        self._axes_of = axes_of
        # by layer: the identity of the data, and whether it looks like labels
        self._looks: WeakKeyDictionary[Any, tuple[int, bool]] = WeakKeyDictionary()

    def rank(self, image: Image, layer: Any, task: Task) -> tuple[float, ...] | None:
        """How well labels, or a target, suit an image, lower is better; None: not at all."""
        is_target, is_result = task == "regression", RECORD_KEY in layer.metadata
        marks = None if is_target else marks_of(layer)
        if is_target and is_result:
            return None
        if marks is not None and marks.image != image.name:
            return None
        if not is_target and not layer.editable and not layer.multiscale:
            return None  # a preview, or a result that grows
        try:
            found = match_layers(image, self._axes_of(image), layer, target=is_target)
        except InputError:
            return None
        if not found.is_declared or (is_target and not found.is_whole):
            return None
        origin = 0 if marks is not None else 2 if is_result else 1
        return origin, found.image_level, 1 - found.share

    def unmatched(self, image: Image, task: Task, layers: Sequence[Any]) -> Unmatched:
        """What might be meant as labels of an image, and why it is not taken.

        Parameters
        ----------
        image : Image
            Without labels.
        task : str
            What is learned.
        layers : sequence of layers
            Of the kind that is needed.
        """
        axes = self._axes_of(image)
        mismatches = []
        for layer in layers:
            try:
                found = match_layers(image, axes, layer, target=task == "regression")
            except MismatchError as error:
                mismatches.append((layer, error))
                continue
            except InputError:
                continue  # another message tells it
            if not found.is_declared:
                mismatches.append((layer, _of_another_size(image, layer, found)))
        pictures = []
        if task != "regression":
            pictures = [x for x in self._pictures() if x != image and self._lies_on(x, image)]
        return Unmatched(mismatches, pictures)

    def holds_labels_of_another(self, image: Image) -> bool:
        """Whether an image looks like the labels of another image layer."""
        if not self._is_picture_of_labels(image):
            return False
        others = [x for x in self._viewer.layers if isinstance(x, Image) and x != image]
        return any(
            not self._is_picture_of_labels(x) and self._lies_on(image, x)
            for x in others
            if RECORD_KEY not in x.metadata
        )

    def _pictures(self) -> list[Image]:
        return [
            x
            for x in self._viewer.layers
            if isinstance(x, Image)
            and not isinstance(x, Labels)
            and RECORD_KEY not in x.metadata
            and self._is_picture_of_labels(x)
        ]

    def _is_picture_of_labels(self, layer: Image) -> bool:
        data = level_of(layer)
        key = plain(layer)
        if self._looks.get(key, (0, False))[0] != id(data):
            self._looks[key] = id(data), looks_like_labels(layer)
        return self._looks[key][1]

    def _lies_on(self, layer: Any, image: Image) -> bool:
        try:
            match_layers(image, self._axes_of(image), layer)
        except InputError:
            return False
        return True


def _of_another_size(image: Image, layer: Any, found: LabelPlacement) -> MismatchError:
    shape, size = (" × ".join(map(str, n)) for n in (found.shape, found.image_shape))
    problem = f"‘{layer.name}’ has another size ({shape}) than ‘{image.name}’ ({size})"
    remedy = "choose it by hand if it is of the first rows and columns; else give it its place"
    if found.ratio > 1:
        how = "half or twice" if found.ratio == 2 else f"1/{found.ratio} or {found.ratio} times"
        problem += f", exactly {how} that, as another level of a pyramid has"
        remedy = "open image and labels at the same size"
    else:
        problem += ", and nothing says on which part of it it lies"
    return MismatchError(problem, remedy, code="size")


def describe_unmatched(image: Image, found: Unmatched) -> tuple[str, str]:
    """What is wrong with all layers that might be labels, and what to do; both may be empty."""
    errors = [error for _, error in found.mismatches]
    for layer in found.pictures:
        problem = (
            f"‘{layer.name}’ lies on ‘{image.name}’ and looks like labels, but is an Image layer"
        )
        remedy = (
            f"right-click ‘{layer.name}’ in the list of layers and choose ‘Convert to Labels’, or "
            "press the button"
        )
        errors.insert(0, MismatchError(problem, remedy, code="image-layer"))
    if len(errors) < 2:
        return (str(errors[0].problem), str(errors[0].remedy)) if errors else ("", "")
    named = "; ".join(str(error.problem) for error in errors[:MOST_NAMED])
    more = f"; and {len(errors) - MOST_NAMED} more" if len(errors) > MOST_NAMED else ""
    remedies = list(dict.fromkeys(str(error.remedy) for error in errors))
    return (
        f"No labels can be taken for ‘{image.name}’: {named}{more}",
        remedies[0] if len(remedies) == 1 or found.pictures else "move them to their image",
    )
