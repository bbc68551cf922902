"""The part of an image to segment: regions drawn, what is in view, ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from napari.layers import Image, Shapes
from qtpy.QtCore import QPoint
from skimage.measure import points_in_poly

from napari_unet.errors import InputError
from napari_unet.image.roi import Roi
from napari_unet.image.source import open_image
from napari_unet.widgets.qt.form import Form
from napari_unet.widgets.segment.roi_picker import PLANE, TIME, VIEW, WHOLE, RoiPicker, describe
from napari_unet.widgets.viewer.shapes import fill, outline

SQUARE = [[9.6, 19.7], [9.6, 40.2], [30.4, 40.2], [30.4, 19.7]]


@pytest.fixture
def picker(bare_viewer: Any, changes: list[None], listen: Any, qtbot: Any) -> RoiPicker:
    """In a form, listening to the viewer's layers."""
    picker = RoiPicker(bare_viewer, lambda: changes.append(None))
    form = Form(picker.rows)
    qtbot.addWidget(form)
    listen(bare_viewer, picker)
    picker.form = form  # type: ignore[attr-defined]
    return picker


@pytest.fixture
def movie(bare_viewer: Any, picker: RoiPicker) -> Image:
    """Five time points of seven planes of 60 × 80 pixels."""
    layer = bare_viewer.add_image(np.zeros((5, 7, 60, 80), np.uint8), name="movie")
    picker.set_image(layer, "TZYX", 2)
    return layer


def texts(picker: RoiPicker) -> list[str]:
    native = picker.region.native
    return [native.itemText(i) for i in range(native.count())]


def ranges(roi: Roi) -> tuple[Any, ...]:
    return roi.t, roi.z, roi.y, roi.x


def valid(roi: Roi, layer: Image, axes: str) -> None:
    """The core accepts it."""
    roi.of(open_image(layer.data, axes=axes))


# Ranges


def test_everything_is_the_default(picker: RoiPicker, movie: Image, changes: Any) -> None:
    assert ranges(picker.roi()) == (None, None, None, None)
    assert picker.roi().inside is None
    assert texts(picker) == [WHOLE, VIEW, TIME, PLANE]
    assert changes == []


def test_ranges_count_from_0_and_include_the_last(
    picker: RoiPicker, movie: Image, changes: Any
) -> None:
    picker.planes.first.value = 2
    picker.planes.last.value = 4
    picker.times.last.value = 0
    assert ranges(picker.roi()) == ((0, 1), (2, 5), None, None)
    assert len(changes) == 3
    valid(picker.roi(), movie, "TZYX")
    picker.planes.first.value = 6  # beyond the last one, which gives way
    assert picker.roi().z == (6, 7)
    picker.planes.last.value = 1
    assert picker.roi().z == (1, 2)
    assert describe(picker.roi(), movie.data.shape, "TZYX") == "time point 0, plane 1"


def test_ranges_stand_only_where_there_is_a_choice(
    bare_viewer: Any, picker: RoiPicker, movie: Image
) -> None:
    def shown() -> list[bool]:
        return [not row.native.isHidden() for row in (picker.times_row, picker.planes_row)]

    assert shown() == [True, True]
    picker.region.value = TIME
    assert shown() == [False, True]
    picker.region.value = PLANE
    assert shown() == [True, False]
    stack = bare_viewer.add_image(np.zeros((7, 60, 80)))
    for axes, expected, items in (
        ("ZYX", [False, True], [WHOLE, VIEW, PLANE]),
        ("TYX", [True, False], [WHOLE, VIEW, TIME]),
        ("CYX", [False, False], [WHOLE, VIEW]),
        ("nonsense", [False, False], [WHOLE]),
    ):
        picker.set_image(stack, axes, 2)
        assert texts(picker) == items
        picker.region.value = WHOLE
        assert shown() == expected
    picker.set_image(stack, "ZYX", 3)
    assert texts(picker) == [WHOLE, VIEW]  # a 3D model takes no single plane
    assert shown() == [False, True]
    picker.set_image(bare_viewer.add_image(np.zeros((1, 60, 80))), "ZYX", 2)
    assert shown() == [False, False]
    picker.set_image(None, "", 2)
    assert ranges(picker.roi()) == (None, None, None, None)


def test_another_image_begins_with_all_of_it(
    bare_viewer: Any, picker: RoiPicker, movie: Image
) -> None:
    picker.planes.first.value = 3
    picker.set_image(movie, "TZYX", 2)
    assert picker.roi().z == (3, 7)
    picker.set_image(bare_viewer.add_image(movie.data.copy()), "TZYX", 2)
    assert picker.roi().z is None


