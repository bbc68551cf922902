"""Results as data, attributes and type of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unet.widgets.viewer.label_colours import object_colours
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

if TYPE_CHECKING:
    from napari_unet.inference.results import Prediction, Segmentation
    from napari_unet.widgets.viewer.placement import Placement

LayerData = tuple[Any, dict[str, Any], str]


def labels_data(found: Segmentation, name: str, placement: Placement) -> LayerData:
    """Labels that carry their run record.

    Classes get the colours of the model's card, and their names in the status bar; objects get
    colours of which none is red.
    """
    look: dict[str, Any] = {}
    card = found.card
    if card.task == "semantic":
        from napari.utils.colormaps import DirectLabelColormap

        colours: dict[int | None, Any] = {c.value: c.colour for c in card.classes}
        look["colormap"] = DirectLabelColormap(
            color_dict={**colours, 0: "transparent", None: "transparent"}
        )
        look["features"] = {
            "index": [c.value for c in card.classes],
            "class": [c.name for c in card.classes],
        }
    else:
        look["colormap"] = object_colours()
    metadata = {RECORD_KEY: found.record}
    attributes = {"name": name, "metadata": metadata, **placement, **look}
    return placement.lay(found.labels), attributes, "labels"


def values_data(found: Prediction, name: str, placement: Placement) -> LayerData:
    """Predicted values, of several channels the first, that carry their run record."""
    axis = found.axes.index("C")
    index = tuple(0 if i == axis else slice(None) for i in range(found.scores.ndim))
    attributes = {"name": name, "metadata": {RECORD_KEY: found.record}, **placement}
    return placement.lay(found.scores[index]), attributes, "image"
