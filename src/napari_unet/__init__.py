"""Segment microscopy images with U-Nets: in napari, from Python, on the command line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_unet.batch import FileResult, iter_segment_files, segment_files
    from napari_unet.card import ModelCard, UNetConfig
    from napari_unet.checks import Finding, check_examples
    from napari_unet.dataset.example import Example
    from napari_unet.errors import UNetError
    from napari_unet.inference.decoding import decode
    from napari_unet.inference.prediction import Prediction, iter_predict, predict
    from napari_unet.inference.segmentation import iter_segment, segment
    from napari_unet.metrics import Scores, evaluate
    from napari_unet.network.files import list_models
    from napari_unet.network.model import Model
    from napari_unet.progress import Progress
    from napari_unet.settings import SegmentSettings, TrainConfig
    from napari_unet.training.steps import MoreLabels, Preview, TrainStep
    from napari_unet.training.train import iter_train, train

    __version__: str

_HOME = {
    "Example": "dataset.example",
    "FileResult": "batch",
    "Finding": "checks",
    "Model": "network.model",
    "ModelCard": "card",
    "Prediction": "inference.prediction",
    "Progress": "progress",
    "Scores": "metrics",
    "SegmentSettings": "settings",
    "TrainConfig": "settings",
    "MoreLabels": "training.steps",
    "Preview": "training.steps",
    "TrainStep": "training.steps",
    "UNetConfig": "card",
    "UNetError": "errors",
    "check_examples": "checks",
    "decode": "inference.decoding",
    "evaluate": "metrics",
    "iter_predict": "inference.prediction",
    "iter_segment": "inference.segmentation",
    "iter_segment_files": "batch",
    "iter_train": "training.train",
    "list_models": "network.files",
    "predict": "inference.prediction",
    "segment": "inference.segmentation",
    "segment_files": "batch",
    "train": "training.train",
}

__all__ = [
    "Example",
    "FileResult",
    "Finding",
    "Model",
    "ModelCard",
    "MoreLabels",
    "Prediction",
    "Preview",
    "Progress",
    "Scores",
    "SegmentSettings",
    "TrainConfig",
    "TrainStep",
    "UNetConfig",
    "UNetError",
    "__version__",
    "check_examples",
    "decode",
    "evaluate",
    "iter_predict",
    "iter_segment",
    "iter_segment_files",
    "iter_train",
    "list_models",
    "predict",
    "segment",
    "segment_files",
    "train",
]

# a plain `__getattr__` would make every name `Any` to type checkers, hence the guard
if not TYPE_CHECKING:

    def __getattr__(name):
        if name == "__version__":
            return import_module("napari_unet.inference.run_record").package_version()
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"napari_unet.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
