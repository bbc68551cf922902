"""Rows for painting: new labels, planes that are done, the background, how much there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, PushButton
from napari.layers import Labels

from napari_unet.errors import InputError
from napari_unet.widgets.annotation.counts import Counts, LabelCounts
from napari_unet.widgets.annotation.layer_watch import watch_layer
from napari_unet.widgets.annotation.marks import (
    Marks,
    adopt,
    axes_of_labels,
    describe_done,
    done_at,
    marks_for,
    marks_of,
    plane_shown,
    set_marks,
    toggle_done,
)
from napari_unet.widgets.annotation.painting import (
    DONE_KEY,
    bind_done_key,
    new_labels,
    paint_background,
)
from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.qt.choice_list import ChoiceList
from napari_unet.widgets.qt.form import Row, text_label
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

NEW_TIP = "Adds an empty Labels layer over the image and takes up the brush."
DONE_TIP = (
    f"Everything in the plane that is shown has its label; what has none is background. "
    f"The key {DONE_KEY} marks it too, while the labels are the selected layer."
)
BACKGROUND_TIP = (
    "The label that was painted on background. Then strokes are enough: only painted pixels "
    "count, and no plane must be complete."
)
PAINT_BACKGROUND_TIP = (
    "Takes up the brush with the label that means background; where there is none yet, a free one "
    "becomes it. The key M takes a new label for the next object."
)
COUNTS_TIP = "What is labelled on this layer so far."
NO_LABELS = "No labels are selected; make new ones, or select a Labels layer."
PREDICTION = "‘{}’ is a prediction: correct it first, then it can be painted on."
NONE_YET = "none yet"  # None is a value that is not told of
OFFERED_LABELS = 50  # labels for the background


class PaintingPanel:
    """What goes with painting; its ``rows`` are to be put into a form.

    They refer to the Labels layer that is selected, or was selected last.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are painted on.
    on_change : callable
        Called when labels, marks or background changed.
    """

    def __init__(self, viewer: Viewer, on_change: Callable[[], None]) -> None:
        self._viewer = viewer
        self._on_change = on_change
        self._image: Image | None = None
        self._axes = ""
        self._classes = False
        self._names: dict[int, str] = {}  # of the classes, as the form has them
        self._layer: Labels | None = None
        self._counts: LabelCounts | None = None
        self._blocker = Blocker()
        self.new = PushButton(text="New labels")
        self.done = CheckBox(text=f"This plane is done ({DONE_KEY})")
        self.background = ChoiceList(self._labels)
        self.paint_background = PushButton(text="Paint background")
        self.counts_line = text_label()
        self.rows = {
            "new_labels": Row(self.new, "", NEW_TIP),
            "done": Row(self.done, "", DONE_TIP),
            "background": Row(self.background, "Background is", BACKGROUND_TIP),
            "paint_background": Row(self.paint_background, "", PAINT_BACKGROUND_TIP),
            "counts": Row(self.counts_line, "", COUNTS_TIP),
        }
        self.new.changed.connect(self._make)
        self.done.changed.connect(self._toggle)
        self.background.changed.connect(self._choose)
        self.paint_background.changed.connect(self._paint_background)
        self._connected = [
            (viewer.layers.selection.events.active, self._select),
            (viewer.layers.events.removed, self._select),
            (viewer.dims.events.current_step, self._update_done_mark),
            (viewer.dims.events.order, self._update_done_mark),
            (viewer.dims.events.ndisplay, self._update_done_mark),
        ]
        for event, callback in self._connected:
            event.connect(callback)
        self.set_image(None, "")
        self._select()
        self._update_rows()

    @property
    def layer(self) -> Labels | None:
        """The labels that the rows are about."""
        return self._layer

    @property
    def counts(self) -> Counts | None:
        """What was painted; None where there are no labels, or they are not counted yet."""
        return None if self._counts is None else self._counts.counts

    @property
    def counting(self) -> bool:
        """Whether newer counts are to come."""
        return self._counts is not None and self._counts.counting

    def set_image(self, image: Image | None, axes: str) -> None:
        """Say which image new labels are for.

        Parameters
        ----------
        image : Image or None
            The image layer.
        axes : str
            Of its array; empty where they are not known.
        """
        self._image, self._axes = image, axes
        self.new.enabled = image is not None and bool(axes)
        self.new.text = "New labels" if image is None else f"New labels for {image.name}"
        self.rows["new_labels"].show_message()
        self._update_rows()

    def set_task(self, task: str, names: Mapping[int, str] | None = None) -> None:
        """Say whether labels are objects ("instance") or classes ("semantic").

        Parameters
        ----------
        task : str
            What is learned.
        names : mapping, optional
            Of the classes, by label.
        """
        self._classes = task == "semantic"
        self._names = dict(names or {}) if self._classes else {}
        self._update_rows()

    def close(self) -> None:
        """Stop listening; for a dock that is closed. No widget is touched."""
        for event, callback in self._connected:
            event.disconnect(callback)
        self._connected = []
        self._leave()

    # what the user does

    def _make(self, _: Any = None) -> None:
        if self._image is None:
            return
        try:
            new_labels(self._viewer, self._image, self._axes)
        except InputError as error:
            self.rows["new_labels"].show_message(fault=worded(error))
        else:
            self.rows["new_labels"].show_message()
            self._on_change()

    def _toggle(self, _: Any = None) -> None:
        layer = self._layer
        if layer is None or self._blocker.active:
            return
        try:
            self._adopt(layer)
            toggle_done(self._viewer, layer)  # which emits events.metadata
        except InputError as error:
            self._update_rows()
            self.rows["done"].show_message(fault=worded(error))

    def _choose(self, value: int | str) -> None:
        layer = self._layer
        if layer is None or self._blocker.active:
            return
        with suppress(InputError):
            set_marks(layer, replace(self._adopt(layer), background=_label(value)))

    def _paint_background(self, _: Any = None) -> None:
        row = self.rows["paint_background"]
        row.show_message()
        is_new = not self._is_painted
        if is_new:
            self._make()
        layer = self._layer
        if layer is None or not self._is_painted:
            return  # what was wrong is said beside ‘New labels’
        if self.counts is None and not is_new:
            row.show_message("The labels are still being counted; press again in a moment.")
            return
        taken = () if self.counts is None else self.counts.values.tolist()
        try:
            label = paint_background(self._viewer, layer, self._adopt(layer), taken)
        except InputError as error:
            row.show_message(fault=worded(error))
        else:
            row.show_message(f"Label {label} is background: paint between the objects.")

    @property
    def _is_painted(self) -> bool:
        """Whether there are labels that can be painted on."""
        return self._layer is not None and RECORD_KEY not in self._layer.metadata

    def _adopt(self, layer: Labels) -> Marks:
        """The marks of the layer, which may be one that the viewer's own button made."""
        image = self._image
        if image is not None and not axes_of_labels(layer, image, self._axes):
            image = None
        return adopt(layer, image, self._axes if image is not None else "")

    # what is shown

    def _select(self, _: Any = None) -> None:
        """Turn to the layer that is selected, where it holds labels."""
        active = self._viewer.layers.selection.active
        layer = active if isinstance(active, Labels) else self._layer
        if layer is not None and layer not in self._viewer.layers:
            layer = None
        if layer == self._layer:  # not "is": plugins get proxies, other ones each time
            self._update_done_mark()
            return
        self._leave()
        self._layer = layer
        if layer is not None:
            watch_layer(layer).marked.connect(self._marked)
            layer.events.name.connect(self._update_done_mark)
            if not any(str(key) == DONE_KEY for key in layer.keymap):
                bind_done_key(self._viewer, layer)
            with suppress(InputError):
                marks_for(layer)
                self._counts = LabelCounts(layer, self._counted)
        self._update_rows()

    def _leave(self) -> None:
        if self._counts is not None:
            self._counts.close()
        if self._layer is not None:
            watch_layer(self._layer).marked.disconnect(self._marked)
            self._layer.events.name.disconnect(self._update_done_mark)
        self._counts, self._layer = None, None

    def _marked(self) -> None:
        self._update_rows()
        self._on_change()

    def _counted(self) -> None:
        self._update_rows()
        self._on_change()

    def _update_done_mark(self, _: Any = None) -> None:
        """Show the mark of the plane that is shown now."""
        layer = self._layer
        marks = None if layer is None else self._marks(layer)
        shown = None
        if layer is not None and marks is not None:
            with suppress(ValueError):  # while layers of other sizes come and go
                shown = plane_shown(self._viewer, layer, marks.axes)
        painted = layer is not None and RECORD_KEY not in layer.metadata
        with self._blocker:
            self.done.enabled = painted and shown is not None
            self.done.value = shown is not None and layer is not None and self._is_done(layer)
        hint = ""
        if layer is not None and not painted:
            hint = PREDICTION.format(layer.name)
        elif layer is not None and marks is not None:
            hint = f"‘{layer.name}’ – {describe_done(layer, marks)}."
        self.rows["done"].show_message(hint)

    def _is_done(self, layer: Labels) -> bool:
        return done_at(self._viewer, layer)

    def _marks(self, layer: Labels) -> Marks | None:
        try:
            return marks_for(layer)
        except InputError:
            return None

    def _update_rows(self) -> None:
        self._update_done_mark()
        layer, counts = self._layer, self.counts
        marks = None if layer is None else marks_of(layer)
        with self._blocker:
            self.background.reset_choices()
            background = None if marks is None else marks.background
            self.background.value = NONE_YET if background is None else background
            self.background.enabled = self._is_painted
            self.paint_background.enabled = self._is_painted or self.new.enabled
        if layer is None:
            self.counts_line.value = NO_LABELS
        elif counts is None:
            self.counts_line.value = "Counting …" if self._counts is not None else ""
        else:
            names = {**names_of(layer), **self._names}
            self.counts_line.value = counts.describe(classes=self._classes, names=names) + "."

    def _labels(self) -> list[tuple[str, int | str]]:
        """Labels that may mean background: those with most pixels, in their order."""
        items: list[tuple[str, int | str]] = [(NONE_YET, NONE_YET)]
        layer = self._layer
        if layer is None:
            return items
        marks, counts = marks_of(layer), self.counts
        most: set[int] = set()
        if counts is not None:
            most = set(counts.values[counts.pixels.argsort()[-OFFERED_LABELS:]].tolist())
        if marks is not None and marks.background is not None:
            most.add(marks.background)
        names = names_of(layer)
        for value in sorted(most):
            name = names.get(value)
            items.append((f"label {value}" + (f" ({name})" if name else ""), value))
        return items


def _label(value: int | str) -> int | None:
    return None if isinstance(value, str) else int(value)


def names_of(layer: Labels) -> dict[int, str]:
    """Names of labels, from the layer's table of features.

    >>> import numpy as np
    >>> table = {"index": [1, 2], "class": ["nucleus", "border"]}
    >>> names_of(Labels(np.zeros((4, 4), int), features=table))
    {1: 'nucleus', 2: 'border'}
    """
    table = layer.features
    column = next((c for c in ("class", "name", "label") if c in table.columns), None)
    if column is None or "index" not in table.columns:
        return {}
    pairs = zip(table["index"], table[column], strict=True)
    return {int(i): str(name) for i, name in pairs if isinstance(name, str)}