# What is in view


def test_time_plane_and_view_are_those_of_the_moment(
    bare_viewer: Any, picker: RoiPicker, movie: Image, changes: Any
) -> None:
    movie.corner_pixels = np.array([[0, 0, 5, 10], [0, 0, 44, 59]])
    picker.region.value = VIEW
    assert ranges(picker.roi()) == (None, None, (5, 45), (10, 60))
    picker.planes.first.value = 3
    assert picker.roi().z == (3, 7)
    bare_viewer.dims.set_current_step((0, 1), (2, 4))
    picker.region.value = TIME
    assert ranges(picker.roi()) == ((2, 3), (3, 7), None, None)
    bare_viewer.dims.set_current_step(0, 4)
    assert picker.roi().t == (4, 5)
    picker.region.value = PLANE
    assert ranges(picker.roi()) == (None, (4, 5), None, None)
    assert len(changes) == 4


def test_a_large_view_is_not_cut(bare_viewer: Any, picker: RoiPicker) -> None:
    layer = bare_viewer.add_image(np.zeros((3000, 2000), np.uint8))
    picker.set_image(layer, "YX", 2)
    layer.corner_pixels = np.array([[0, 0], [2499, 1999]])
    picker.region.value = VIEW
    assert ranges(picker.roi()) == (None, None, (0, 2500), (0, 2000))


# Shapes


def test_a_rectangle_is_snapped_to_pixels(
    bare_viewer: Any, picker: RoiPicker, movie: Image
) -> None:
    shapes = bare_viewer.add_shapes([SQUARE], name="box")
    picker.region.value = shapes
    roi = picker.roi()
    assert ranges(roi) == (None, None, (10, 31), (20, 41))
    assert roi.inside is None
    valid(roi, movie, "TZYX")
    assert describe(roi, movie.data.shape, "TZYX") == "21 × 21 pixels"


def test_pixels_whose_centres_lie_inside_count(bare_viewer: Any, picker: RoiPicker) -> None:
    layer = bare_viewer.add_image(np.zeros((60, 80)))
    picker.set_image(layer, "YX", 2)
    triangle = np.array([[5, 5], [5, 45], [45, 5]], float)
    shapes = bare_viewer.add_shapes([triangle], shape_type="polygon")
    picker.region.value = shapes
    roi = picker.roi()
    assert ranges(roi)[2:] == ((5, 45), (5, 45))
    assert roi.inside is not None
    np.testing.assert_array_equal(roi.inside, np.add.outer(range(40), range(40)) < 40)
    valid(roi, layer, "YX")
    assert describe(roi, (60, 80), "YX") == "40 × 40 pixels (51% inside the outline)"


def test_an_ellipse_is_round(bare_viewer: Any) -> None:
    layer = Image(np.zeros((100, 100)))
    box = [[9.5, 19.5], [9.5, 79.5], [49.5, 79.5], [49.5, 19.5]]
    roi = outline(Shapes([box], shape_type="ellipse"), layer, "YX")
    assert (roi.y, roi.x) == ((10, 50), (20, 80))
    y, x = np.mgrid[10:50, 20:80]
    ellipse = ((y - 29.5) / 20) ** 2 + ((x - 49.5) / 30) ** 2 <= 1
    assert roi.inside is not None
    assert np.mean(roi.inside != ellipse) < 0.005


def test_all_areas_count_together_but_no_lines() -> None:
    shapes = Shapes(
        [
            np.array([[2, 2], [2, 5], [5, 5], [5, 2]]),
            np.array([[10, 10], [10, 14], [14, 14], [14, 10]]),
            np.array([[0, 0], [40, 40]]),
            np.array([[0, 0], [40, 40], [0, 40]]),
        ],
        shape_type=["rectangle", "polygon", "line", "path"],
    )
    roi = outline(shapes, Image(np.zeros((50, 50))), "YX")
    assert (roi.y, roi.x) == ((2, 14), (2, 14))
    assert roi.inside is not None
    assert roi.inside.sum() == 3 * 3 + 4 * 4
    assert roi.inside[0, 0]
    assert roi.inside[11, 11]
    assert not roi.inside[5, 5]


