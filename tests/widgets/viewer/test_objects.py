"""Going to an object, and hearing which one is clicked, without a window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_unet.widgets.viewer.objects import ObjectClicks, find_object, go_to_object


class Press:
    """A mouse that is pressed somewhere, as napari tells it."""

    def __init__(self, position: tuple[float, ...], button: int = 1) -> None:
        self.position, self.button = position, button
        self.view_direction, self.type, self.pos = None, "mouse_press", (10.0, 10.0)
        self.modifiers: tuple[str, ...] = ()


def click(viewer: Any, press: Press, moved: float = 0) -> None:
    for callback in viewer.mouse_drag_callbacks:
        steps = callback(viewer, press)
        try:
            next(steps)
            press.type, press.pos = "mouse_move", (10.0 + moved, 10.0)
            next(steps)
            press.type = "mouse_release"
            next(steps)
        except StopIteration:
            pass


@pytest.fixture
def stack(bare_viewer: Any) -> Any:
    labels = np.zeros((3, 4, 60, 80), np.int32)
    labels[2, 3, 20:30, 40:50] = 7
    layer = bare_viewer.add_labels(
        labels, scale=(1, 2, 0.5, 0.5), translate=(0, 0, 5, 0), units=("pixel", "um", "um", "um")
    )
    # the viewer counts in the smaller unit
    bare_viewer.add_image(
        np.zeros((3, 4, 60, 80)), scale=(1, 2000, 500, 500), units=("pixel", "nm", "nm", "nm")
    )
    return layer


def test_the_viewer_goes_to_an_object_and_finds_it(bare_viewer: Any, stack: Any) -> None:
    stack.visible = False
    go_to_object(bare_viewer, stack, (2, 3, 24.5, 44.5), (1, 1, 10, 10))
    assert stack.visible
    assert bare_viewer.dims.current_step[:2] == (2, 3)
    point = (*bare_viewer.dims.point[:2], *bare_viewer.scene.camera.center[1:])
    label, pixel = find_object(bare_viewer, stack, point)  # type: ignore[misc]
    assert label == 7
    assert pixel[:2] == (2, 3)
    assert 20 <= pixel[2] < 30
    assert 40 <= pixel[3] < 50


def test_clicks_are_told_and_drags_and_strokes_are_not(bare_viewer: Any, stack: Any) -> None:
    heard: list[Any] = []
    clicks = ObjectClicks(bare_viewer, lambda *told: heard.append(told))
    go_to_object(bare_viewer, stack, (2, 3, 24, 44))
    point = (*bare_viewer.dims.point[:2], *bare_viewer.scene.camera.center[1:])
    click(bare_viewer, Press(point))
    assert heard == []  # of no layer yet
    clicks.watch(stack)
    click(bare_viewer, Press(point))
    assert heard == [(stack, 7, (2, 3, 24, 44))]
    click(bare_viewer, Press((*point[:2], *np.add(point[2:], 12000))))
    assert heard[1][1] == 0
    click(bare_viewer, Press(point), moved=20)
    click(bare_viewer, Press(point, button=2))
    bare_viewer.layers.selection.active = stack
    stack.mode = "paint"
    click(bare_viewer, Press(point))
    assert len(heard) == 2
    clicks.close()
    stack.mode = "pan_zoom"
    click(bare_viewer, Press(point))
    assert len(heard) == 2
