"""What a layer says of its axes and sizes, and where its result is laid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from dask import delayed
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_unet.card import ClassInfo
from napari_unet.errors import InputError
from napari_unet.inference.results import Segmentation
from napari_unet.widgets.qt.axes_field import AxesGuess
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, LayerImage
from napari_unet.widgets.viewer.result_layers import add_labels, add_values
from napari_unet.widgets.viewer.view import View, view_of


def read(data: Any, **options: Any) -> LayerImage:
    return LayerImage.of(Image(data, **options))


@pytest.mark.parametrize(
    ("shape", "labels", "expected"),
    [
        ((5, 8, 8), ("z", "y", "x"), "ZYX"),
        ((5, 8, 8), ("Time", "Y", "X"), "TYX"),
        ((2, 5, 8, 8), ("channel", "z", "y", "x"), "CZYX"),
        ((8, 5, 8), ("x", "z", "y"), "XZY"),
    ],
)
def test_axis_labels_settle_the_axes(
    shape: tuple[int, ...], labels: tuple[str, ...], expected: str
) -> None:
    image = read(np.zeros(shape), axis_labels=labels)
    assert image.guess_axes(ndim=2, channels=1) == AxesGuess(expected)


@pytest.mark.parametrize("labels", [None, ("a", "y", "x"), ("y", "y", "x"), ("z", "c", "x")])
def test_labels_that_say_nothing_leave_a_doubt(labels: Any) -> None:
    image = read(np.zeros((5, 8, 8)), axis_labels=labels)
    axes, doubt, others = image.guess_axes(ndim=2, channels=1)
    assert others == ("TYX", "CYX")
    assert axes == "ZYX"
    assert "give the axes TYX for time" in doubt
    assert "axes=" not in doubt


def test_colours_are_channels() -> None:
    image = read(np.zeros((9, 8, 3), np.uint8), rgb=True)
    assert image.guess_axes(ndim=2, channels=3) == AxesGuess("YXC")
    rgb = read(np.zeros((5, 9, 8, 3), np.uint8), rgb=True)
    axes, doubt, _ = rgb.guess_axes(ndim=2, channels=3)
    assert axes == "ZYXC"
    assert "give the axes TYXC for time" in doubt
    named = read(np.zeros((5, 9, 8, 3), np.uint8), rgb=True, axis_labels=("t", "y", "x"))
    assert named.guess_axes(ndim=2, channels=3) == AxesGuess("TYXC")


def test_too_many_axes_are_refused_in_words() -> None:
    with pytest.raises(InputError, match="2 to 5 axes"):
        read(np.zeros((1, 1, 2, 2, 8, 8))).guess_axes(ndim=2, channels=1)


def test_pixel_size_in_micrometres_whatever_the_unit() -> None:
    image = read(np.zeros((4, 8, 8)), scale=(1, 325, 325), units=("um", "nm", "nm"))
    assert image.pixel_size("ZYX") == (1.0, 0.325, 0.325)
    assert image.pixel_size("TYX") == (0.325, 0.325)


def test_a_scale_in_pixels_is_no_pixel_size() -> None:
    image = read(np.zeros((8, 8)), scale=(0.5, 0.5))
    assert image.pixel_size("YX") == (None, None)


def test_pixel_size_of_turned_and_affine_layers() -> None:
    double = np.diag([2.0, 2.0, 1.0])
    image = read(np.zeros((8, 8)), scale=(0.5, 0.25), rotate=30, units="um", affine=double)
    assert image.pixel_size("YX") == (1.0, 0.5)


def test_finest_level_of_a_multiscale_layer() -> None:
    levels = [np.ones((64, 64)), np.zeros((32, 32))]
    image = read(levels, scale=(3, 3))
    assert image.shape == (64, 64)
    assert image.array[0, 0] == 1
    np.testing.assert_allclose(image.placement("YX")["scale"], (3, 3))


def test_big_arrays_are_not_read(tmp_path: Path) -> None:
    def explode() -> np.ndarray[Any, Any]:
        raise AssertionError("pixels were read")

    lazy = da.from_delayed(delayed(explode)(), (1000, 40, 40), float)
    layer = Image(da.zeros((1000, 40, 40), chunks=(1, 40, 40)), contrast_limits=(0, 1))
    layer._data = lazy
    image = LayerImage.of(layer)
    assert image.array is lazy
    assert image.guess_axes(ndim=3, channels=1) == AxesGuess("ZYX")
    on_disk = zarr.create_array(tmp_path / "a.zarr", shape=(20, 30), dtype="u2", chunks=(10, 10))
    assert isinstance(read(on_disk).array, zarr.Array)
    mapped = np.memmap(tmp_path / "a.raw", np.uint8, "w+", shape=(20, 30))
    assert isinstance(read(mapped).array, np.memmap)


angle = st.floats(-170, 170)
factor = st.floats(0.1, 10)


@settings(max_examples=15)
@given(factor, factor, angle, st.floats(-0.5, 0.5), st.floats(-9, 9), st.booleans())
def test_result_lies_exactly_over_the_image(
    scale_y: float, scale_x: float, turn: float, shear: float, shift: float, further: bool
) -> None:
    affine = np.array([[1.5, 0.2, 4], [0, 0.7, -3], [0, 0, 1]]) if further else np.eye(3)
    layer = Image(
        np.zeros((6, 7)),
        scale=(scale_y, scale_x),
        rotate=turn,
        shear=[shear],
        translate=(shift, 1),
        affine=affine,
        units="um",
    )
    result = Labels(np.zeros((6, 7), int), **LayerImage.of(layer).placement("YX"))
    for point in ((0, 0), (6, 0), (2.5, 7)):
        np.testing.assert_allclose(
            result.data_to_world(point), layer.data_to_world(point), atol=1e-6
        )
    assert result.units == layer.units


def test_a_cut_out_lies_where_it_was_cut() -> None:
    layer = Image(np.zeros((4, 20, 30)), scale=(2, 0.5, 0.5), rotate=25, translate=(1, 2, 3))
    placement = LayerImage.of(layer).placement("ZYX", corner=(2, 5, 7))
    result = Labels(np.zeros((1, 3, 3), int), **placement)
    np.testing.assert_allclose(result.data_to_world((0, 1, 1)), layer.data_to_world((2, 6, 8)))


HYPERSTACK: dict[str, Any] = {
    "scale": (2, 9, 0.5, 0.25),
    "translate": (1, 7, 2, 3),
    "axis_labels": ("z", "c", "y", "x"),
    "units": ("um", "pixel", "um", "um"),
}


def test_a_channel_axis_in_front_is_left_out() -> None:
    layer = Image(np.zeros((2, 4, 20, 30)), scale=(9, 2, 0.5, 0.25), translate=(7, 1, 2, 3))
    placement = LayerImage.of(layer).placement("CZYX")
    labels = np.zeros((4, 20, 30), int)
    assert placement.lay(labels) is labels
    result = Labels(labels, **placement)
    np.testing.assert_allclose(result.scale, (2, 0.5, 0.25))
    np.testing.assert_allclose(result.translate, (1, 2, 3))


@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_a_result_lies_on_every_channel_of_its_plane(channels: int) -> None:
    layer = Image(np.zeros((4, channels, 20, 30)), **HYPERSTACK)
    placement = LayerImage.of(layer).placement("ZCYX")
    labels = np.arange(4 * 20 * 30).reshape(4, 20, 30)
    result = Labels(placement.lay(labels), **placement)
    assert np.shares_memory(result.data, labels)
    assert result.axis_labels == layer.axis_labels
    assert result.units == layer.units
    for z in range(4):
        for channel in range(channels):
            world = layer.data_to_world((z, channel, 3, 4))
            found = np.round(result.world_to_data(world)).astype(int)
            assert found.tolist() == [z, 0, 3, 4]
    # no pixel of it stands out of the image
    np.testing.assert_allclose(
        result.data_to_world((0, -0.5, 0, 0)), layer.data_to_world((0, -0.5, 0, 0))
    )
    np.testing.assert_allclose(
        result.data_to_world((0, 0.5, 0, 0)), layer.data_to_world((0, channels - 0.5, 0, 0))
    )


@pytest.mark.parametrize("axes", ["TCYX", "TCZYX", "YXC", "ZYCX"])
def test_values_lie_beside_channels_wherever_these_stand(axes: str) -> None:
    sizes = {"T": 3, "C": 2, "Z": 4, "Y": 5, "X": 6}
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros([sizes[a] for a in axes]), translate=range(len(axes)))
    kept = axes.replace("C", "")
    values = np.random.default_rng(0).random([2, *(sizes[a] for a in kept)])
    placement = LayerImage.of(image).placement(axes)
    for i, layer in enumerate(add_values(viewer, values, "C" + kept, ("a", "b"), placement, {})):
        assert layer.ndim == image.ndim
        for place in np.ndindex(*image.data.shape):
            point = np.round(layer.world_to_data(image.data_to_world(place))).astype(int)
            without = [n for n, a in zip(place, axes, strict=True) if a != "C"]
            assert layer.data[tuple(point)] == values[(i, *without)]


def test_colours_are_no_axis_of_the_result() -> None:
    layer = Image(np.zeros((20, 30, 3), np.uint8), rgb=True, scale=(2, 3))
    result = Labels(np.zeros((20, 30), int), **LayerImage.of(layer).placement("YXC"))
    np.testing.assert_allclose(result.scale, (2, 3))


def test_classes_have_the_colours_and_names_of_the_card(make_model: Any) -> None:
    card = make_model(task="semantic").card
    classes = tuple(
        ClassInfo(value=v, name=n, colour=c)
        for v, n, c in ((0, "none", "#000000"), (1, "cell", "#ff0000"), (7, "gap", "#0000ff"))
    )
    card = card.model_copy(update={"classes": classes})
    viewer = ViewerModel()
    data = np.array([[0, 1], [7, 0]], np.uint8)
    placement = read(np.zeros((2, 2))).placement("YX")
    found = Segmentation(data, "YX", (None, None), card, {"seconds": 1})
    layer = add_labels(viewer, found, "parts", placement)
    assert layer.metadata[RECORD_KEY] == {"seconds": 1}
    np.testing.assert_allclose(layer.get_color(1), (1, 0, 0, 1))
    np.testing.assert_allclose(layer.get_color(7), (0, 0, 1, 1))
    assert layer.get_color(0) is None or layer.get_color(0)[3] == 0
    assert "cell" in layer.get_status((0, 1))["value"]


def test_values_become_a_layer_per_channel() -> None:
    viewer = ViewerModel()
    placement = read(np.zeros((4, 5, 6)), scale=(3, 1, 1)).placement("ZYX")
    values = np.arange(4 * 2 * 5 * 6, dtype=np.float32).reshape(4, 2, 5, 6)
    layers = add_values(viewer, values, "ZCYX", ("mean", "width"), placement, {})
    assert [layer.name for layer in layers] == ["mean", "width"]
    np.testing.assert_array_equal(layers[1].data, values[:, 1])
    np.testing.assert_allclose(layers[0].scale, (3, 1, 1))


def viewing(layer: Image, **dims: Any) -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_layer(layer)
    for name, value in dims.items():
        setattr(viewer.dims, name, value)
    return viewer


def test_view_is_the_part_on_the_canvas_at_the_viewers_plane() -> None:
    layer = Image(np.zeros((3, 9, 200, 300)), scale=(1, 2, 0.5, 0.5), translate=(0, 10, 0, 0))
    viewer = viewing(layer)
    viewer.dims.set_current_step((0, 1), (2, 4))
    layer.corner_pixels = np.array([[2, 4, 50, 60], [2, 4, 149, 199]])
    assert view_of(viewer, layer, "TZYX") == View(slice(50, 150), slice(60, 200), t=2, z=4)


def test_view_of_a_multiscale_layer_is_in_pixels_of_the_finest_level() -> None:
    layer = Image([np.zeros((400, 400)), np.zeros((200, 200))])
    viewer = viewing(layer)
    layer.data_level = 1
    layer.corner_pixels = np.array([[10, 20], [99, 119]])
    view = view_of(viewer, layer, "YX")
    assert (view.y.start, view.x.start) == (20, 40)
    assert 198 <= view.y.stop <= 202


def test_view_in_3d_or_of_other_planes_is_the_whole_plane() -> None:
    layer = Image(np.zeros((20, 30, 40)))
    viewer = viewing(layer, ndisplay=3)
    assert view_of(viewer, layer, "ZYX").x == slice(0, 40)
    viewer = viewing(Image(np.zeros((20, 30, 40))), order=(1, 0, 2))
    assert view_of(viewer, viewer.layers[0], "ZYX").y == slice(0, 30)


def test_view_of_colours() -> None:
    layer = Image(np.zeros((30, 40, 3), np.uint8), rgb=True)
    viewer = viewing(layer)
    layer.corner_pixels = np.array([[5, 6], [14, 25]])
    assert view_of(viewer, layer, "YXC") == View(slice(5, 15), slice(6, 26))


def test_a_huge_view_is_cut_down_to_its_centre() -> None:
    view = View.around(slice(0, 5000), slice(10, 20), t=1)
    assert view == View(slice(1988, 3012), slice(10, 20), t=1)
