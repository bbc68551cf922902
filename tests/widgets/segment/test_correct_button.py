"""From a result of the dock "Segment" to labels that are corrected and trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_unet.widgets.annotation.marks import marks_of
from napari_unet.widgets.qt.form import Form
from napari_unet.widgets.segment.correct_button import CorrectButton
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

pytestmark = pytest.mark.windowless


class Train:
    """Stands for the dock."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.opened: list[str] = []

    def take(self, image: Any, labels: Any) -> None:
        self.taken.append((image, labels))


@pytest.fixture
def train() -> Train:
    return Train()


@pytest.fixture
def button(qtbot: Any, bare_viewer: Any, train: Train) -> Any:
    button = CorrectButton(bare_viewer, lambda: train, lambda: train.opened.append("Correct"))
    form = Form([button.row])
    qtbot.addWidget(form)
    yield button
    button.close()


def record(axes: str) -> dict[str, Any]:
    return {RECORD_KEY: {"operation": "segment", "axes": axes, "model": {"name": "nuclei"}}}


def test_it_shows_with_the_first_result(button: Any, bare_viewer: Any) -> None:
    bare_viewer.add_image(np.zeros((20, 30)), name="cells")
    bare_viewer.add_labels(np.zeros((20, 30), int), name="cells painted")
    button.refresh()
    assert button.row.native.isHidden()
    result = bare_viewer.add_labels(
        np.zeros((20, 30), int), name="cells labels", metadata=record("YX")
    )
    assert not button.row.native.isHidden()
    bare_viewer.layers.remove(result)
    button.refresh()
    assert button.row.native.isHidden()


def test_a_result_becomes_an_example(button: Any, bare_viewer: Any, train: Train) -> None:
    image = bare_viewer.add_image(
        np.zeros((20, 30, 3), np.uint8), name="cells", rgb=True, scale=(2, 2)
    )
    bare_viewer.add_image(np.zeros((20, 30, 3), np.uint8), name="other", rgb=True)
    found = np.arange(600).reshape(20, 30) // 60
    result = bare_viewer.add_labels(
        found, name="cells labels", metadata=record("YXC"), scale=(2, 2)
    )
    bare_viewer.add_labels(found, name="other labels", metadata=record("YXC"))
    bare_viewer.layers.selection.active = result
    button.button.native.click()
    ((taken, labels),) = train.taken
    assert train.opened == ["Correct"]  # its tools are at hand
    assert taken is image
    assert labels.name == "cells corrected"
    assert RECORD_KEY not in labels.metadata
    assert marks_of(labels).corrected["model"]["name"] == "nuclei"
    assert np.array_equal(labels.data, found)
    assert not result.visible
    assert bare_viewer.layers.selection.active is labels


def test_a_result_that_lies_askew_is_refused_in_words(
    button: Any, bare_viewer: Any, train: Train
) -> None:
    bare_viewer.add_image(np.zeros((20, 30)), name="cells")
    bare_viewer.add_labels(
        np.zeros((20, 30), int), name="cells labels", metadata=record("YX"), rotate=30
    )
    button.button.native.click()
    assert "does not lie along" in button.row.fault
    assert train.taken == []
