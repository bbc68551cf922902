"""The part of the image to segment: a region, time points, planes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from magicgui.widgets import Container, Label, SpinBox
from napari.layers import Shapes

from napari_unet.image.roi import Range, Roi
from napari_unet.widgets.qt.choice_list import ChoiceList
from napari_unet.widgets.qt.form import Row
from napari_unet.widgets.viewer.coordinates import position
from napari_unet.widgets.viewer.layer_image import shape_of
from napari_unet.widgets.viewer.shapes import TOOL_KEY, has_area, outline
from napari_unet.widgets.viewer.view import whole_view_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

WHOLE, VIEW, TIME, PLANE = "Whole image", "Current view", "Current time point", "Current plane"
REGION_TIP = (
    "Which part of the image to segment. The current view, time point and plane are those "
    "shown when Run is pressed. Or draw rectangles, ellipses or polygons in a Shapes layer "
    "and choose it here."
)
TIMES_TIP = "The first and the last time point to segment, counted from 0 as on the slider."
PLANES_TIP = (
    "The first and the last plane to segment, counted from 0 as on the slider. Objects "
    "are linked through z within this range only."
)
FINISHED = ("added", "changed", "removed")


class RoiPicker:
    """Chooses a part of an image.

    Its ``rows`` are to be put into a form. The dock calls `reset_choices` when the viewer's
    layers change and `set_image` when the image or its axes do; what is drawn meanwhile in
    the Shapes layers the picker hears itself.

    Parameters
    ----------
    viewer : Viewer
        Whose Shapes layers are listed.
    on_change : callable
        Called when another part is meant.
    """

    def __init__(self, viewer: Viewer, on_change: Callable[[], None]) -> None:
        self._viewer = viewer
        self._on_change = on_change
        self._axes = ""
        self._flat = True
        self._image: Image | None = None
        self._watched: list[Shapes] = []
        self.region = ChoiceList(self._items)
        self.row = Row(self.region, "Region", REGION_TIP)
        self.times = RangeEditor()
        self.planes = RangeEditor()
        self.times_row = Row(self.times, "Time points", TIMES_TIP)
        self.planes_row = Row(self.planes, "Planes", PLANES_TIP)
        self.rows = [self.row, self.times_row, self.planes_row]
        self.region.changed.connect(lambda _: self._changed())
        for editor in (self.times, self.planes):
            editor.on_change = self._changed
        self.reset_choices()
        self._fold()

    def set_image(self, layer: Image | None, axes: str, ndim_model: int) -> None:
        """Offer the parts of an image.

        Parameters
        ----------
        layer : Image or None
            The image; another one than before: all its time points and planes are meant.
        axes : str
            Of its array; where they do not fit the array, only the whole image is offered.
        ndim_model : int
            Spatial axes of the model: a 3D one takes no single plane.
        """
        shape = () if layer is None else shape_of(layer)
        known = axes if len(axes) == len(shape) else ""
        another = layer is not self._image
        self._image, self._axes, self._flat = layer, known, ndim_model == 2
        for axis, editor in (("T", self.times), ("Z", self.planes)):
            size = shape[known.index(axis)] if axis in known else 1
            editor.set_size(size, anew=another)
        self.region.reset_choices()
        self._fold()

    def reset_choices(self, *_: Any) -> None:
        """List the Shapes layers anew; a choice that is still there stays."""
        self._watch()
        self.region.reset_choices()

    def close(self) -> None:
        """Stop listening to the layers; for a dock that is closed. No widget is touched."""
        for layer in self._watched:
            layer.events.data.disconnect(self._drawn)
        self._watched, self._image = [], None

    def roi(self) -> Roi:
        """The part that is meant, at this moment; all of it where there is no image.

        Raises
        ------
        InputError
            If a Shapes layer is chosen that covers no pixel of the image.
        """
        layer, axes, region = self._image, self._axes, self.region.value
        if layer is None or not axes:
            return Roi()
        view = whole_view_of(self._viewer, layer, axes)
        part = Roi()
        if isinstance(region, Shapes):
            part = outline(region, layer, axes, position(self._viewer, layer).tolist())
        elif region == VIEW:
            part = Roi(y=(view.y.start, view.y.stop), x=(view.x.start, view.x.stop))
        return Roi(
            t=(view.t, view.t + 1) if region == TIME else self.times.value,
            z=(view.z, view.z + 1) if region == PLANE else self.planes.value,
            y=part.y,
            x=part.x,
            inside=part.inside,
        )

    def _items(self) -> list[tuple[str, Any]]:
        items: list[tuple[str, Any]] = [(WHOLE, WHOLE)]
        if not self._axes:
            return items
        items.append((VIEW, VIEW))
        if self.times.size > 1:
            items.append((TIME, TIME))
        if self.planes.size > 1 and self._flat:
            items.append((PLANE, PLANE))
        # what was chosen stays while it is drawn anew
        chosen = self.region.value
        shapes = [s for s in self._watched if has_area(s) or s is chosen]
        return items + [(f"Shapes: {layer.name}", layer) for layer in shapes]

    def _watch(self) -> None:
        now = [layer for layer in self._viewer.layers if _is_region(layer)]
        for layer in self._watched:
            if layer not in now:
                layer.events.data.disconnect(self._drawn)
        for layer in now:
            if layer not in self._watched:
                layer.events.data.connect(self._drawn)
        self._watched = now

    def _drawn(self, event: Any) -> None:
        if str(event.action) not in FINISHED:
            return
        self.region.reset_choices()
        if event.source is self.region.value:
            self._on_change()

    def _changed(self) -> None:
        self._fold()
        self._on_change()

    def _fold(self) -> None:
        region = self.region.value
        self.times_row.show(visible=self.times.size > 1 and region != TIME)
        self.planes_row.show(visible=self.planes.size > 1 and region != PLANE)


class RangeEditor(Container):  # type: ignore[type-arg]
    """From one number to another, the last one included."""

    def __init__(self) -> None:
        self.size = 1
        self.on_change: Callable[[], None] = lambda: None
        self.first = SpinBox(min=0, max=0, value=0)
        self.last = SpinBox(min=0, max=0, value=0)
        super().__init__(
            widgets=[self.first, Label(value="to"), self.last], layout="horizontal", labels=False
        )
        self.margins = (0, 0, 0, 0)
        self.native.layout().setStretch(0, 1)
        self.native.layout().setStretch(2, 1)
        for editor in (self.first, self.last):
            # by themselves they want room for numbers of twenty digits
            digits = editor.native.fontMetrics().horizontalAdvance("00000")
            editor.native.setMinimumWidth(digits + 56)
        self.first.changed.connect(lambda _: self._changed(self.first))
        self.last.changed.connect(lambda _: self._changed(self.last))

    @property
    def tooltip(self) -> str | None:
        """Shown over both numbers."""
        return self.first.tooltip

    @tooltip.setter
    def tooltip(self, text: str | None) -> None:
        for editor in (self.first, self.last):
            editor.tooltip = text

    @property
    def value(self) -> Range | None:
        """The first number, and one past the last; None: all."""
        chosen = int(self.first.value), int(self.last.value) + 1
        return None if chosen == (0, self.size) else chosen

    def set_size(self, size: int, *, anew: bool) -> None:
        """Choose among 0 to ``size - 1``; all of them where the choice begins ``anew``."""
        if size == self.size and not anew:
            return
        self.size = size
        with self.first.changed.blocked(), self.last.changed.blocked():
            for editor, value in ((self.first, 0), (self.last, size - 1)):
                editor.max = max(size - 1, 0)
                editor.value = value

    def _changed(self, edited: SpinBox) -> None:
        """The number that was not edited gives way."""
        if self.first.value > self.last.value:
            other = self.last if edited is self.first else self.first
            with other.changed.blocked():
                other.value = edited.value
        self.on_change()


def describe(roi: Roi, shape: tuple[int, ...], axes: str) -> str:
    """A part of an image in words; empty: the whole image.

    Parameters
    ----------
    roi : Roi
        The part.
    shape : tuple of int
        Of the image.
    axes : str
        Of the image.

    Examples
    --------
    >>> describe(Roi(y=(0, 412), x=(20, 400), z=(3, 10)), (50, 512, 512), "ZYX")
    '412 × 380 pixels, planes 3–9'
    >>> describe(Roi(t=(4, 5)), (9, 64, 64), "TYX")
    'time point 4'
    >>> describe(Roi(), (64, 64), "YX")
    ''
    """
    parts = []
    if roi.y is not None or roi.x is not None:
        sizes = [
            shape[axes.index(axis)] if part is None else part[1] - part[0]
            for axis, part in (("Y", roi.y), ("X", roi.x))
        ]
        outlined = ""
        if roi.inside is not None:
            outlined = f" ({roi.inside.mean():.0%} inside the outline)"
        parts.append(f"{sizes[0]} × {sizes[1]} pixels{outlined}")
    for axis, name, part in (("T", "time point", roi.t), ("Z", "plane", roi.z)):
        if axis in axes and part is not None:
            first, last = part[0], part[1] - 1
            parts.append(f"{name} {first}" if first == last else f"{name}s {first}–{last}")
    return ", ".join(parts)


def _is_region(layer: Any) -> bool:
    """Whether a layer may hold regions; the lines of the diameter do not."""
    return isinstance(layer, Shapes) and TOOL_KEY not in layer.metadata
