"""Measuring a diameter with lines, drawn by code and by the mouse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.utils._test_utils import read_only_mouse_event
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_unet.widgets.qt.events import ClosingWatch
from napari_unet.widgets.segment.diameter_tool import DRAW, NAME, ONLY_2D, ONLY_YX, DiameterTool


@pytest.fixture
def found() -> list[float]:
    return []


@pytest.fixture
def tool(bare_viewer: Any, found: list[float], qtbot: Any) -> DiameterTool:
    """Over an anisotropic, shifted stack."""
    tool = DiameterTool(bare_viewer, found.append)
    qtbot.addWidget(tool.row.native)
    stack = bare_viewer.add_image(
        np.zeros((5, 100, 120)), name="stack", scale=(4, 0.5, 0.25), translate=(1, 2, 3), units="um"
    )
    tool.set_image(stack, "ZYX")
    return tool


def camera(viewer: Any) -> Any:
    return getattr(viewer, "scene", viewer).camera  # as of napari 0.9


def press(tool: DiameterTool) -> None:
    assert tool.button.enabled
    tool.button.native.click()
    if tool.layer is not None:
        tool.layer.scale_factor = 0.01  # µm per pixel of a screen that is not there


def draw(tool: DiameterTool, *ends: tuple[float, ...]) -> None:
    assert tool.layer is not None
    tool.layer.add_lines(np.array(ends, float))


def drag(layer: Any, start: Any, stop: Any) -> None:
    """From one point in world coordinates to another."""

    def event(kind: str, place: Any, dragging: bool = True) -> Any:
        return read_only_mouse_event(type=kind, position=place, is_dragging=dragging)

    mouse_press_callbacks(layer, event("mouse_press", start, dragging=False))
    if start is not stop:
        mouse_move_callbacks(layer, event("mouse_move", np.mean([start, stop], axis=0)))
        mouse_move_callbacks(layer, event("mouse_move", stop))
    mouse_release_callbacks(layer, event("mouse_release", stop))


def test_a_line_gives_its_length_in_pixels(
    bare_viewer: Any, tool: DiameterTool, found: Any
) -> None:
    assert tool.button.text.startswith("Measure")
    press(tool)
    layer = bare_viewer.layers[NAME]
    assert layer is tool.layer is bare_viewer.layers.selection.active
    assert layer.mode == "add_line"
    assert tool.row.note == DRAW
    assert tool.button.text == "Done"
    stack = bare_viewer.layers["stack"]
    np.testing.assert_allclose(layer.data_to_world((1, 2, 3)), stack.data_to_world((1, 2, 3)))
    assert layer.units == stack.units
    draw(tool, (2, 10, 10), (2, 40, 50))
    assert found == [pytest.approx(50)]
    assert "1 line: 50.0 px" in tool.row.note


def test_several_lines_give_their_median_live(tool: DiameterTool, found: Any) -> None:
    press(tool)
    for length in (20, 60, 30):
        draw(tool, (0, 10, 10), (0, 10, 10 + length))
    assert found == [20, 40, 30]
    assert "Median of 3 lines" in tool.row.note
    layer: Any = tool.layer
    layer.data = [layer.data[0], layer.data[1]]  # as after an edit
    assert found[-1] == 40
    layer.selected_data = {1}
    layer.remove_selected()
    assert found[-1] == 20
    count = len(found)
    layer.selected_data = {0}
    layer.remove_selected()
    assert len(found) == count  # nothing is left to say
    assert tool.row.note == DRAW


def test_what_is_no_line_does_not_count(tool: DiameterTool, found: Any, qtbot: Any) -> None:
    press(tool)
    layer: Any = tool.layer
    layer.add_rectangles([[0, 1, 1], [0, 1, 9], [0, 9, 9], [0, 9, 1]])
    layer.add_paths([[0, 1, 1], [0, 1, 9], [0, 9, 9]])
    draw(tool, (0, 5, 5), (0, 5, 5))
    draw(tool, (0, 5, 5), (3, 5, 5))  # along z: no length in the plane
    assert found == []
    draw(tool, (0, 5, 5), (3, 5, 15))
    assert found == [10]
    qtbot.waitUntil(lambda: len(layer.data) == 3)  # lines of no length were taken away


def test_done_puts_everything_back(bare_viewer: Any, tool: DiameterTool, found: Any) -> None:
    labels = bare_viewer.add_labels(np.zeros((5, 100, 120), int))
    labels.mode = "paint"
    press(tool)
    draw(tool, (0, 5, 5), (0, 5, 15))
    assert bare_viewer.layers.selection.active is tool.layer
    press(tool)
    assert NAME not in bare_viewer.layers
    assert bare_viewer.layers.selection == {labels}
    assert bare_viewer.layers.selection.active is labels
    assert labels.mode == "paint"
    assert tool.button.text.startswith("Measure")
    assert not tool.active
    press(tool)  # and again: without the old lines
    assert tool.layer is not None
    assert len(tool.layer.data) == 0
    assert found == [10]


def test_another_selection_made_meanwhile_stays(bare_viewer: Any, tool: DiameterTool) -> None:
    points = bare_viewer.add_points(np.zeros((1, 3)))
    bare_viewer.layers.selection.active = bare_viewer.layers["stack"]
    press(tool)
    bare_viewer.layers.selection.active = points
    press(tool)
    assert bare_viewer.layers.selection.active is points


def test_the_user_deletes_the_lines(bare_viewer: Any, tool: DiameterTool, found: Any) -> None:
    press(tool)
    lines: Any = tool.layer
    bare_viewer.layers.remove(lines)
    assert not tool.active
    assert tool.button.text.startswith("Measure")
    lines.add_lines(np.array([[0, 1, 1], [0, 1, 50]]))
    assert found == []  # nobody listens to it any more
    press(tool)
    draw(tool, (0, 5, 5), (0, 5, 15))
    assert found == [10]


def test_the_user_deletes_the_image(bare_viewer: Any, tool: DiameterTool, qtbot: Any) -> None:
    press(tool)
    bare_viewer.layers.remove("stack")
    assert not tool.active
    assert NAME not in bare_viewer.layers
    assert not tool.button.enabled
    tool.set_image(bare_viewer.add_image(np.zeros((30, 30))), "YX")
    press(tool)
    assert tool.layer is not None
    assert tool.layer.ndim == 2


def test_another_image_ends_the_measurement(bare_viewer: Any, tool: DiameterTool) -> None:
    press(tool)
    stack = bare_viewer.layers["stack"]
    tool.set_image(stack, "ZYX")
    assert tool.active
    tool.set_image(stack, "TYX")
    assert tool.active
    stack.scale = (1, 2, 2)
    tool.set_image(stack, "TYX")
    assert not tool.active
    press(tool)
    tool.set_image(bare_viewer.add_image(np.zeros((30, 30))), "YX")
    assert not tool.active
    assert NAME not in bare_viewer.layers


def test_in_3d_and_from_the_side_the_button_says_so(bare_viewer: Any, tool: DiameterTool) -> None:
    press(tool)
    bare_viewer.dims.ndisplay = 3
    assert not tool.active
    assert NAME not in bare_viewer.layers
    assert not tool.button.enabled
    assert tool.row.note == ONLY_2D
    tool.start()
    assert not tool.active
    bare_viewer.dims.ndisplay = 2
    assert tool.button.enabled
    assert tool.row.note == ""
    bare_viewer.dims.order = (1, 0, 2)
    assert not tool.button.enabled
    assert tool.row.note == ONLY_YX
    tool.set_image(bare_viewer.layers["stack"], "YZX")  # it was called by other names
    assert tool.button.enabled


def test_colours_and_unknown_axes(bare_viewer: Any, found: Any, qtbot: Any) -> None:
    tool = DiameterTool(bare_viewer, found.append)
    qtbot.addWidget(tool.row.native)
    assert not tool.button.enabled
    picture = bare_viewer.add_image(np.zeros((30, 40, 3), np.uint8), rgb=True)
    tool.set_image(picture, "YXC")
    press(tool)
    draw(tool, (1, 1), (4, 5))
    tool.finish()
    tool.set_image(bare_viewer.add_image(np.zeros((4, 30, 40))), "not axes")
    press(tool)
    draw(tool, (0, 1, 1), (0, 7, 9))
    assert found == [5, 10]


def test_two_docks_share_the_lines(
    bare_viewer: Any, tool: DiameterTool, found: Any, qtbot: Any
) -> None:
    others: list[float] = []
    other = DiameterTool(bare_viewer, others.append)
    qtbot.addWidget(other.row.native)
    other.set_image(bare_viewer.layers["stack"], "ZYX")
    press(tool)
    press(other)
    assert other.layer is tool.layer
    draw(tool, (0, 5, 5), (0, 5, 15))
    assert found == others == [10]
    press(tool)
    assert not other.active
    assert NAME not in bare_viewer.layers


def test_a_layer_of_that_name_is_not_touched(bare_viewer: Any, tool: DiameterTool) -> None:
    own = bare_viewer.add_shapes([[0, 0], [1, 1]], shape_type="line", name=NAME)
    press(tool)
    assert tool.layer is not own
    press(tool)
    assert own in bare_viewer.layers
    assert len(own.data) == 1


def test_a_closed_dock_hears_nothing(bare_viewer: Any, tool: DiameterTool) -> None:
    press(tool)
    tool.close()
    assert NAME not in bare_viewer.layers
    bare_viewer.dims.ndisplay = 3
    assert tool.row.note == DRAW


# With the mouse


def test_lines_drawn_with_the_mouse(bare_viewer: Any, tool: DiameterTool, found: Any) -> None:
    press(tool)
    layer: Any = tool.layer
    bare_viewer.dims.set_current_step(0, 3)
    z = bare_viewer.dims.point[0]
    drag(layer, (z, 5, 5), (z, 15, 5))  # 10 µm along y: 20 pixels
    assert found == [pytest.approx(20, rel=1e-3)]
    drag(layer, (z, 5, 5), (z, 5, 15))  # 10 µm along x: 40 pixels
    assert found == [pytest.approx(20, rel=1e-3), pytest.approx(30, rel=1e-3)]
    layer.mode = "direct"
    end = layer.data_to_world(layer.data[1][1])
    drag(layer, end, (z, 5, 25))  # the end of the second line is pulled
    assert found[-1] == pytest.approx((20 + 80) / 2, rel=0.01)


def test_a_click_is_no_line(bare_viewer: Any, tool: DiameterTool, found: Any, qtbot: Any) -> None:
    press(tool)
    layer: Any = tool.layer
    place = (bare_viewer.dims.point[0], 5, 5)
    drag(layer, place, place)
    qtbot.waitUntil(lambda: len(layer.data) == 0)
    assert found == []
    assert tool.row.note == DRAW
    drag(layer, place, (place[0], 15, 5))
    assert found == [pytest.approx(20, rel=1e-3)]


def test_a_mouse_over_a_real_canvas(window: Any, qtbot: Any, found: Any) -> None:
    image = window.add_image(np.zeros((5, 200, 200)), scale=(9, 0.5, 0.5))
    tool = DiameterTool(window, found.append)
    window.window.add_dock_widget(tool.row.native, name="diameter")
    watch = ClosingWatch(tool.row.native, tool.close)
    tool.set_image(image, "ZYX")
    tool.button.native.click()
    assert tool.layer is not None
    canvas = window.window._qt_viewer.canvas.native
    qtbot.waitUntil(canvas.isVisible)
    centre = canvas.rect().center()
    start, stop = centre - QPoint(60, 0), centre + QPoint(60, 0)
    left = Qt.MouseButton.LeftButton
    QTest.mouseClick(canvas, left, pos=start)
    assert len(tool.layer.data) == 1  # of the click alone
    qtbot.waitUntil(lambda: len(tool.layer.data) == 0)
    QTest.mouseMove(canvas, start)
    QTest.mousePress(canvas, left, pos=start)
    for step in range(-50, 61, 10):
        qtbot.wait(5)
        QTest.mouseMove(canvas, centre + QPoint(step, 0))
    QTest.mouseRelease(canvas, left, pos=stop)
    qtbot.waitUntil(lambda: bool(found))
    # 120 pixels of the screen, in pixels of the image
    assert found == [pytest.approx(120 / (camera(window).zoom * 0.5), rel=0.02)]
    window.close()  # in the middle of it
    assert not tool.active
    del watch
