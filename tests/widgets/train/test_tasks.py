"""Each kind of task and of image, from painting in the dock "Train" to the layer in "Segment"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_unet.network.files import list_models
from napari_unet.samples import load_sample

PLUGIN = "napari-unet-torch"
SIZE = 96


@pytest.fixture
def dock(viewer: Any, open_train: Callable[..., Any]) -> Any:
    """The dock, empty."""
    return open_train()


@pytest.fixture
def train(
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
    settle: Callable[..., None],
    previews: list[Any],
    viewer: Any,
) -> Callable[..., Any]:
    """``train(dock, steps=8)``: train, keep the model as "mine", and give its card."""

    def train(dock: Any, **values: Any) -> Any:
        settle(dock, **{"steps": 8, "batch_size": 4, **values})
        assert not dock.form.first_fault
        press(dock.bar.train)
        finish(dock)
        assert dock.trained is not None, dock.bar.message.value
        assert dock.verdict.picture.captions[-1] == "new model"
        previews[:] = [
            (x.name, x.data.shape, x) for x in viewer.layers if "training preview" in x.name
        ]
        dock.verdict.name = "mine"
        press(dock.verdict.keep)
        return next(card for card in list_models() if card.name == "mine")

    return train


@pytest.fixture
def previews() -> list[Any]:
    """Name, shape and layer of the previews that the last training showed."""
    return []


@pytest.fixture
def apply(
    viewer: Any, press: Callable[[Any], None], finish: Callable[[Any], None]
) -> Callable[[Any], Any]:
    """``apply(image)``: run the model that Segment has been given; its layer."""

    def apply(image: Any) -> Any:
        _, segment = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
        assert segment.form.models.source == "mine"
        segment.form.images.choose(image)
        before = list(viewer.layers)
        assert segment.bar.run.enabled, segment.bar.message.value
        press(segment.bar.run)
        finish(segment)
        assert set(viewer.layers) != set(before), segment.bar.message.value
        return next(layer for layer in viewer.layers if layer not in before)

    return apply


def disks(size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Bright disks on dark, with noise; and where they are."""
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:size, :size]
    inside = np.zeros((size, size), bool)
    for row, column in rng.uniform(8, size - 8, (12, 2)):
        inside |= np.hypot(rows - row, columns - column) < 7
    return (40 + 120 * inside + rng.normal(0, 8, inside.shape)).astype(np.uint8), inside


def test_classes_from_scribbles(
    viewer: Any,
    dock: Any,
    train: Callable[..., Any],
    apply: Callable[[Any], Any],
    press: Callable[[Any], None],
    settle: Callable[..., None],
) -> None:
    pixels, inside = disks()
    image = viewer.add_image(pixels, name="tissue")
    dock.rows["task"].editor.value = "semantic"
    press(dock.form.painting.new)
    labels = viewer.layers["tissue labels"]
    rows, columns = np.nonzero(inside)
    labels.brush_size = 3
    for place in zip(rows[::60], columns[::60], strict=True):
        labels.paint(place, 2)
    rows, columns = np.nonzero(~inside)
    for place in zip(rows[::300], columns[::300], strict=True):
        labels.paint(place, 1)
    dock.form.models.choose(None)
    settle(dock)
    assert dock.form.table.lines[0].where == "painted"
    assert dock.form.classes.values == {1, 2}
    dock.form.classes.rename(2, "disk")
    dock.form.classes.rename(1, "around")
    card = train(dock, steps=20, learning_rate=5e-3)
    assert card.task == "semantic"
    assert {c.value: c.name for c in card.classes} == {1: "around", 2: "disk"}
    assert card.training.base is None
    found = apply(image)
    right = (found.data == 2) == inside
    assert right.mean() > 0.9


@pytest.mark.slow
def test_values_from_two_images(
    viewer: Any,
    dock: Any,
    train: Callable[..., Any],
    apply: Callable[[Any], Any],
    previews: list[Any],
    settle: Callable[..., None],
) -> None:
    clean = load_sample("nuclei_2d").image[:SIZE, :SIZE].astype(np.float32)
    noisy = clean + np.random.default_rng(0).normal(0, clean.std(), clean.shape)
    image = viewer.add_image(noisy.astype(np.float32), name="noisy")
    target = viewer.add_image(clean, name="clean")
    dock.rows["task"].editor.value = "regression"
    line = dock.form.table.lines[0]
    line.image_choice.value = image
    settle(dock)
    assert line.labels is target  # the only one that it can be
    assert not dock.form.painting.rows["new_labels"].native.isVisibleTo(dock.native)
    card = train(dock, steps=25, learning_rate=5e-3)
    assert card.task == "regression"
    assert previews
    assert all(layer.__class__.__name__ == "Image" for _, _, layer in previews)
    found = apply(image)
    assert found.data.shape == clean.shape
    assert np.abs(found.data - clean).mean() < 0.9 * np.abs(noisy - clean).mean()


