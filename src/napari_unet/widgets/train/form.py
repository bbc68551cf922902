"""The form of the dock "Train": what is learned from what, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QTimer

from napari_unet.card import ModelCard, Task
from napari_unet.checks.finding import Finding
from napari_unet.errors import InputError, SettingsError, UNetError
from napari_unet.settings import TrainConfig, resolve
from napari_unet.widgets.annotation.marks import marks_of
from napari_unet.widgets.annotation.panel import PaintingPanel
from napari_unet.widgets.models.picker import ModelPicker
from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.qt.choice_list import ChoiceList
from napari_unet.widgets.qt.events import Follower
from napari_unet.widgets.qt.fields import FieldError
from napari_unet.widgets.qt.form import Form, Row, order_tabs
from napari_unet.widgets.qt.wording import TASK_NAMES, worded
from napari_unet.widgets.train.class_table import ClassTable, appearance_of
from napari_unet.widgets.train.example_axes import ExampleAxes
from napari_unet.widgets.train.example_faults import ExampleFaults
from napari_unet.widgets.train.example_line import ExampleLine
from napari_unet.widgets.train.example_table import ExampleTable
from napari_unet.widgets.train.finding_board import FindingBoard
from napari_unet.widgets.train.findings import Checked, FindingsRunner
from napari_unet.widgets.train.labelled_layers import NO_IMAGE, LabelledLayers, labelled_layers
from napari_unet.widgets.train.request import TrainingRequest
from napari_unet.widgets.train.settings import HELD, TrainSettings, hold_row
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, shape_of

if TYPE_CHECKING:
    from napari import Viewer

SCRATCH = "From scratch"
TASK_TIP = (
    "What the model is to find: objects, each with a number of its own; classes, such as "
    "tissue and background; or values, such as a denoised image."
)
BASE_TIP = (
    "The model to start from, which is not changed. It learns from far fewer labels than a new "
    "network, if its images looked alike."
)
STROKE_DELAY_MS = 200  # without a stroke, before the labels are checked


class TrainForm:
    """All fields of the dock, and the request that they make.

    The examples are looked at in the background as they change; see `FindingsRunner`.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are learned from.
    on_change : callable
        Called when anything in the form, of the chosen layers, or of what was found has
        changed.
    """

    def __init__(self, viewer: Viewer, on_change: Callable[[], None]) -> None:
        self._viewer = viewer
        self._on_change = on_change
        self._blocker = Blocker()
        self._base_by_hand = False
        self._looked_at = 0  # examples that the findings are about
        self._held = False  # a training runs
        self.request: TrainingRequest | None = None
        self.fault: FieldError | None = None
        self.checked = False  # whether the findings are of the present request

        self.task = ChoiceList(lambda: [(text, task) for task, text in TASK_NAMES.items()])
        self.fields = ExampleAxes(viewer, self.changed, self._label_shape, lambda: self.table.lines)
        self.table = ExampleTable(viewer, self._table_changed, self._painted, self.fields.axes_of)
        self._faults = ExampleFaults(viewer, self.table, self.fields.axes_of, self.take)
        self.painting = PaintingPanel(viewer, self._painted)
        self.classes = ClassTable(self.changed)
        self.models = ModelPicker(
            self._base_changed, nothing=SCRATCH, label="Start from", tooltip=BASE_TIP
        )
        self.settings = TrainSettings(self.changed)
        self.board = FindingBoard(self.table, self._on_change, self._faults.mends)
        self.rows: dict[str, Any] = {
            "task": Row(self.task, "Task", TASK_TIP),
            "examples": self.table.row,
            "more_examples": self.board.rows["more_examples"],
            **self.painting.rows,
            **self.fields.rows,
            "classes": self.classes.row,
            "more_classes": self.board.rows["more_classes"],
            "base": self.models.row,
            "more_base": self.board.rows["more_base"],
            **self.settings.rows,
        }
        settings = self.settings.rows
        self.native = Form(
            [
                *(row for name, row in self.rows.items() if name not in settings),
                *self.settings.shown,
                *self.settings.folded,
            ]
        )
        Follower(self.rows["task"].native, self.table.align)
        self._pause = QTimer(self.native)
        self._pause.setSingleShot(True)
        self._pause.setInterval(STROKE_DELAY_MS)
        self._pause.timeout.connect(self.changed)
        self.checks = FindingsRunner(self.native, self._found)
        self.task.changed.connect(lambda _: self._task_changed())
        viewer.layers.selection.events.active.connect(self._selected)
        with self._blocker:
            self.models.set_task("instance")

    # what the dock asks

    @property
    def card(self) -> ModelCard | None:
        """Card of the model to start from; None: from scratch."""
        return self.models.card

    @property
    def has_faults(self) -> bool:
        """Whether something keeps the training from starting, as far as it is known."""
        return self.request is None or bool(self.board.faults)

    @property
    def first_fault(self) -> str:
        """What keeps the training from starting, in the words of the form; or empty."""
        return "" if self.first is None else worded(self.first)

    @property
    def first_problem(self) -> str:
        """The same without what to do about it."""
        return "" if self.first is None else worded(self.first, brief=True)

    @property
    def first(self) -> UNetError | Finding | None:
        """What keeps the training from starting."""
        if self.fault is not None:
            return self.fault.error
        return next(iter(self.board.faults), None)

    @property
    def content(self) -> object:
        """Equal while nobody has changed, painted or drawn anything."""
        return self.values(), self.table.content, self.classes.classes, self.fields.typed

    def start(self, values: Mapping[str, Any]) -> None:
        """Fill the form: earlier settings, and the layers that there are."""
        with self._blocker:
            self.table.start()
        self.set_values(values)

    def take(self, image: Image, labels: Any) -> None:
        """Learn from these labels of this image, by the model that predicted them, if any."""
        with self._blocker:
            if self.task.value == "regression":
                self.task.value = "instance"
            self.table.set_task(self.task.value)
            self.table.take(image, labels)
            if not self._held:
                self._take_base(labels)
        self.changed()

    def values(self) -> dict[str, Any]:
        """What is worth keeping for the next time, in plain values."""
        return {
            "task": self.task.value,
            "base": None if self.models.source is None else str(self.models.source),
            "settings": self.settings.values(),
        }

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Take over what `values` gave; what is missing or wrong gets its default."""
        with self._blocker:
            task = values.get("task")
            if task in TASK_NAMES:
                self.task.value = task
            self._apply_task()
            self._base_by_hand = "base" in values
            if self._base_by_hand:
                self.models.choose(values["base"])
            else:
                self._choose_base()
            settings = values.get("settings")
            self.settings.set_values(settings if isinstance(settings, dict) else {})
        self.changed()

    def reset_choices(self) -> None:
        """List layers and models anew."""
        self.table.reset_choices()
        self.models.reset_choices()

    def refresh(self) -> None:
        """Take in what the layers are now."""
        self.changed()

    def hold(self, *, held: bool) -> None:
        """While a training runs, only what it can take in can be changed; nothing is looked at."""
        self._held = held
        self.checks.hold(held=held)
        for name in ("task", "classes", "base"):
            hold_row(self.rows[name], held=held)
        self.settings.hold(held=held)
        self.rows["task"].show_message(hint=HELD if held else "")  # stands for all of them

    def close(self) -> None:
        """Stop listening; no widget is touched."""
        self.checks.drop()
        self.table.close()
        self._viewer.layers.selection.events.active.disconnect(self._selected)
        self.painting.close()

    def set_devices(self, devices: list[str]) -> None:
        """Offer the devices that there are."""
        self.settings.set_devices(devices)

    def set_findings(self, findings: Sequence[Finding]) -> None:
        """Show what was found, and tell of it."""
        self.board.findings = list(findings)
        self.checked = True
        self._on_change()

    # what is said

    def show_messages(self) -> None:
        """Write hints, faults and doubts beside what they are about."""
        wrong = {} if self.fault is None else {self.fault.field: worded(self.fault.error)}
        for name in ("base", *self.settings.rows):
            self.rows[name].show_message(fault=wrong.get(name, ""))
        image = self.table.image
        several = len({id(line.image) for line in self.table.lines}) > 1
        self.fields.show(image, several=several)
        for name in wrong.keys() & {"axes", "channels"}:
            self.rows[name].show_message(fault=wrong[name])
        self.board.show((self.task.value, self.models.source), self._faults.lines)
        for fault in self.board.faults_of_settings[:1]:
            self.rows["minutes"].show_message(fault=worded(fault))

    # what changes

    def changed(self) -> None:
        """Check the form and tell of it."""
        if self._blocker.active:
            return
        self._pause.stop()
        self.table.refresh()
        card = self.card
        self.fields.set_model(card, self.settings.ndim or 2)
        lines = len(self.table.lines)
        self.fault, self.request = None, None
        self._faults.clear()
        try:
            self.request = self._check()
        except FieldError as fault:
            self.fault = fault.to_keep()
        self.checked = False
        if self.request is None or lines != self._looked_at:
            self.board.findings = []  # of something else
        self._set_painting()
        self._show_parts()
        self.checks.check(self.request)
        self._on_change()

    def _check(self) -> TrainingRequest:
        task: Task = self.task.value
        layers = []
        for line in self.table.lines:
            try:
                layers.append(self._layers(line, task))
            except InputError as error:
                self._faults.add(line, error)
        if self._faults.first is not None:
            raise FieldError("examples", self._faults.first)
        if self.models.fault:
            raise FieldError("base", UNetError(self.models.fault))
        values = self.settings.values()
        if self.card is not None:
            values.pop("ndim", None)
        elif task == "instance" and all(x.whole_planes for x in layers) and "Z" in layers[0].axes:
            values.setdefault("ndim", 2)  # planes do not tell how far objects reach through others
        if task == "semantic" and len(self.classes.values) > 1:
            values["classes"] = self.classes.classes
        try:
            config = resolve(TrainConfig, None, {"task": task, **values})
        except SettingsError as error:
            field = error.parameter if error.parameter in values else None
            raise FieldError(field or "examples", error) from None
        return TrainingRequest(tuple(layers), self.models.source, config)

    def _layers(self, line: ExampleLine, task: Task) -> LabelledLayers:
        if line.image is None:
            raise InputError(*NO_IMAGE, code="no-image")
        try:
            axes, channels = self.fields.checked(line.image)
        except InputError as error:
            if line.image is self.table.image:
                raise FieldError("axes", error) from None
            raise
        is_truth = line.labels is not None and self.table.is_taken_as_truth(line.labels)
        unmatched = self.table.unmatched(line.image) if line.labels is None else None
        return labelled_layers(line, axes, channels, task, is_truth=is_truth, unmatched=unmatched)

    def _found(self, checked: Checked) -> None:
        """Take in what was found; new classes change the request, which is looked at again."""
        self._looked_at = len(checked.request.layers)
        self.board.findings = checked.findings
        if checked.request.config.task == "semantic" and self._name_classes(checked):
            self.changed()
            return
        self.set_findings(checked.findings)

    def _name_classes(self, checked: Checked) -> bool:
        """List the values that were found; whether any is new."""
        base = self.card
        looks: dict[int, dict[str, str]] = {}
        for line, values in zip(self.table.lines, checked.values, strict=False):
            for value in values:
                looks.setdefault(value, appearance_of(line.labels, value))
        for info in () if base is None else base.classes:
            looks[info.value] = {"name": info.name, "colour": info.colour}
        return self.classes.show_values(looks, looks)

    def _table_changed(self) -> None:
        if not self._blocker.active:
            self.changed()
            order_tabs(self.native)

    def _painted(self) -> None:
        """Look at the labels when the stroke has ended; marks count at once."""
        if not self._blocker.active:
            self._pause.start()

    def _selected(self, _: object = None) -> None:
        if not self._blocker.active:
            self._set_painting()
            self._on_change()

    def _set_painting(self) -> None:
        image = self.table.image
        self.painting.set_task(self.task.value, {c.value: c.name for c in self.classes.classes})
        self.painting.set_image(image, "" if image is None else self.fields.axes_of(image))

    def _label_shape(self, image: Image) -> tuple[int, ...] | None:
        line = next((x for x in self.table.lines if x.image == image and x.labels), None)
        usable = line is not None and self.task.value != "regression"
        return shape_of(line.labels) if line is not None and usable else None

    def _task_changed(self) -> None:
        if self._blocker.active:
            return
        with self._blocker:
            self._apply_task()
            if self.card is None and not self._base_by_hand:
                self._choose_base()
        self.changed()

    def _apply_task(self) -> None:
        self.board.findings = []
        self.models.set_task(self.task.value)
        self.table.set_task(self.task.value)

    def _show_parts(self) -> None:
        """Show what the task needs."""
        task: Task = self.task.value
        for name, row in self.painting.rows.items():
            fits = task == "instance" if "background" in name else task != "regression"
            row.show(visible=fits)
        self.rows["classes"].show(visible=task == "semantic")
        self.settings.show_for_task(task, from_scratch=self.card is None)

    # models

    def _base_changed(self) -> None:
        if not self._blocker.active:
            self._base_by_hand = True
        self.changed()

    def _choose_base(self) -> None:
        """The first model of the task, where there is one: it needs the fewest labels."""
        self.models.choose(next(iter(self.models.sources), None))

    def _take_base(self, labels: Any) -> None:
        """The model that predicted the labels."""
        marks = marks_of(labels)
        record = labels.metadata.get(RECORD_KEY) or (marks.corrected if marks else None) or {}
        name = (record.get("model") or {}).get("name")
        if isinstance(name, str):
            self.models.choose(name)
