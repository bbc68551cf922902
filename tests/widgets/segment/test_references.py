"""The dock "Segment" knows layers by reference: names may change, and pass to other layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy

from napari_unet.samples import load_sample
from napari_unet.widgets.segment.form import SegmentForm

pytestmark = pytest.mark.windowless


@pytest.fixture
def nuclei() -> np.ndarray:
    return load_sample("nuclei_2d").image[:96, :112]


def test_an_image_renamed_in_mid_run_keeps_its_result(
    dock: Any, viewer: Any, press: Any, finish: Any, nuclei: np.ndarray, labels_of: Any
) -> None:
    image = viewer.add_image(nuclei, name="before")
    press(dock.bar.run)
    image.name = "after"
    finish(dock)
    (labels,) = labels_of(viewer)
    assert labels.name == "after labels"
    image.name = "later"
    assert dock.form.correct.target == (labels, image)
    assert not dock.form.correct.row.native.isHidden()


def test_a_result_does_not_pass_with_the_name_of_its_image(
    dock: Any, viewer: Any, run: Any, nuclei: np.ndarray, labels_of: Any
) -> None:
    first = viewer.add_image(nuclei, name="cells")
    run(dock)
    (labels,) = labels_of(viewer)
    found = labels.data.copy()
    first.name = "old"
    second = viewer.add_image(nuclei[::-1], name="cells")
    dock.form.images.choose(second)
    run(dock)
    assert len(labels_of(viewer)) == 2
    np.testing.assert_array_equal(labels.data, found)
    viewer.layers.selection.active = labels
    assert dock.form.correct.target == (labels, first)
    dock.form.images.choose(first)
    run(dock)
    assert len(labels_of(viewer)) == 2  # the first result of it was renewed


@pytest.mark.parametrize("scores", [False, True])
def test_scores_of_a_removed_image_are_not_kept(
    dock: Any, viewer: Any, run: Any, nuclei: np.ndarray, scores: bool
) -> None:
    viewer.add_image(nuclei, name="cells")
    dock.form.scores.value = scores
    run(dock)
    before = [layer.name for layer in viewer.layers if layer.name != "cells"]
    assert dock.live.kept is not None
    viewer.layers.remove("cells")
    assert dock.live.kept is None
    assert [layer.name for layer in viewer.layers] == before


def test_what_was_typed_comes_back_with_its_image(viewer: Any, listen: Any, qtbot: Any) -> None:
    form = SegmentForm(PublicOnlyProxy(viewer), lambda: None)  # as a plugin gets the viewer
    qtbot.addWidget(form.native)
    listen(viewer, form)
    form.start({}, "nuclei")
    stack = viewer.add_image(np.zeros((5, 32, 32)), name="stack")
    form.axes.value = "tyx"
    other = viewer.add_image(np.zeros((5, 32, 32)), name="other")
    form.images.choose(other)
    assert form.axes.value == "ZYX"
    form.images.choose(stack)
    assert form.axes.value == "TYX"
    assert form.request is not None
    assert form.request.axes == "TYX"
    form.close()
