"""The errors of a prediction as a layer: a colour for each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_unet.evaluation.atlas import COLOURS, Atlas
from napari_unet.widgets.evaluate.layers import lay_errors
from napari_unet.widgets.viewer.layer_image import plain

if TYPE_CHECKING:
    from napari import Viewer

ATLAS_KEY = "napari_unet.errors"  # in the metadata of a layer of errors
OPACITY = 0.75


class AtlasLayer:
    """Shows the errors, in one layer that is renewed.

    Parameters
    ----------
    viewer : Viewer
        Where.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.layer: Labels | None = None

    @property
    def is_shown(self) -> bool:
        """Whether the layer is in the viewer."""
        return self.layer is not None and self.layer in self._viewer.layers

    def show(self, atlas: Atlas, truth: Any, name: str) -> Labels:
        """Show errors at the place of the truth."""
        place = lay_errors(atlas.labels, truth)
        colours: dict[int | None, Any] = {e.number: COLOURS[e.kind] for e in atlas.errors}
        colours |= {None: "transparent", 0: "transparent"}
        colormap = DirectLabelColormap(color_dict=colours)
        features = pd.DataFrame(
            {
                "index": [error.number for error in atlas.errors],
                "kind": [error.kind for error in atlas.errors],
            }
        )
        if self.is_shown and self.layer is not None and self.layer.ndim == place["data"].ndim:
            layer, title = self.layer, f"{name} errors"
            layer.data, layer.colormap, layer.features = place.pop("data"), colormap, features
            if layer.name != title:
                layer.name = title
            for attribute, value in place.items():
                setattr(layer, attribute, value)
            layer.visible = True
            return layer
        layer = Labels(
            **place,
            name=f"{name} errors",
            colormap=colormap,
            features=features,
            opacity=OPACITY,
            metadata={ATLAS_KEY: True},
        )
        layer.editable = False
        before = self._viewer.layers.selection.active
        self.layer = plain(self._viewer.add_layer(layer))
        self._viewer.layers.selection.active = before
        return self.layer