def test_colours(
    viewer: Any,
    dock: Any,
    train: Callable[..., Any],
    apply: Callable[[Any], Any],
    press: Callable[[Any], None],
    fill: Callable[[Any, Any], None],
    previews: list[Any],
) -> None:
    sample = load_sample("nuclei_2d")
    truth = sample.truth[:SIZE, :SIZE]
    colours = np.stack([sample.image[:SIZE, :SIZE] // n for n in (1, 2, 3)], -1)
    image = viewer.add_image(colours, name="colours", rgb=True)
    press(dock.form.painting.new)
    labels = viewer.layers["colours labels"]
    assert labels.data.shape == truth.shape
    fill(labels, truth)
    dock.form.painting.done.value = True
    dock.form.models.choose(None)
    card = train(dock, steps=4, batch_size=2)
    assert card.architecture.in_channels == 3
    assert previews[0][1] == truth.shape
    assert apply(image).data.shape == truth.shape


def test_a_time_series_with_scale_and_units(
    viewer: Any,
    dock: Any,
    train: Callable[..., Any],
    apply: Callable[[Any], Any],
    press: Callable[[Any], None],
    fill: Callable[[Any, Any], None],
    previews: list[Any],
) -> None:
    sample = load_sample("nuclei_2d")
    truth = sample.truth[:SIZE, :SIZE]
    place = {"scale": (30, 0.5, 0.5), "translate": (0, 7, 9), "units": ("s", "um", "um")}
    movie = np.stack([sample.image[:SIZE, :SIZE]] * 3)
    labels_axes = ("t", "y", "x")
    image = viewer.add_image(movie, name="movie", axis_labels=labels_axes, **place)
    press(dock.form.painting.new)
    labels = viewer.layers["movie labels"]
    assert np.allclose(labels.scale, image.scale)
    assert np.allclose(labels.translate, image.translate)
    for time in (0, 2):
        viewer.dims.set_current_step(0, time)
        whole = np.zeros(movie.shape, np.int32)
        whole[time] = truth
        fill(labels, whole)
        dock.form.painting.done.value = True
    viewer.dims.set_current_step(0, 1)
    assert not dock.form.painting.done.value
    dock.form.models.choose("random")
    card = train(dock, steps=4, batch_size=2)
    assert card.training.labelled_pixels <= 2 * truth.size
    name, shape, preview = previews[0]
    assert "movie training preview" in name
    assert shape == (1, SIZE, SIZE)  # of the time point in view
    assert np.allclose(preview.translate, (30, 7, 9))
    found = apply(image)
    assert found.data.shape == movie.shape
    assert np.allclose(found.translate, image.translate)


@pytest.mark.slow
def test_a_multiscale_image(
    viewer: Any,
    dock: Any,
    train: Callable[..., Any],
    apply: Callable[[Any], Any],
    press: Callable[[Any], None],
    fill: Callable[[Any, Any], None],
    previews: list[Any],
) -> None:
    sample = load_sample("nuclei_2d")
    pixels, truth = sample.image[:160, :160], sample.truth[:160, :160]
    levels = [pixels, pixels[::2, ::2], pixels[::4, ::4]]
    image = viewer.add_image(levels, name="pyramid", multiscale=True, scale=(0.5, 0.5))
    press(dock.form.painting.new)
    labels = viewer.layers["pyramid labels"]
    assert labels.data.shape == truth.shape  # of the finest level
    fill(labels, truth)
    dock.form.painting.done.value = True
    dock.form.models.choose("random")
    train(dock)
    assert np.allclose(previews[0][2].scale, 0.5)
    apply(image)


@pytest.mark.slow
def test_two_images_of_different_size(
    viewer: Any,
    dock: Any,
    train: Callable[..., Any],
    press: Callable[[Any], None],
    fill: Callable[[Any, Any], None],
    settle: Callable[..., None],
) -> None:
    sample = load_sample("nuclei_2d")
    for name, (height, width) in {"large": (SIZE, 130), "small": (64, 70)}.items():
        viewer.add_image(sample.image[:height, :width], name=name)
    press(dock.form.painting.new)
    fill(viewer.layers["large labels"], sample.truth[:SIZE, :130])
    dock.form.painting.done.value = True
    viewer.layers.selection.active = viewer.layers["small"]
    press(dock.form.table.more)
    second = dock.form.table.lines[1]
    assert second.image is viewer.layers["small"]
    viewer.layers.selection.active = viewer.layers["small"]
    assert dock.form.painting.new.text == "New labels for small"
    press(dock.form.painting.new)
    labels = viewer.layers["small labels"]
    assert second.labels is labels
    assert len(dock.form.table.lines) == 2
    fill(labels, sample.truth[:64, :70])
    dock.form.painting.done.value = True
    dock.form.models.choose("random")
    card = train(dock)
    assert card.training.examples == 2
    # one of them away: the other is enough
    viewer.layers.remove("small")
    viewer.layers.remove("small labels")
    settle(dock)
    assert len(dock.form.table.lines) == 1
    assert dock.bar.train.enabled
