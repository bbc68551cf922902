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
    """Switch off what the canvas has left on whenever a layer is removed.

    vispy switches the vertex attributes of what it draws on, and never off. The buffers of a
    removed layer are deleted while attributes still point there, and the next drawing crashes
    in some drivers (vispy 0.17): in Mesa's software OpenGL, and, as reported to napari (issues
    6472, 7351 and 8471), in those of some NVIDIA cards. Each drawing switches its own attributes
    on again.

    Parameters
    ----------
    viewer : Viewer
        Guarded as long as it lives; calling this again changes nothing.
    """
    viewer = plain(viewer)
    if viewer not in _guarded:
        _guarded.add(viewer)
        viewer.layers.events.removed.connect(_switch_off)


def _switch_off(_: object = None) -> None:
    from qtpy.QtGui import QOpenGLContext
    from vispy import gloo
    from vispy.gloo.context import canvasses

    current = gloo.get_current_canvas()
    for canvas in [found for ref in canvasses if (found := ref()) is not None]:
        try:
            canvas.set_current()
            if QOpenGLContext.currentContext() is None:
                continue  # its window is gone
            for number in range(VERTEX_ATTRIBUTES):
                gloo.gl.glDisableVertexAttribArray(number)
        except RuntimeError:
            continue  # it is being closed
    if current is not None:
        current.set_current()
