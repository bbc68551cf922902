"""What can be segmented: images of every type, storage and place; and what cannot, in words.

The dock stands in no window.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image

import napari_unet as nu
from napari_unet.samples import load_sample

SIZE = (64, 80)

pytestmark = pytest.mark.windowless


@pytest.fixture(scope="module")
def nuclei() -> np.ndarray:
    """A small part of the sample, uint8."""
    return load_sample("nuclei_2d").image[: SIZE[0], : SIZE[1]]


def of_type(image: np.ndarray, kind: str) -> np.ndarray:
    """The same picture in another type, over much of its range; signed ones partly negative."""
    dtype = np.dtype(kind)
    if dtype.kind == "b":
        return image > image.mean()
    if dtype.kind == "f":
        return (image / 300 - 0.2).astype(dtype)
    values = image.astype(np.int64) * (2 ** (8 * min(dtype.itemsize, 4) - 9) // 100 + 1)
    return (values - (values.max() // 2 if dtype.kind == "i" else 0)).astype(dtype)


TYPES = ["bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ">u2", ">f4"]


@pytest.fixture
def segmented(dock: Any, viewer: Any, run: Any) -> Callable[..., Any]:
    """``segmented(image, axes=..., ...)``: a new layer, chosen and run; it and its labels."""
    number = itertools.count()

    def segmented(image: Any, axes: str = "", channels: str = "", **fields: Any) -> Any:
        # the layers before stay: taking them away costs napari more than all the rest
        layer = viewer.add_image(image, name=f"image {next(number)}", **fields)
        dock.form.images.choose(layer)
        for field, text in ((dock.form.axes, axes), (dock.form.channels, channels)):
            if text:
                field.value = text
        run(dock)
        return layer, viewer.layers[f"{layer.name} labels"]

    return segmented


def test_numbers_of_every_type(
    dock: Any, viewer: Any, run: Any, labels_of: Any, nuclei: np.ndarray
) -> None:
    expected = nu.segment(nuclei, "nuclei") > 0
    layer = viewer.add_image(nuclei)
    for kind in TYPES:
        image = of_type(nuclei, kind)
        layer.data = image
        run(dock)
        labels = labels_of(viewer)[-1]
        assert layer.data.dtype == np.dtype(kind)
        assert labels.data.dtype == np.int32
        if kind in ("bool", "i2", "f2", ">u2"):
            np.testing.assert_array_equal(labels.data, nu.segment(image, "nuclei"), kind)
        # the intensities are normalised: the type does not matter much
        assert np.mean((labels.data > 0) == expected) > 0.9, kind


def test_a_colour_is_picked(segmented: Any, dock: Any, nuclei: np.ndarray) -> None:
    dock.form.models.choose("nuclei")  # of one channel; one of three would be suggested
    for colours, kind in ((3, "u1"), (4, "u1"), (3, "f4"), (4, "u2")):
        image = np.zeros((*SIZE, colours), kind)
        image[..., 1] = nuclei / (300 if kind == "f4" else 1)
        _, labels = segmented(image, rgb=True, scale=(2, 3), channels="1")
        assert f"channels 0 to {colours - 1}" in dock.rows["channels"].note
        np.testing.assert_array_equal(labels.data, nu.segment(image[..., 1], "nuclei"))
        np.testing.assert_allclose(labels.scale, (2, 3))


AXES = [
    ("CYX", (2, *SIZE)),
    ("YXC", (*SIZE, 2)),
    ("TYX", (2, 48, 56)),
    ("ZYX", (3, 48, 56)),
    ("TZYX", (2, 2, 48, 40)),
    ("TCYX", (2, 2, 48, 40)),
    ("TZCYX", (2, 2, 2, 48, 40)),
    ("ZYX", (1, 48, 56)),
    ("YX", (48, 1)),
    ("YX", (1, 56)),
]


def test_axes_of_every_kind(segmented: Any, nuclei: np.ndarray) -> None:
    for axes, shape in AXES:
        y, x = (shape[axes.index(axis)] for axis in "YX")
        plane = nuclei[:y, :x].reshape(
            [n if a in "YX" else 1 for a, n in zip(axes, shape, strict=True)]
        )
        image = (np.random.default_rng(0).uniform(0.5, 1, shape) * plane).astype(np.uint8)
        channel = "1" if "C" in axes else ""
        _, labels = segmented(image, axes, channel, scale=tuple(range(2, 2 + len(axes))))
        channels = [1] if channel else None
        expected = nu.segment(image, "nuclei", axes=axes, channels=channels)
        shown = axes if axes[0] != "C" else axes[1:]  # beside its channels, or without them
        found = labels.data.squeeze(shown.index("C")) if "C" in shown else labels.data
        np.testing.assert_array_equal(found, expected, f"{axes} {shape}")
        steps = dict(zip(shown, labels.scale, strict=True))
        assert all(steps[a] == i + 2 for i, a in enumerate(axes) if a != "C")


def test_a_level_of_a_pyramid_is_segmented_where_it_lies(
    dock: Any, viewer: Any, run: Any, labels_of: Any
) -> None:
    image = load_sample("nuclei_2d").image[:160, :192].astype(np.float32)
    halves = image.reshape(80, 2, 96, 2).mean((1, 3))
    place: dict[str, Any] = {"scale": (0.5, 0.25), "translate": (7, -3), "rotate": 20}
    viewer.add_image([image, halves], multiscale=True, **place)
    flat = Image(image, **place)
    for level in (0, 1):
        dock.form.level.value = level
        run(dock)
    fine, coarse = labels_of(viewer)
    assert (fine.data.shape, coarse.data.shape) == ((160, 192), (80, 96))
    np.testing.assert_array_equal(coarse.data, nu.segment(halves, "nuclei"))
    for labels in (fine, coarse):  # the outer edges of the corner pixels are those of the image
        first, last = (-0.5, -0.5), np.array(labels.data.shape) - 0.5
        np.testing.assert_allclose(labels.data_to_world(first), flat.data_to_world(first))
        np.testing.assert_allclose(labels.data_to_world(last), flat.data_to_world((159.5, 191.5)))
    centres = [
        labels.data_to_world(np.argwhere(labels.data > 0).mean(axis=0)) for labels in (fine, coarse)
    ]
    np.testing.assert_allclose(*centres, atol=0.5)


def as_dask(image: np.ndarray, _: Path) -> Any:
    import dask.array as da

    return da.from_array(image, chunks=(40, 50))


def as_zarr(image: np.ndarray, folder: Path) -> Any:
    import zarr

    array = zarr.create_array(
        folder / "a.zarr", shape=image.shape, dtype=image.dtype, chunks=(40, 50), zarr_format=3
    )
    array[:] = image
    return array


def as_memmap(image: np.ndarray, folder: Path) -> Any:
    array = np.memmap(folder / "a.raw", image.dtype, "w+", shape=image.shape)
    array[:] = image
    return array


def as_delayed_planes(image: np.ndarray, _: Path) -> Any:
    import dask.array as da
    from dask import delayed

    planes = [da.from_delayed(delayed(np.copy)(image), image.shape, image.dtype) for _ in range(2)]
    return da.stack(planes)


def test_images_that_are_not_in_memory(segmented: Any, nuclei: np.ndarray, tmp_path: Path) -> None:
    for keep in (as_dask, as_zarr, as_memmap, as_delayed_planes):
        image = keep(nuclei, tmp_path)
        _, labels = segmented(image, contrast_limits=(0, 255))
        expected = nu.segment(np.asarray(image), "nuclei")
        np.testing.assert_array_equal(labels.data, expected, keep.__name__)


TRANSFORMS: list[dict[str, Any]] = [
    {"scale": (0.5, 2)},
    {"scale": (0.5, 0.5), "translate": (100, -7), "units": ("um", "um")},
    {"rotate": 33, "scale": (2, 1)},
    {"shear": [0.4], "rotate": -100},
    {"affine": [[1.5, 0.2, 4], [0.1, 0.7, -3], [0, 0, 1]], "scale": (2, 3), "rotate": 10},
    {"scale": (325, 325), "units": "nm", "axis_labels": ("y", "x")},
]


def test_the_result_lies_where_the_image_lies(
    segmented: Any, dock: Any, nuclei: np.ndarray
) -> None:
    dock.rows["object_diameter"].editor.value = 21  # whatever the pixel size
    for place in TRANSFORMS:
        image, labels = segmented(nuclei, **place)
        for pixel in itertools.product((0, SIZE[0] - 1), (0, SIZE[1] - 1)):
            np.testing.assert_allclose(
                labels.data_to_world(pixel), image.data_to_world(pixel), atol=1e-9
            )
        assert labels.units == image.units
        assert labels.data.max() > 3


def test_a_turned_stack_keeps_its_place(
    dock: Any, viewer: Any, run: Any, labels_of: Any, nuclei: np.ndarray
) -> None:
    layer = viewer.add_image(
        np.stack([nuclei, nuclei]),
        scale=(4, 1, 1),
        rotate=[[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]],
        translate=(1, 2, 3),
    )
    dock.form.roi_picker.planes.first.value = 1
    run(dock)
    (labels,) = labels_of(viewer)
    assert labels.data.shape == (1, *SIZE)
    for y, x in ((0, 0), (10, 20)):
        np.testing.assert_allclose(
            labels.data_to_world((0, y, x)), layer.data_to_world((1, y, x)), atol=1e-9
        )


# What is wrong is said, and the dock goes on


def works(dock: Any, viewer: Any, run: Any, labels_of: Any, image: np.ndarray) -> bool:
    """Whether the dock segments an image after all that."""
    dock.form.images.choose(viewer.add_image(image, name="good"))
    before = len(labels_of(viewer))
    run(dock)
    return len(labels_of(viewer)) == before + 1 and dock.rows["image"].fault == ""


def test_only_labels_are_no_image(
    dock: Any, viewer: Any, run: Any, labels_of: Any, nuclei: np.ndarray
) -> None:
    viewer.add_labels((nuclei > 60).astype(int))
    viewer.add_points([[1, 1]])
    assert "no image" in dock.rows["image"].fault
    assert not dock.bar.run.enabled
    assert works(dock, viewer, run, labels_of, nuclei)


def test_a_3d_model_wants_a_stack(
    dock: Any, viewer: Any, run: Any, labels_of: Any, nuclei: np.ndarray, save_model: Any
) -> None:
    save_model("deep", ndim=3)
    dock.reset_choices()
    dock.form.models.choose("deep")
    viewer.add_image(nuclei)
    assert "3D" in dock.bar.message.value
    assert not dock.bar.run.enabled
    viewer.add_image(np.stack([nuclei[:40, :40]] * 4), name="stack")
    dock.form.images.choose(viewer.layers["stack"])
    run(dock)
    assert labels_of(viewer)[0].data.shape == (4, 40, 40)
    dock.form.models.choose("nuclei")
    assert works(dock, viewer, run, labels_of, nuclei)


def test_a_model_of_two_channels_says_how_to_give_them(
    dock: Any, viewer: Any, nuclei: np.ndarray, save_model: Any
) -> None:
    save_model("two", in_channels=2)
    dock.reset_choices()
    dock.form.models.choose("two")
    viewer.add_image(nuclei)
    assert "2 channels (channel 0, channel 1)" in dock.rows["image"].fault
    assert dock.form.images.image.choices[-1] in dock.rows["image"].fault
    assert not dock.bar.run.enabled
    viewer.add_image(np.stack([nuclei, nuclei]), name="both")
    dock.form.images.choose(viewer.layers["both"])
    assert dock.form.axes.value == "CYX"
    assert dock.bar.run.enabled
    dock.form.channels.value = "0"
    assert "takes 2" in dock.rows["channels"].fault
    dock.form.channels.value = "0, 2"
    assert "no channel 2" in dock.rows["channels"].fault


def test_layers_that_are_no_channels_of_one_image(
    dock: Any, viewer: Any, run: Any, nuclei: np.ndarray, save_model: Any, labels_of: Any
) -> None:
    save_model("two", in_channels=2)
    dock.reset_choices()
    dock.form.models.choose("two")
    first = viewer.add_image(nuclei, name="first")
    second = viewer.add_image(nuclei[:, :-1], name="second")
    dock.form.images.image.value = dock.form.images.image.choices[-1]
    assert "differ in shape" in dock.rows["layers"].fault
    assert not dock.bar.run.enabled
    second.data = nuclei
    assert dock.bar.run.enabled
    second.scale = (2, 2)
    assert "differ in scale" in dock.rows["layers"].fault
    first.scale = (2, 2)
    run(dock)
    assert len(labels_of(viewer)) == 1


def test_shapes_beside_the_image(
    dock: Any, viewer: Any, run: Any, nuclei: np.ndarray, labels_of: Any
) -> None:
    viewer.add_image(nuclei)
    viewer.add_shapes([[[200, 5], [200, 30], [230, 30], [230, 5]]], name="beside")
    dock.form.roi_picker.region.value = viewer.layers["beside"]
    assert "cover no pixel" in dock.rows["region"].fault
    assert not dock.bar.run.enabled
    viewer.layers.remove("beside")
    assert dock.rows["region"].fault == ""
    run(dock)
    assert labels_of(viewer)[0].data.shape == SIZE


def test_what_is_no_intensity(
    dock: Any, viewer: Any, run: Any, labels_of: Any, nuclei: np.ndarray
) -> None:
    for value, word in ((np.nan, "NaN"), (-np.inf, "infinite")):
        image = np.full(nuclei.shape, value)
        dock.form.images.choose(viewer.add_image(image, contrast_limits=(0, 255)))
        run(dock)
        assert word in dock.bar.message.value
        assert labels_of(viewer) == []
    assert works(dock, viewer, run, labels_of, nuclei)


def test_a_diameter_out_of_all_proportion_is_told_before_the_run(
    dock: Any, viewer: Any, run: Any, labels_of: Any, nuclei: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(nuclei)
    row, card = dock.rows["object_diameter"], dock.form.card
    for diameter in (0.2, 100_000.0):
        row.editor.value = diameter
        qtbot.waitUntil(lambda: "iameter" in row.fault, timeout=60_000)  # torch is imported first
        assert dock.bar.message.value == row.fault
        assert f"resampled by ({card.object_diameter / diameter:.3g}, " in row.fault
        run(dock)
        assert "iameter" in row.fault
        assert labels_of(viewer) == []
        row.editor.value = None
        assert row.fault == ""
    assert works(dock, viewer, run, labels_of, nuclei)


def test_a_model_file_that_is_damaged_then_vanishes_before_a_run(
    dock: Any,
    viewer: Any,
    run: Any,
    labels_of: Any,
    nuclei: np.ndarray,
    save_model: Any,
    tmp_path: Path,
) -> None:
    save_model("mine")
    path = tmp_path / "models" / "mine.safetensors"
    viewer.add_image(nuclei)
    dock.reset_choices()
    dock.form.models.choose("mine")
    assert dock.bar.run.enabled
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])  # behind the back of the form
    run(dock)
    assert "damaged" in dock.bar.message.value
    path.unlink()
    run(dock)
    assert "There is no model 'mine'" in dock.bar.message.value
    dock.reset_choices()
    assert dock.rows["model"].fault == "The model ‘mine’ is gone; choose another."
    assert not dock.bar.run.enabled
    dock.form.models.choose("nuclei")
    assert dock.rows["model"].fault == ""
    assert works(dock, viewer, run, labels_of, nuclei)


def test_a_device_that_is_not_there(
    dock: Any, viewer: Any, run: Any, labels_of: Any, nuclei: np.ndarray, qtbot: Any
) -> None:
    viewer.add_image(nuclei)
    editor = dock.rows["device"].editor
    editor.value = "mps"
    qtbot.waitUntil(lambda: dock.warm, timeout=60_000)
    assert editor.value == "mps"  # offered still: it was chosen
    run(dock)
    assert labels_of(viewer) == []
    assert "mps" in dock.bar.message.value
    assert "mps" in dock.rows["device"].fault
    editor.value = "auto"
    assert works(dock, viewer, run, labels_of, nuclei)


def test_a_tile_is_one_whole_number(
    open_dock: Any, viewer: Any, run: Any, labels_of: Any, nuclei: np.ndarray
) -> None:
    """Settings of an earlier session that the form cannot hold are not taken over."""
    from napari_unet.widgets.qt.memory import remember

    viewer.add_image(nuclei)
    settings = {"tile": [64, 64], "threshold": 3, "device": "gpu", "flips": True, "min_size": -5}
    remember("segment", {"settings": settings, "model": 7})
    dock = open_dock()
    assert dock.form.values() == {"flips": True}
    run(dock)
    assert len(labels_of(viewer)) == 1