def test_shapes_are_clipped_to_the_image() -> None:
    shapes = Shapes([[[-10, 30], [-10, 90], [20, 90], [20, 30]]])
    roi = outline(shapes, Image(np.zeros((60, 80))), "YX")
    assert (roi.y, roi.x) == ((0, 20), (30, 80))
    assert roi.inside is None


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        ([], "rectangle", "has no area; draw a rectangle"),
        ([[[0, 0], [9, 9]]], "line", "has no area"),
        ([[[70, 5], [70, 9], [80, 9], [80, 5]]], "rectangle", "cover no pixel of ‘picture’"),
        ([[[5.1, 5.1], [5.1, 5.8], [5.8, 5.1]]], "polygon", "cover no pixel"),
        ([[[5, 90], [30, 200], [30, 90]]], "polygon", "cover no pixel"),
    ],
)
def test_what_cannot_be_a_region_is_told(data: Any, kind: str, words: str) -> None:
    shapes = Shapes(data or None, ndim=2, shape_type=kind, name="drawn")
    layer = Image(np.zeros((60, 80)), name="picture")
    with pytest.raises(InputError, match=words) as error:
        outline(shapes, layer, "YX")
    assert "‘drawn’" in str(error.value)


def test_shapes_with_fewer_or_more_axes(bare_viewer: Any) -> None:
    square = np.array(SQUARE)
    stack = Image(np.zeros((4, 7, 60, 80)), scale=(1, 5, 0.5, 0.5))
    flat = Shapes([square * 0.5])
    assert outline(flat, stack, "TZYX").y == (10, 31)
    deep = Shapes([np.insert(square, 0, 3, axis=1)], scale=(5, 0.5, 0.5))
    assert outline(deep, stack, "TZYX").x == (20, 41)
    assert outline(deep, Image(np.zeros((60, 80)), scale=(0.5, 0.5)), "YX").x == (20, 41)
    with pytest.raises(InputError, match="too few to say Y and X"):
        outline(flat, Image(np.zeros((60, 80, 7))), "YXZ")
    colours = Image(np.zeros((60, 80, 3), np.uint8), rgb=True)
    assert outline(Shapes([square]), colours, "YXC").y == (10, 31)


def test_shapes_over_a_pyramid_and_in_other_units() -> None:
    pyramid = Image([np.zeros((60, 80)), np.zeros((30, 40))], multiscale=True)
    assert outline(Shapes([SQUARE]), pyramid, "YX").y == (10, 31)
    nanometres = Shapes([np.array(SQUARE) * 500], units="nm")
    image = Image(np.zeros((60, 80)), scale=(0.5, 0.5), units="um")
    assert outline(nanometres, image, "YX").y == (10, 31)


factor = st.floats(0.2, 5)


@settings(max_examples=25)
@given(factor, factor, st.floats(-170, 170), st.floats(-50, 50), st.floats(-170, 170), factor)
def test_only_where_it_lies_in_the_world_matters(
    scale_y: float, scale_x: float, turn: float, shift: float, other_turn: float, other: float
) -> None:
    """The same outline, kept in a layer of another transform, means the same pixels."""
    image = Image(
        np.zeros((60, 80)), scale=(scale_y, scale_x), rotate=turn, translate=(shift, -shift)
    )
    polygon = np.array([[5.21, 7.13], [8.37, 60.72], [30.44, 71.91], [50.63, 20.38]])
    shapes = Shapes(ndim=2, scale=(other, 2 * other), rotate=other_turn, translate=(3, shift))
    drawn = np.array([shapes.world_to_data(image.data_to_world(v)) for v in polygon])
    shapes.add_polygons(drawn)
    expected = points_in_poly(np.argwhere(np.ones((60, 80))), polygon).reshape(60, 80)
    roi = outline(shapes, image, "YX")
    found = np.zeros((60, 80), bool)
    (y, x), inside = (roi.y, roi.x), roi.inside
    assert y is not None
    assert x is not None
    found[slice(*y), slice(*x)] = inside
    assert np.count_nonzero(found != expected) <= 2  # a float32 may fall on the other side


@settings(max_examples=25)
@given(arrays(np.float64, (6, 2), elements=st.floats(-5, 25)))
def test_filling_agrees_with_asking_every_pixel(vertices: Any) -> None:
    vertices = np.round(vertices, 2) + 0.005
    found = fill(vertices, (20, 15)).ravel()
    inside, doubtful = even_odd(np.argwhere(np.ones((20, 15), bool)), vertices)
    np.testing.assert_array_equal(found[~doubtful], inside[~doubtful])


def even_odd(points: Any, vertices: Any) -> tuple[Any, Any]:
    """Whether a ray to the right crosses the outline an odd number of times, or nearly meets it."""
    inside, doubtful = np.zeros((2, len(points)), bool)
    for a, b in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        between = (a[0] > points[:, 0]) != (b[0] > points[:, 0])
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = a[1] + (points[:, 0] - a[0]) * (b[1] - a[1]) / (b[0] - a[0])
        inside ^= between & (crossing > points[:, 1])
        area = (b[0] - a[0]) * (points[:, 1] - a[1]) - (b[1] - a[1]) * (points[:, 0] - a[0])
        doubtful |= np.abs(area) < 1e-4 * max(1, np.abs(b - a).max())
    return inside, doubtful


