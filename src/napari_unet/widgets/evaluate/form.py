"""The form of the dock "Evaluate": which prediction, which truth, and how they are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, FileEdit, LineEdit
from napari.layers import Image, Labels

from napari_unet.errors import InputError, UNetError
from napari_unet.evaluation.files import check_settings
from napari_unet.evaluation.settings import EvaluationSettings
from napari_unet.widgets.evaluate.atlas_layer import ATLAS_KEY
from napari_unet.widgets.evaluate.layers import lay_on_truth
from napari_unet.widgets.evaluate.request import (
    ConfidenceRequest,
    FilesRequest,
    LayersRequest,
    Request,
)
from napari_unet.widgets.qt.axes_field import AxesField, AxesGuess
from napari_unet.widgets.qt.choice_list import ChoiceList
from napari_unet.widgets.qt.fields import FieldError
from napari_unet.widgets.qt.form import Form, Row
from napari_unet.widgets.qt.wording import is_next_step, worded
from napari_unet.widgets.viewer.kept_scores import read_foreground
from napari_unet.widgets.viewer.label_axes import Z_OR_T, guess_axes_of_labels
from napari_unet.widgets.viewer.label_data import axes_by_number
from napari_unet.widgets.viewer.layer_axes import name_axes
from napari_unet.widgets.viewer.layer_image import (
    RECORD_KEY,
    LayerImage,
    level_of,
    plain,
    shape_of,
)
from napari_unet.widgets.viewer.placement import lift

if TYPE_CHECKING:
    from napari import Viewer

LAYERS, FILES = "layers", "files or folders"
T = TypeVar("T")
NO_TRUTH, NO_SECOND = "no truth: by confidence", "none"
NOTHING = "nothing"  # a choice list shows texts, and None would be no choice
PIECES = "pieces of a mask"
TASKS: dict[str, dict[str, Any]] = {
    "as the layers are": {},
    "objects": {"task": "instance"},
    PIECES: {"task": "instance", "components": True},
    "classes": {"task": "semantic"},
    "values": {"task": "regression"},
}
REMEMBERED = ("source", "task")


class EvaluateForm:
    """All fields of the dock.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are compared.
    on_change : callable
        Called when anything has changed.
    """

    def __init__(self, viewer: Viewer, on_change: Callable[[], None]) -> None:
        self._viewer, self._on_change = viewer, on_change
        self.request: Request | None = None
        self.fault: FieldError | None = None
        self.source = ComboBox(choices=[LAYERS, FILES], value=LAYERS)
        self.prediction = ChoiceList(self._layers)
        self.truth = ChoiceList(lambda: [*self._layers(), (NO_TRUTH, NOTHING)])
        self.second = ChoiceList(lambda: [(NO_SECOND, NOTHING), *self._layers()])
        self.files = {
            name: FileEdit(mode=FileDialogMode.EXISTING_FILE, nullable=True, value=None)
            for name in ("predictions", "true_files", "second_files")
        }
        for edit in self.files.values():
            edit.choose_btn.text = "…"
        self.folders = False
        self.task = ComboBox(choices=list(TASKS), value=next(iter(TASKS)))
        self.ignore = LineEdit(value="")
        self.axes = AxesField(
            self._guess, lambda *_: (0,), self.refresh, name_axes, channels_tip="Not asked here."
        )
        self.rows = {
            "source": Row(self.source, "Compare", "Layers of the viewer, or files on disk."),
            "prediction": Row(self.prediction, "Prediction", "What is judged."),
            "truth": Row(
                self.truth,
                "Truth",
                "What it is compared with, matched by where the layers lie. Without a truth the "
                "objects are listed by the confidence of the model.",
            ),
            "axes": self.axes.rows["axes"],
            "second": Row(
                self.second, "Beside it", "Another prediction, judged by the same truth."
            ),
            "predictions": Row(
                self.files["predictions"],
                "Predictions",
                "A file or a folder. Type the name of a folder, or drop it here.",
            ),
            "true_files": Row(
                self.files["true_files"],
                "Truth",
                "A file, or a folder with files of the same names, with _labels, _masks and so on.",
            ),
            "second_files": Row(
                self.files["second_files"],
                "Beside it",
                "Predictions of another model for the same images; empty: none.",
            ),
            "task": Row(
                self.task,
                "As",
                "Objects: each number is one; of a mask, each piece. Classes: each number is a "
                "kind. Values: images.",
            ),
            "ignore": Row(
                self.ignore,
                "Ignore label",
                "A number of the truth whose pixels do not count; empty: all count.",
            ),
        }
        self.native = Form(list(self.rows.values()))
        self.prediction.changed.connect(lambda _: self._prediction_chosen())
        for part in (self.source, self.truth, self.second, self.task, self.ignore):
            part.changed.connect(lambda _: self.refresh())
        for edit in self.files.values():
            edit.changed.connect(lambda _: self.refresh())

    @property
    def layer(self) -> Any:
        """The layer of the prediction."""
        return plain(self.prediction.value)

    @property
    def true_layer(self) -> Any:
        """The layer of the truth; None where there is none."""
        value = plain(self.truth.value)
        return value if isinstance(value, Labels | Image) else None

    @property
    def candidates(self) -> list[Any]:
        """The layers that are judged."""
        second = plain(self.second.value)
        return [self.layer, *([second] if isinstance(second, Labels | Image) else [])]

    def remembered(self) -> dict[str, Any]:
        """What is kept for the next session."""
        return {name: getattr(self, name).value for name in REMEMBERED}

    def recall(self, kept: Mapping[str, Any]) -> None:
        """Fill the form with what was kept."""
        for name in REMEMBERED:
            part = getattr(self, name)
            if kept.get(name) in part.choices:
                with part.changed.blocked():
                    part.value = kept[name]

    def choose(self, prediction: Any, truth: Any = None, second: Any = None) -> None:
        """Choose layers; no truth: by confidence."""
        self.source.value = LAYERS
        for part in (self.prediction, self.truth, self.second):
            part.reset_choices()
        self.prediction.select(plain(prediction))
        self.truth.select(NOTHING if truth is None else plain(truth))
        self.second.select(NOTHING if second is None else plain(second))
        self.refresh()

    def choose_files(self, predictions: str, truth: str, second: str | None = None) -> None:
        """Choose files or folders."""
        for name, path in zip(self.files, (predictions, truth, second), strict=True):
            self.files[name].line_edit.value = path or ""
        self.source.value = FILES
        self.refresh()

    def show_settings(self, settings: EvaluationSettings) -> None:
        """Fill in how it is compared."""
        how: dict[str, Any] = {"task": settings.task}
        if settings.components and settings.task == "instance":
            how["components"] = True
        self.task.value = next(text for text, fields in TASKS.items() if fields == how)
        self.ignore.value = "" if settings.ignore is None else str(settings.ignore)

    def reset_choices(self) -> None:
        """List the layers anew."""
        for part in (self.prediction, self.truth, self.second):
            with part.changed.blocked():
                part.reset_choices()
        if self.layer is not None and self.true_layer is self.layer:
            self._suggest()
        self.refresh()

    def refresh(self) -> None:
        """Read the fields, and say what is wrong beside them."""
        files = self.source.value == FILES
        for name in ("prediction", "truth", "second"):
            self.rows[name].show(visible=not files)
        for name in ("predictions", "true_files", "second_files"):
            self.rows[name].show(visible=files)
        compared = files or self.true_layer is not None
        for name in ("task", "ignore"):
            self.rows[name].show(visible=compared)
        self.rows["second"].show(visible=not files and compared)
        layer = None if files else self.layer
        self.axes.show(layer)
        self.rows["axes"].show(visible=layer is not None and layer.ndim > 2)
        self.request, self.fault = None, None
        try:
            self.request = self._read_files() if files else self._read_layers()
        except FieldError as fault:
            self.fault = fault.to_keep()
        for name, row in self.rows.items():
            wrong = self.fault if self.fault is not None and self.fault.field == name else None
            said = "" if wrong is None else worded(wrong.error)
            row.show_message("", said, calm=wrong is not None and is_next_step(wrong.error))
        self._on_change()

    # layers

    def _layers(self) -> list[tuple[str, Any]]:
        return [
            (layer.name, plain(layer))
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, Labels | Image) and ATLAS_KEY not in layer.metadata
        ]

    def _prediction_chosen(self) -> None:
        self._suggest()
        self.refresh()

    def _suggest(self) -> None:
        """As a truth: labels that no run made, on the same pixels; else none."""
        layer = self.layer
        self.truth.select(NOTHING)
        for _, other in self._layers():
            if other is layer or not isinstance(other, Labels) or RECORD_KEY in other.metadata:
                continue
            try:
                lay_on_truth(layer, self._axes(), other)
            except UNetError:
                continue
            self.truth.select(other)
            return

    def _guess(self, layer: Any) -> AxesGuess:
        """Axes of a layer; what it leaves open the truth may tell."""
        found = self._guess_alone(layer)
        truth = self.true_layer
        if found.doubt and truth is not None and truth is not layer and truth.ndim == layer.ndim:
            true = self._guess_alone(truth)
            return found if true.doubt else true
        return found

    def _guess_alone(self, layer: Any) -> AxesGuess:
        if isinstance(layer, Labels):
            images = [plain(each) for each in self._viewer.layers if isinstance(each, Image)]
            return guess_axes_of_labels(layer, images)
        known: str | None = LayerImage.of(layer).known_axes
        if known is None and layer.ndim == 3 and not layer.rgb:
            return AxesGuess("ZYX", Z_OR_T, ("TYX",))
        return AxesGuess(known or axes_by_number(layer.ndim))

    def _axes(self) -> str:
        return self.axes.axes_of(self.layer)

    def _check_axes(self) -> None:
        """Objects are matched at each time point by itself: T must be known from Z."""
        if self.axes.doubt_about(self.layer):
            error = InputError(
                "Nothing says whether the first axis is Z or T", "press what it is", code="no-axes"
            )
            raise FieldError("axes", error)

    def _settings(self) -> EvaluationSettings:
        text = str(self.ignore.value).strip()
        try:
            ignore = int(text) if text else None
        except ValueError:
            error = InputError(f"‘{text}’ is no label", "type a whole number, or nothing")
            raise FieldError("ignore", error) from None
        how = TASKS[self.task.value] or {"task": self._task_of_layers()}
        return _of("ignore", lambda: check_settings(None, {**how, "ignore": ignore}))

    def _task_of_layers(self) -> str:
        if self.source.value == FILES:
            return "instance"
        if not isinstance(self.layer, Labels) and not isinstance(self.true_layer, Labels):
            return "regression"  # beside labels an image holds labels too: readers do not tell
        record = self.layer.metadata.get(RECORD_KEY)
        semantic = isinstance(record, Mapping) and record.get("task") == "semantic"
        return "semantic" if semantic else "instance"

    def _read_layers(self) -> Request:
        layer, truth = self.layer, self.true_layer
        if layer is None:
            error = InputError(
                "There is no layer to judge", "segment an image, or open a result", code="no-image"
            )
            raise FieldError("prediction", error)
        if truth is None:
            return self._read_confidence()
        if truth is layer:
            error = InputError("That is the prediction itself", "choose the layer that is right")
            raise FieldError("truth", error)
        settings = self._settings()
        candidates = self.candidates
        if candidates[1:] in ([layer], [truth]):
            error = InputError("That is compared already", "choose another layer, or none")
            raise FieldError("second", error)
        if settings.task == "instance":
            self._check_axes()
        axes = self._axes()
        laid = [
            _of("truth" if each is layer else "second", partial(lay_on_truth, each, axes, truth))
            for each in candidates
        ]
        if settings.task != "regression":
            arrays = [laid[0].truth, *(each.prediction for each in laid)]
            for name, each in zip(("truth", "prediction", "second"), arrays, strict=False):
                _of(name, partial(check_whole, each))
        return LayersRequest(
            tuple(each.prediction for each in laid),
            tuple(each.name for each in candidates),
            laid[0].truth,
            truth.name,
            laid[0].axes if settings.task != "regression" else None,
            settings,
        )

    def _read_confidence(self) -> Request:
        layer = self.layer
        whole = tuple(slice(0, size) for size in shape_of(layer))
        scores = read_foreground(layer, whole) if isinstance(layer, Labels) else None
        if scores is None:
            error = InputError(
                "There are no scores of this layer, and no truth is chosen",
                "choose a truth, or segment again in the dock Segment",
                code="no-truth",
            )
            raise FieldError("truth", error)
        self._check_axes()
        axes = self._axes()
        labels, flat = lift(level_of(layer), axes)
        return ConfidenceRequest(labels, lift(scores, axes)[0], flat)

    def _read_files(self) -> Request:
        paths: dict[str, Path | None] = {}
        for name, edit in self.files.items():
            text = str(edit.line_edit.value).strip()
            paths[name] = Path(text) if text else None
        for name, what in (("predictions", "the predictions"), ("true_files", "the truth")):
            if paths[name] is None:
                error = InputError(
                    f"Nothing says where {what} are", "choose a file or a folder", code="no-image"
                )
                raise FieldError(name, error)
        for name, path in paths.items():
            if path is not None and not path.exists():
                raise FieldError(name, InputError(f"There is no {path}", "choose another"))
        predictions, truth = paths["predictions"], paths["true_files"]
        assert predictions is not None
        assert truth is not None
        return FilesRequest(predictions, truth, paths["second_files"], self._settings())


def check_whole(array: Any) -> None:
    """Raise InputError where numbers are no labels."""
    if np.dtype(array.dtype).kind not in "iub":
        raise InputError(
            "These are no labels but values with decimals",
            "convert the layer to labels, or compare values",
        )


def _of(field: str, make: Callable[[], T]) -> T:
    """What is made of a field; its fault is that of the field."""
    try:
        return make()
    except UNetError as error:
        raise FieldError(field, error) from None
