"""What a model in training says of the view, as layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.utils._test_utils import read_only_mouse_event
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)

from napari_unet.card import ClassInfo
from napari_unet.widgets.train.link import Previewed
from napari_unet.widgets.train.preview_layers import TrainingPreview
from napari_unet.widgets.train.view import TrainingView
from napari_unet.widgets.viewer.layer_image import RECORD_KEY, LayerImage
from napari_unet.widgets.viewer.view import View

pytestmark = pytest.mark.windowless
NAMES = ["cells training preview", "cells base preview"]


@pytest.fixture
def image(viewer: Any) -> Any:
    return viewer.add_image(np.zeros((5, 60, 80)), name="cells", scale=(2, 0.5, 0.5))


@pytest.fixture
def painted(viewer: Any, image: Any) -> Any:
    layer = viewer.add_labels(np.zeros((5, 60, 80), np.int32), name="mine", scale=(2, 0.5, 0.5))
    layer.mode = "paint"
    return layer


@pytest.fixture
def previews(viewer: Any, image: Any) -> Any:
    previews = TrainingPreview(viewer)
    previews.begin("instance")
    return previews


@pytest.fixture
def tell(previews: TrainingPreview, image: Any) -> Any:
    """``tell(labels)``: what the training said of a part of the plane."""

    def tell(
        result: Any, *, y: int = 10, x: int = 20, z: int = 2, axes: str = "ZYX", **more: Any
    ) -> None:
        result = np.asarray(result)
        height, width = result.shape[-2:]
        view = TrainingView(
            LayerImage.of(image), axes, None, View(slice(y, y + height), slice(x, x + width), 0, z)
        )
        previews.show(Previewed(view, result, 2, **more), image, view.placement(2))

    return tell


def plane(value: int = 1, size: tuple[int, int] = (16, 24)) -> Any:
    found = np.zeros((1, *size), np.int32)
    found[0, 3:9, 4:11] = value
    return found


def named(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers]


def test_the_preview_lies_on_its_part_of_the_image(
    viewer: Any, image: Any, previews: TrainingPreview, tell: Any
) -> None:
    tell(plane(), y=10, x=20, z=2)
    (layer,) = previews.layers
    assert isinstance(layer, Labels)
    assert np.array_equal(layer.data, plane())
    assert np.allclose(layer.data_to_world((0, 0, 0)), image.data_to_world((2, 10, 20)))
    assert np.allclose(layer.scale, image.scale)
    assert not layer.editable
    assert RECORD_KEY in layer.metadata  # it is a prediction that nobody has corrected


def test_it_is_renewed_in_place(viewer: Any, previews: TrainingPreview, tell: Any) -> None:
    first = plane(1)
    tell(first, early=True)
    (layer,) = previews.layers
    assert layer.name == "(early) cells training preview"
    layer.visible, layer.opacity = False, 0.3
    tell(plane(2))
    assert previews.layers == [layer]
    assert layer.name == "cells training preview"
    assert layer.data.max() == 2
    assert first.max() == 1  # what the training holds is left alone
    tell(plane(3), x=30)  # the view was moved
    tell(plane(4, (20, 30)), x=30, z=3)  # and enlarged
    assert previews.layers == [layer]
    assert layer.data.shape == (1, 20, 30)
    assert np.allclose(layer.data_to_world((0, 0, 0)), (6, 5, 15))
    assert not layer.editable
    assert (layer.visible, layer.opacity) == (False, 0.3)
    assert named(viewer).count("cells training preview") == 1


def test_a_name_that_the_user_gave_stays(previews: TrainingPreview, tell: Any) -> None:
    tell(plane(), early=True)
    previews.layers[0].name = "look here"
    tell(plane(2))
    assert previews.layers[0].name == "look here"


def test_a_taken_name_gets_a_number_only_once(
    viewer: Any, previews: TrainingPreview, tell: Any
) -> None:
    viewer.add_labels(np.zeros((4, 4), int), name=NAMES[0])
    for value in range(1, 4):
        tell(plane(value))
    assert [layer.name for layer in previews.layers] == [f"{NAMES[0]} [1]"]


def test_both_are_outlines_and_those_of_the_base_have_one_colour(
    viewer: Any, painted: Any, previews: TrainingPreview, tell: Any
) -> None:
    tell(plane(1))
    tell(plane(7), of_base=True)
    new, base = previews.layers
    assert new.contour > base.contour > 0  # so that both are seen where they agree
    assert np.array_equal(base.get_color(1), base.get_color(7))
    assert not np.array_equal(new.get_color(1), new.get_color(7))
    assert named(viewer) == ["cells", *NAMES, "mine"]


@pytest.mark.parametrize("base_first", [True, False])
def test_it_lies_over_all_channels_and_under_what_is_painted(
    viewer: Any, painted: Any, tell: Any, base_first: bool
) -> None:
    viewer.layers.insert(1, Image(np.zeros((5, 60, 80)), name="second channel"))
    viewer.layers.selection.active = painted
    viewer.add_labels(np.zeros((5, 60, 80), int), name="above")
    viewer.layers.selection.active = painted
    for of_base in (base_first, not base_first):
        tell(plane(), of_base=of_base)
    names = named(viewer)
    assert names[:2] == ["cells", "second channel"]
    assert sorted(names[2:4]) == sorted(NAMES)
    assert names[4:] == ["mine", "above"]


def test_it_lies_on_its_image_whatever_that_is_called(
    viewer: Any, image: Any, previews: TrainingPreview, tell: Any
) -> None:
    image.name = "renamed"
    viewer.add_labels(np.zeros((5, 60, 80), int), name="other")
    viewer.add_image(np.zeros((5, 60, 80)), name="cells")
    viewer.layers.selection.clear()
    tell(np.ones((1, 6, 8), int))
    names = [layer.name for layer in viewer.layers]
    assert names == ["renamed", "renamed training preview", "other", "cells"]


def test_it_lies_under_painted_labels_even_below_the_image(
    viewer: Any, painted: Any, tell: Any
) -> None:
    viewer.layers.move(viewer.layers.index(painted), 0)
    viewer.layers.selection.active = painted
    tell(plane())
    assert named(viewer) == [NAMES[0], "mine", "cells"]


def test_selection_and_brush_stay(
    viewer: Any, image: Any, painted: Any, previews: TrainingPreview, tell: Any
) -> None:
    modes: list[Any] = []
    painted.events.mode.connect(lambda event: modes.append(event.mode))
    place = viewer.dims.current_step
    tell(plane())
    tell(plane(), of_base=True)
    tell(plane(2, (30, 30)))
    assert viewer.layers.selection.active == painted
    assert set(viewer.layers.selection) == {painted}
    assert painted.mode == "paint"
    assert modes == []
    assert viewer.dims.current_step == place
    previews.drop()
    assert viewer.layers.selection.active == painted
    viewer.layers.selection = {image, painted}
    tell(plane())
    assert set(viewer.layers.selection) == {image, painted}
    previews.drop()
    viewer.layers.selection.clear()
    tell(plane())
    assert not viewer.layers.selection


def test_a_stroke_goes_on_while_a_preview_comes(painted: Any, previews: Any, tell: Any) -> None:
    def event(kind: str, x: float) -> Any:
        place = painted.data_to_world((2, 30, x))
        return read_only_mouse_event(type=kind, position=place, is_dragging=True)

    painted.brush_size = 1
    mouse_press_callbacks(painted, event("mouse_press", 10))
    tell(plane())
    tell(plane(), of_base=True)
    mouse_move_callbacks(painted, event("mouse_move", 40))
    tell(plane(2))
    mouse_move_callbacks(painted, event("mouse_move", 50))
    mouse_release_callbacks(painted, event("mouse_release", 50))
    assert np.flatnonzero(painted.data[2, 30]).tolist() == list(range(10, 51))
    assert np.count_nonzero(painted.data) == 41
    painted.undo()
    assert not painted.data.any()


def test_what_the_user_removes_does_not_come_again_in_this_training(
    viewer: Any, previews: TrainingPreview, tell: Any
) -> None:
    tell(plane())
    tell(plane(), of_base=True)
    viewer.layers.remove(NAMES[1])
    tell(plane(2))
    assert named(viewer) == ["cells", NAMES[0]]
    viewer.layers.remove(NAMES[0])
    tell(plane(2))
    tell(plane(2), of_base=True)
    assert named(viewer) == ["cells"]
    previews.begin("instance")
    tell(plane(3))
    assert named(viewer) == ["cells", NAMES[0]]


def test_dropping_is_not_closing(viewer: Any, previews: TrainingPreview, tell: Any) -> None:
    tell(plane())
    tell(plane(), of_base=True)
    previews.drop()
    assert named(viewer) == ["cells"]
    tell(plane())
    assert named(viewer) == ["cells", NAMES[0]]
    previews.close()
    assert named(viewer) == ["cells"]


def test_removing_another_layer_closes_nothing(
    viewer: Any, painted: Any, previews: TrainingPreview, tell: Any
) -> None:
    tell(plane())
    viewer.layers.remove(painted)
    tell(plane(2))
    assert named(viewer) == ["cells", NAMES[0]]
    viewer.layers.clear()
    tell(plane(2))
    assert previews.layers == []


def test_classes_have_their_colours(previews: TrainingPreview, tell: Any) -> None:
    classes = (
        ClassInfo(value=0, name="background", colour="#123456"),
        ClassInfo(value=2, name="cell", colour="#ff0000"),
        ClassInfo(value=9, name="dirt", colour="#0000ff"),
    )
    previews.begin("semantic", classes)
    tell(plane(2).astype(np.uint8))
    tell(plane(9).astype(np.uint8), of_base=True)
    for layer in previews.layers:
        assert np.allclose(layer.get_color(2)[:3], (1, 0, 0))
        assert np.allclose(layer.get_color(9)[:3], (0, 0, 1))
        for other in (0, 3):
            colour = layer.get_color(other)
            assert colour is None or colour[3] == 0


def test_values_are_images_whose_limits_follow(
    viewer: Any, previews: TrainingPreview, tell: Any
) -> None:
    previews.begin("regression")
    ramp = np.linspace(0, 1, 16 * 24, dtype=np.float32).reshape(1, 1, 16, 24)
    tell(ramp)  # an image with the axes ZYX has values with CZYX
    (layer,) = previews.layers
    assert isinstance(layer, Image)
    assert layer.data.shape == (1, 16, 24)
    assert np.allclose(layer.contrast_limits, (0, 1), atol=0.01)
    tell(50 + 10 * ramp)
    assert previews.layers == [layer]
    assert np.allclose(layer.contrast_limits, (50, 60), atol=0.1)
    layer.contrast_limits = (40, 70)
    tell(20 + ramp)
    assert np.allclose(layer.contrast_limits, (40, 70))  # the user's


def test_every_channel_of_values_has_a_layer(
    viewer: Any, previews: TrainingPreview, tell: Any
) -> None:
    previews.begin("regression")
    values = np.stack([np.full((1, 8, 8), i, np.float32) for i in range(3)])
    tell(values)
    assert [layer.name for layer in previews.layers] == [f"{NAMES[0]} {i}" for i in range(3)]
    assert [float(layer.data.max()) for layer in previews.layers] == [0, 1, 2]
    viewer.layers.remove(previews.layers[1])
    tell(values)
    assert named(viewer) == ["cells", f"{NAMES[0]} 0", f"{NAMES[0]} 2"]


def test_another_image_gets_another_layer(
    viewer: Any, image: Any, previews: TrainingPreview, tell: Any
) -> None:
    tell(plane())
    (before,) = previews.layers
    image.scale = (3, 1, 1)
    tell(plane())
    (after,) = previews.layers
    assert after != before
    assert before not in viewer.layers
    assert np.allclose(after.scale, (3, 1, 1))
    assert after.name == NAMES[0]
