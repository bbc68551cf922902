"""What was found on one image is not silently used on another, or in the next session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_unet.samples import load_sample
from napari_unet.widgets.qt.memory import recall, remember

pytestmark = pytest.mark.windowless


@pytest.fixture
def nuclei() -> np.ndarray:
    return load_sample("nuclei_2d").image[:64, :80]


@pytest.fixture
def two(dock: Any, viewer: Any, nuclei: np.ndarray) -> tuple[Any, Any]:
    return viewer.add_image(nuclei, name="img_1"), viewer.add_image(nuclei[::-1], name="img_2")


def test_a_diameter_is_said_to_be_of_another_image(
    dock: Any, viewer: Any, two: Any, press: Any
) -> None:
    first, second = two
    dock.form.images.choose(first)
    dock.rows["object_diameter"].editor.value = 23
    assert dock.carried.text == ""
    dock.form.images.choose(second)
    assert dock.form.values() == {"object_diameter": 23}
    assert dock.carried.text == "Carried over: diameter 23 px from ‘img_1’."
    assert not dock.carried.native.isHidden()
    press(dock.carried.drop)
    assert dock.form.values() == {}
    assert dock.form.request.settings.object_diameter is None
    assert dock.carried.native.isHidden()
    dock.form.images.choose(first)
    assert dock.form.values() == {"object_diameter": 23}
    assert dock.carried.text == ""
    dock.form.images.choose(second)
    assert dock.form.values() == {}
    assert dock.form.request.settings.object_diameter is None


def test_what_is_set_for_the_image_itself_is_carried_over_no_more(
    dock: Any, viewer: Any, two: Any, save_model: Callable[..., Any]
) -> None:
    save_model("mine")
    dock.reset_choices()
    first, second = two
    dock.form.images.choose(first)
    dock.form.models.choose("mine")
    dock.rows["object_diameter"].editor.value = 23
    dock.rows["threshold"].editor.value = 0.7
    dock.form.images.choose(second)
    assert dock.carried.text == (
        "Carried over: diameter 23 px, threshold 0.7, model ‘mine’ from ‘img_1’."
    )
    dock.rows["object_diameter"].editor.value = 31
    assert dock.carried.text == "Carried over: threshold 0.7, model ‘mine’ from ‘img_1’."
    third = viewer.add_image(np.zeros((64, 64), np.uint8), name="img_3")
    dock.form.images.choose(third)
    assert dock.carried.text == (
        "Carried over: diameter 31 px from ‘img_2’; threshold 0.7, model ‘mine’ from ‘img_1’."
    )
    dock.carried.drop.native.click()
    assert (dock.form.values(), dock.form.models.source) == ({}, "nuclei")
    dock.form.images.choose(first)
    assert dock.form.values() == {"object_diameter": 23, "threshold": 0.7}
    assert dock.form.models.source == "mine"


def test_an_image_that_is_gone_is_named(dock: Any, viewer: Any, nuclei: np.ndarray) -> None:
    viewer.add_image(nuclei, name="img_1")
    dock.rows["object_diameter"].editor.value = 23
    viewer.layers.clear()
    viewer.add_image(nuclei, name="img_2")
    assert dock.carried.text == "Carried over: diameter 23 px from ‘img_1’."


def test_a_session_leaves_no_diameter_and_the_rest_is_said(
    open_dock: Any, viewer: Any, nuclei: np.ndarray, run: Any, save_model: Any
) -> None:
    save_model("mine")
    settings = {"object_diameter": 23.0, "threshold": 0.7, "device": "cpu"}
    remember("segment", {"settings": settings, "model": "mine"})
    viewer.add_image(nuclei, name="img_1")
    dock = open_dock()
    assert dock.form.values() == {"threshold": 0.7, "device": "cpu"}
    said = "Carried over: threshold 0.7, model ‘mine’ from the last session."
    assert dock.carried.text == said
    viewer.add_image(nuclei, name="img_2")
    dock.form.images.choose(viewer.layers["img_2"])
    assert dock.carried.text == said
    dock.carried.drop.native.click()
    assert (dock.form.values(), dock.form.models.source) == ({"device": "cpu"}, "nuclei")
    run(dock)
    assert recall("segment")["model"] == "nuclei"
