"""The slider "split more / split less", moved by keys in a real window."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSlider

import napari_unet as nu
from napari_unet.widgets.qt.memory import recall


def test_keys_on_the_slider_split_more_or_less_and_are_kept(
    segmented: Any, viewer: Any, qtbot: Any, labels_of: Any, run: Any
) -> None:
    viewer.window.show()
    around = segmented.form.split.slider.native
    slider = around if isinstance(around, QSlider) else around.findChild(QSlider)
    assert slider.isVisible()
    image = viewer.layers["nuclei"].data
    depth = segmented.form.card.decoding.split_depth

    def counted_after(key: Qt.Key, times: int) -> int:
        for _ in range(times):
            qtbot.keyClick(slider, key)
        qtbot.waitUntil(lambda: not segmented.live.running)
        return len(np.unique(labels_of(viewer)[-1].data)) - 1

    usual = len(np.unique(labels_of(viewer)[-1].data)) - 1
    more = counted_after(Qt.Key.Key_Right, 8)
    assert more > usual
    assert segmented.settings.split_depth == depth / 4
    assert counted_after(Qt.Key.Key_Left, 8) == usual
    fewer = counted_after(Qt.Key.Key_Left, 8)
    assert fewer < usual

    # the form, the record, the script and, after a run, the memory all have it
    kept = segmented.settings.split_depth
    assert kept > depth
    assert segmented.rows["split_depth"].editor.value == kept
    run(segmented)
    assert recall("segment")["settings"]["split_depth"] == kept
    labels = labels_of(viewer)[-1]
    assert labels.metadata["napari_unet"]["settings"]["split_depth"] == kept
    assert f"split_depth={kept}" in segmented.as_python()
    assert f"--split-depth {kept}" in segmented.as_command()
    again = nu.segment(image, "nuclei", axes="YX", split_depth=kept)
    np.testing.assert_array_equal(labels.data, again)
    viewer.window._qt_window.hide()