def test_polygons_that_touch_share_no_pixel() -> None:
    left = fill(np.array([[0, 0], [0, 5], [10, 5], [10, 0]], float), (10, 10))
    right = fill(np.array([[0, 5], [0, 10], [10, 10], [10, 5]], float), (10, 10))
    assert not (left & right).any()
    assert (left | right).all()


# Layers that come, go and change


def test_the_list_follows_the_shapes(
    bare_viewer: Any, picker: RoiPicker, movie: Image, changes: Any
) -> None:
    empty = bare_viewer.add_shapes(ndim=2, name="roi")
    bare_viewer.add_shapes([[0, 0], [5, 5]], shape_type="line", name="line")
    bare_viewer.add_labels(np.zeros((60, 80), int))
    assert texts(picker)[4:] == []
    empty.add_rectangles(SQUARE)
    assert texts(picker)[4:] == ["Shapes: roi"]
    picker.region.value = empty
    changes.clear()
    empty.name = "renamed"
    other = bare_viewer.add_shapes([SQUARE], name="other")
    bare_viewer.layers.move(bare_viewer.layers.index(other), 0)
    assert texts(picker)[4:] == ["Shapes: other", "Shapes: renamed"]
    assert picker.region.value is empty
    assert changes == []
    empty.add_rectangles(np.array(SQUARE) + 20)
    assert changes == [None]
    assert picker.roi().y == (10, 51)
    other.add_rectangles(SQUARE)
    assert len(changes) == 1  # it is not chosen

    empty.selected_data = {0, 1}
    empty.remove_selected()
    assert picker.region.value is empty  # to be drawn anew, and not the whole image unasked
    with pytest.raises(InputError, match="‘renamed’ has no area"):
        picker.roi()
    bare_viewer.layers.remove(empty)
    assert picker.region.value == WHOLE
    count = len(changes)
    empty.add_rectangles(SQUARE)
    assert len(changes) == count  # nobody listens any more


def test_the_lines_of_the_diameter_are_no_region(bare_viewer: Any, picker: RoiPicker) -> None:
    from napari_unet.widgets.segment.diameter_tool import DiameterTool

    image = bare_viewer.add_image(np.zeros((60, 80)))
    picker.set_image(image, "YX", 2)
    tool = DiameterTool(bare_viewer, lambda _: None)
    tool.set_image(image, "YX")
    tool.start()
    assert tool.layer is not None
    tool.layer.add_rectangles(SQUARE)
    assert texts(picker) == [WHOLE, VIEW]


def test_a_closed_dock_hears_nothing(
    bare_viewer: Any, picker: RoiPicker, movie: Image, changes: Any
) -> None:
    shapes = bare_viewer.add_shapes([SQUARE])
    picker.region.value = shapes
    changes.clear()
    picker.close()
    shapes.add_rectangles(SQUARE)
    assert changes == []


def test_in_a_dock_of_a_real_window(window: Any, qtbot: Any, changes: Any, listen: Any) -> None:
    picker = RoiPicker(window, lambda: changes.append(None))
    form = Form(picker.rows)
    form.setFixedWidth(340)
    window.window.add_dock_widget(form, name="region")
    listen(window, picker)
    layer = window.add_image(np.zeros((5, 1000, 400, 400), np.uint8), scale=(1, 9, 0.5, 0.5))
    picker.set_image(layer, "TZYX", 2)
    window.add_shapes([np.array(SQUARE)], name="a very long name " * 5)
    for editor in (picker.region, picker.times.first, picker.planes.last):
        assert editor.tooltip
        qtbot.waitUntil(editor.native.isVisible)
        assert editor.native.mapTo(form, QPoint(editor.native.width(), 0)).x() <= 340
        assert editor.native.width() >= 90
    assert form.minimumSizeHint().width() <= 340
    picker.region.value = VIEW
    qtbot.waitUntil(lambda: layer.corner_pixels[1, 2] > 0)
    whole = picker.roi().x
    assert whole is not None
    assert whole[1] - whole[0] > 200
    camera = getattr(window, "scene", window).camera  # as of napari 0.9
    camera.center = (50, 100)
    camera.zoom = 20
    qtbot.waitUntil(lambda: picker.roi().x != whole)
    x = picker.roi().x
    assert x is not None
    assert x[1] - x[0] < 200
    assert sum(x) / 2 == pytest.approx(200, abs=3)
