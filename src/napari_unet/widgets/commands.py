"""Commands of the viewer's palette (Ctrl+Shift+P): the docks' work on the active layer.

napari gives a command the viewer by the type of its parameter.
"""

from __future__ import annotations

from napari.layers import Image, Labels
from napari.utils.notifications import show_error, show_info
from napari.viewer import Viewer

from napari_unet.errors import UNetError
from napari_unet.widgets.annotation.marks import marks_of
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.viewer.docks import open_dock
from napari_unet.widgets.viewer.layer_image import shape_of
from napari_unet.widgets.viewer.records import record_shown


def segment_active_layer(viewer: Viewer) -> None:
    """Open the dock Segment on the active image layer, and run it."""
    layer = viewer.layers.selection.active
    if not isinstance(layer, Image):
        show_info("Select an image layer to segment.")
        return
    dock = open_dock(viewer, "Segment")
    try:
        dock.run(image=layer)
    except UNetError as error:
        show_error(worded(error))


def train_on_active_layer(viewer: Viewer) -> None:
    """Open the dock Train with the active labels and the image under them."""
    layer = viewer.layers.selection.active
    dock = open_dock(viewer, "Train")
    if not isinstance(layer, Labels):
        return
    image = _image_under(layer, viewer)
    if image is None:
        show_info(f"There is no image that the labels ‘{layer.name}’ lie on.")
        return
    dock.take(image, layer)


def measure_active_layer(viewer: Viewer) -> None:
    """Open the dock Measure on the active labels layer, and run it."""
    layer = viewer.layers.selection.active
    if not isinstance(layer, Labels):
        show_info("Select a labels layer to measure.")
        return
    dock = open_dock(viewer, "Measure")
    try:
        dock.run(labels=layer)
    except UNetError as error:
        show_error(worded(error))


def _image_under(labels: Labels, viewer: Viewer) -> Image | None:
    """The image that labels lie on: the one that their marks name, else one of their size."""
    marks = marks_of(labels)
    images = [layer for layer in viewer.layers if isinstance(layer, Image)]
    named = [image for image in images if marks is not None and image.name == marks.image]
    alike = [image for image in images if shape_of(image)[: labels.ndim] == shape_of(labels)]
    return next(iter([*named, *alike]), None)


def show_record(viewer: Viewer) -> None:
    """Show how the selected result was made, else the newest."""
    if record_shown(viewer) is None:
        show_info("There is no result with a record: segment something first, or select one.")
        return
    open_dock(viewer, "Segment").scripts.show_record()


def copy_as_python(viewer: Viewer) -> None:
    """Copy what the dock Segment would run as a Python script."""
    open_dock(viewer, "Segment").scripts.copy_python()


def copy_as_command(viewer: Viewer) -> None:
    """Copy what the dock Segment would run as a line for a terminal."""
    open_dock(viewer, "Segment").scripts.copy_command()
