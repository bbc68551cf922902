"""What the form of a training asks for: arrays and values only, no layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_unet.dataset.example import Example
from napari_unet.settings import TrainConfig
from napari_unet.widgets.train.labelled_layers import LabelledLayers


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
