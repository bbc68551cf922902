"""A layer that is removed must not take the window down with it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from napari_unet.widgets.viewer.layer_image import plain

if TYPE_CHECKING:
    from napari import Viewer

VERTEX_ATTRIBUTES = 16  # vertex attributes that every OpenGL has at the least

_guarded: weakref.WeakSet[Any] = weakref.WeakSet()


def guard_removals(viewer: Viewer) -> None:
    """Let what a removed layer had on the graphics card be deleted safely.

    Two faults of vispy 0.17 and napari 0.9 crash the next drawings in some drivers: in Mesa's
    software OpenGL, and, as reported to napari (issues 6472, 7351 and 8471), in those of some
    NVIDIA cards.

    - When a layer is removed, napari has vispy delete its buffers and programs at once, in
      whichever OpenGL context is current: mostly the one in which Qt composes the window. So
      the context of the canvas is made current before.
    - vispy switches the vertex attributes of what it draws on, and never off. A buffer that is
      deleted while an attribute still points there is read all the same; buffers are deleted
      with layers, and also when what a layer shows changes, such as the shapes of a Shapes
      layer. So attributes are switched off before a removal and around each drawing; each
      drawing switches its own on again.

    Parameters
    ----------
    viewer : Viewer
        Guarded as long as it lives; calling this again changes nothing.
    """
    viewer = plain(viewer)
    if viewer not in _guarded:
        _guarded.add(viewer)
        # "removed" is too late: napari's own listeners come first
        viewer.layers.events.removing.connect(_prepare_removal)
        _guard_canvases()


def _guard_canvases() -> list[Any]:
    """All canvases of all viewers; each is guarded from now on whenever it is drawn."""
    from vispy.gloo.context import canvasses

    found = [canvas for ref in canvasses if (canvas := ref()) is not None]
    for canvas in found:
        draw = canvas.events.draw  # a listener that is there already is not connected twice
        draw.connect(_switch_off_before, position="first")
        draw.connect(_switch_off_after, position="last")
    return found


def _prepare_removal(event: Any) -> None:
    """Make the canvas of the list of layers that ``event`` is of the current one."""
    from qtpy.QtGui import QOpenGLContext

    for canvas in _guard_canvases():
        try:
            if not _shows(canvas, event.source):
                continue
            canvas.set_current()
            if QOpenGLContext.currentContext() is not None:  # else its window is gone
                _switch_off()
        except RuntimeError:
            continue  # it is being closed


def _shows(canvas: Any, layers: Any) -> bool:
    """Whether a canvas is of the viewer that has a list of layers."""
    widget = canvas.native
    while widget is not None:
        viewer = getattr(widget, "viewer", None)
        if viewer is not None:
            return plain(viewer).layers is layers
        widget = widget.parent()
    return False


def _switch_off() -> None:
    """Switch off the attributes in the context that is current."""
    from vispy import gloo

    for number in range(VERTEX_ATTRIBUTES):
        gloo.gl.glDisableVertexAttribArray(number)


def _switch_off_before(_: object) -> None:
    _switch_off()


def _switch_off_after(_: object) -> None:
    _switch_off()
