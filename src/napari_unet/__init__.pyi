# The public names. lazy_loader reads this file at run time, hence the relative imports,
# one plain `from .module import name` each.

from .batch import FileResult, iter_segment_files, segment_files
from .card import ModelCard
from .checks import Finding, check_examples
from .dataset.example import Example
from .errors import UNetError
from .formats.export import export, iter_export
from .inference.decoding import decode
from .inference.prediction import iter_predict, predict
from .inference.results import Prediction
from .inference.segmentation import iter_segment, segment
from .installation import __version__
from .io import read_image, write_labels
from .measurement import iter_measure, measure
from .metrics import Scores, evaluate
from .network.files import list_models
from .network.model import Model
from .progress import Progress
from .replay import run
from .samples import load_sample
from .settings import SegmentSettings, TrainConfig
from .training.steps import MoreLabels, Preview, TrainStep
from .training.train import iter_train, train
from .unet_config import UNetConfig

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
    "export",
    "iter_export",
    "iter_measure",
    "iter_predict",
    "iter_segment",
    "iter_segment_files",
    "iter_train",
    "list_models",
    "load_sample",
    "measure",
    "predict",
    "read_image",
    "run",
    "segment",
    "segment_files",
    "train",
    "write_labels",
]
