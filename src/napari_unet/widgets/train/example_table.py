"""The examples of a training: which labels belong to which image, and where they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from magicgui.widgets import PushButton
from napari.layers import Image, Labels, Shapes
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_unet.errors import InputError
from napari_unet.widgets.annotation.layer_watch import watch_layer
from napari_unet.widgets.annotation.marks import Plane, adopt, marks_of
from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.qt.form import Row
from napari_unet.widgets.train.example_line import ExampleLine
from napari_unet.widgets.train.label_candidates import LabelCandidates, Unmatched
from napari_unet.widgets.train.layer_places import LayerPlaces
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, plain

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.card import Task

TIP = (
    "What the model learns from: an image, its labels, and where these can be trusted. What "
    "is not labelled does not count as background, unless you say so."
)
MORE_TIP = "Learn from another image as well."


class ExampleTable:
    """Lines of image, labels and where the labels can be trusted.

    Its ``row`` is to be put into a form. The dock calls `reset_choices` when the viewer's
    layers change; what is painted and drawn meanwhile the table hears itself.

    Parameters
    ----------
    viewer : Viewer
        Whose layers are listed.
    on_change : callable
        Called when another line, layer or region is meant.
    on_paint : callable
        Called often: while somebody paints on the labels, or draws regions.
    axes_of : callable
        Gives the axes of an image layer's array, such as "ZYXC"; empty: unknown.
    """

    def __init__(
        self,
        viewer: Viewer,
        on_change: Callable[[], None],
        on_paint: Callable[[], None],
        axes_of: Callable[[Image], str],
    ) -> None:
        self._viewer = viewer
        self._on_change = on_change
        self._on_paint = on_paint
        self._axes_of = axes_of
        self._blocker = Blocker()
        self._left = 0  # where the form's fields begin
        self._strokes = 0  # so often somebody has painted, drawn or marked something
        self._known: list[Any] = []  # layers that were seen before
        self._watched: dict[Any, Callable[[], None]] = {}  # what ends listening
        self._places = LayerPlaces(self._moved)
        self._matching = LabelCandidates(viewer, axes_of)
        # predictions taken as truth, with their records
        self._truths: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self.task: Task = "instance"
        self.lines: list[ExampleLine] = []
        self.native = QWidget()
        self._column = QVBoxLayout(self.native)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(6)
        self.more = PushButton(text="+ another example")
        self.more.tooltip = MORE_TIP
        self._column.addWidget(self.more.native)
        self.tooltip = ""
        self.row = Row(self, "", "")  # type: ignore[arg-type]  # all that a row needs
        self.more.changed.connect(lambda _: self.add())

    # what is chosen

    @property
    def image(self) -> Image | None:
        """The image that is being labelled: that of the selected layer, else of the first line."""
        active = self._viewer.layers.selection.active
        for line in self.lines:
            if active is not None and active in (line.image, line.labels):
                return line.image
        return self.lines[0].image if self.lines else None

    @property
    def content(self) -> object:
        """Equal while the same layers are chosen, and nobody has painted or drawn on them."""
        return self._chosen(), self._strokes

    def is_taken_as_truth(self, layer: Any) -> bool:
        """Whether a prediction was declared to be the truth."""
        layer = plain(layer)
        known = layer in self._truths
        return known and bool(self._truths[layer] == layer.metadata.get(RECORD_KEY))

    def take_as_truth(self, layer: Any) -> None:
        """Learn from a prediction that nobody has corrected."""
        self._truths[plain(layer)] = layer.metadata.get(RECORD_KEY)
        self._report_change()

    # what changes it

    def start(self) -> None:
        """Fill the table from the layers that there are."""
        self._known = list(self._viewer.layers)
        self._places.watch(self._known)
        with self._blocker:
            for layer in self._marked(self._known):
                self._append(self._image_of(layer), layer)
            if not self.lines:
                self._append(self._next_image(), None)
                self._choose_labels(self.lines[0])
        self._report_change()

    def add(self) -> ExampleLine:
        """Another line, filled with what suits best."""
        with self._blocker:
            line = self._append(self._next_image(), None)
            self._choose_labels(line)
        self._report_change()
        return line

    def remove(self, line: ExampleLine) -> None:
        """Leave an example out; an empty line stays as the last one."""
        with self._blocker:
            self._drop(line)
            if not self.lines:
                self._append(None, None)
        self._report_change()

    def take(self, image: Image, labels: Any) -> ExampleLine:
        """Learn from these labels of this image, in a line of their own if there is no such."""
        with self._blocker:
            found = next((line for line in self.lines if line.labels == labels), None)
            found = found or self._vacant(image) or self._append(image, labels)
            found.choose(image, labels)
        self._report_change()
        return found

    def set_task(self, task: Task) -> None:
        """Offer what a task needs: labels, or for a regression images as targets."""
        before, self.task = self.task, task
        if (before == "regression") == (task == "regression"):
            return
        with self._blocker:
            for line in self.lines:
                line.target = task == "regression"
                line.choose(line.image, None)
                self._choose_labels(line)
        self._report_change()

    def reset_choices(self, *_: Any) -> None:
        """List the layers anew; new ones fill what is empty."""
        layers = list(self._viewer.layers)
        new = [layer for layer in layers if not any(layer == known for known in self._known)]
        self._known = layers
        self._places.watch(layers)
        before = self._chosen()
        with self._blocker:
            for line in list(self.lines):
                if line.image is not None and line.image not in layers and len(self.lines) > 1:
                    self._drop(line)
                else:
                    line.reset_choices()
            for layer in self._marked(new):
                image = self._image_of(layer)
                line = self._vacant(image) or self._append(image, layer)
                line.choose(image, layer)
            for line in self.lines:
                if line.image is None:
                    line.choose(self._next_image(), line.labels)
                if line.labels is None:
                    self._choose_labels(line)
                if line.labels is None and any(isinstance(layer, Labels) for layer in new):
                    self._turn_to_labelled(line)
        if self._chosen() != before:
            self._report_change()

    def refresh(self) -> None:
        """Take in what marks and shapes say now."""
        with self._blocker:
            for line in self.lines:
                line.refresh()

    def align(self, left: int) -> None:
        """Let choices begin where the form's other fields do."""
        self._left = left
        for line in self.lines:
            line.align(left)

    def close(self) -> None:
        """Stop listening to the layers; no widget is touched."""
        self._watch([])
        self._places.watch([])
        self._known = []

    # lines

    def _append(self, image: Image | None, labels: Any) -> ExampleLine:
        line = ExampleLine(self._images, self._candidates, self._regions, self._line_changed)
        line.target = self.task == "regression"
        line.remove.clicked.connect(lambda: self.remove(line))
        line.align(self._left)
        self.lines.append(line)
        self._column.insertWidget(self._column.count() - 1, line.native)
        line.choose(image, labels)
        return line

    def _drop(self, line: ExampleLine) -> None:
        self.lines.remove(line)
        self._column.removeWidget(line.native)
        line.native.hide()
        line.native.setParent(None)
        line.native.deleteLater()

    def _vacant(self, image: Image | None) -> ExampleLine | None:
        """A line without labels, of this image if there is one."""
        empty = [line for line in self.lines if line.labels is None or self._is_raw(line.labels)]
        own = [line for line in empty if line.image == image]
        return next(iter(own or [line for line in empty if line.image is None]), None)

    def _is_raw(self, layer: Any) -> bool:
        """Whether labels are a prediction that nobody took for the truth."""
        return RECORD_KEY in layer.metadata and not self.is_taken_as_truth(layer)

    def _line_changed(self) -> None:
        if not self._blocker.active:
            self._report_change()

    def _report_change(self) -> None:
        layers = [part for x in self.lines for part in (x.labels, x.region, x.image)]
        self._watch([layer for layer in layers if layer is not None])
        single = len(self.lines) == 1
        for line in self.lines:
            line.remove.setEnabled(not single or line.labels is not None)
        self._on_change()

    def _chosen(self) -> list[tuple[Any, ...]]:
        return [line.content for line in self.lines]

    # what there is to choose from

    def _images(self) -> Iterator[Image]:
        return (
            x for x in self._viewer.layers if isinstance(x, Image) and RECORD_KEY not in x.metadata
        )

    def _candidates(self, image: Image | None) -> list[Any]:
        if self.task == "regression":
            return [x for x in self._viewer.layers if isinstance(x, Image) and x != image]
        return [x for x in self._viewer.layers if isinstance(x, Labels)]

    def _regions(self) -> list[Shapes]:
        from napari_unet.widgets.viewer.shapes import TOOL_KEY

        shapes = (x for x in self._viewer.layers if isinstance(x, Shapes))
        return [layer for layer in shapes if TOOL_KEY not in layer.metadata]

    def _marked(self, layers: Sequence[Any]) -> list[Labels]:
        """Labels that were made to be learned from."""
        if self.task == "regression":
            return []
        used = [line.labels for line in self.lines]
        return [
            layer
            for layer in layers
            if isinstance(layer, Labels) and layer not in used and self._image_of(layer) is not None
        ]

    def _image_of(self, layer: Labels) -> Image | None:
        marks = marks_of(layer)
        if marks is None:
            return None
        return next((image for image in self._images() if image.name == marks.image), None)

    def _next_image(self) -> Image | None:
        """The image for another line: the selected one, or one that has none yet."""
        images = list(self._images())
        used = [line.image for line in self.lines]
        active = self._viewer.layers.selection.active
        free = [image for image in images if image not in used]
        if self.task != "regression":
            # what holds labels is no image to learn from, while there are others
            free = [x for x in free if not self._matching.holds_labels_of_another(x)] or free
        if active in free:
            return active
        labelled = [image for image in free if self._best(image) is not None]
        return next(iter(labelled or free or images), None)

    def _choose_labels(self, line: ExampleLine) -> None:
        """Choose the labels that suit a line's image best, if any."""
        if line.image is not None:
            found = self._best(line.image)
            if found is not None:
                line.choose(line.image, found)

    def _turn_to_labelled(self, line: ExampleLine) -> None:
        """Let a line whose image was only suggested have one that has labels."""
        used = [each.image for each in self.lines]
        if line.is_image_chosen:
            return
        for image in self._images():
            found = None if image in used else self._best(image)
            if found is not None:
                line.choose(image, found)
                return

    def unmatched(self, image: Image) -> Unmatched:
        """Layers that might be labels of an image, and why they cannot be taken."""
        return self._matching.unmatched(image, self.task, self._candidates(image))

    def _best(self, image: Image) -> Any:
        used = [line.labels for line in self.lines]
        ranked = [
            ((*rank, number), layer)
            for number, layer in enumerate(reversed(self._candidates(image)))
            if layer not in used
            and (rank := self._matching.rank(image, layer, self.task)) is not None
        ]
        return min(ranked, key=lambda each: each[0], default=(None, None))[1]

    # what is heard

    def _watch(self, layers: Sequence[Any]) -> None:
        """Hear what is done to these layers, and to no others."""
        for layer in list(self._watched):
            if layer not in layers:
                self._watched.pop(layer)()
        for layer in layers:
            if layer not in self._watched:
                self._watched[layer] = self._listen(layer)

    def _listen(self, layer: Any) -> Callable[[], None]:
        """Listen to a layer; gives what ends it."""
        if not isinstance(layer, Labels):
            events = layer.events.data, layer.events.axis_labels
            for event in events:
                event.connect(self._painted)

            def leave() -> None:
                for event in events:
                    event.disconnect(self._painted)

            return leave

        def touched(planes: set[Plane] | None) -> None:
            if planes:
                self._keep(layer)
            if planes is None or planes:  # else a slider was moved
                self._painted()

        watch = watch_layer(layer)
        watch.touched.connect(touched)
        watch.marked.connect(self._painted)

        def end() -> None:
            watch.touched.disconnect(touched)
            watch.marked.disconnect(self._painted)

        return end

    def _keep(self, layer: Labels) -> None:
        """Give labels that are painted on marks, by which they survive a crash."""
        image = next((line.image for line in self.lines if line.labels == layer), None)
        if image is not None and marks_of(layer) is None and not self._is_raw(layer):
            with suppress(InputError):
                adopt(layer, image, self._axes_of(image))

    def _moved(self, layer: Any) -> None:
        """A layer lies elsewhere now, so that it may have other labels, or be labels of another."""
        if self._blocker.active:
            return
        with self._blocker:
            for line in self.lines:
                if line.labels is None:
                    self._choose_labels(line)
        if any(layer in (line.image, line.labels) for line in self.lines):
            self._strokes += 1
        self._on_paint()

    def _painted(self, _: object = None) -> None:
        if not self._blocker.active:
            self._strokes += 1
            self._on_paint()
