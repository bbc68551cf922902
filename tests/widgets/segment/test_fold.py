"""What the dock shows first, what is folded, and the slider that splits more or less."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_unet.samples import load_sample
from napari_unet.widgets.qt.memory import recall

pytestmark = pytest.mark.windowless


def shown(dock: Any) -> set[str]:
    return {name for name, row in dock.rows.items() if not row.native.isHidden()}


def press_more(dock: Any) -> None:
    dock.form.more.native.click()


def test_first_there_are_image_model_and_diameter(dock: Any, viewer: Any) -> None:
    viewer.add_image(load_sample("nuclei_2d").image[:96, :96], name="nuclei")
    assert shown(dock) == {"image", "model", "object_diameter"}
    assert "Axes YX" in dock.rows["image"].note  # which are always said
    assert not dock.form.split_row.native.isHidden()
    press_more(dock)
    assert {"axes", "region", "threshold", "invert", "device", "scores"} <= shown(dock)
    assert dock.rows["image"].note == ""  # the field says it now
    assert "level" not in shown(dock)  # of a multiscale image alone
    press_more(dock)
    assert shown(dock) == {"image", "model", "object_diameter"}


def test_what_is_not_usual_stays_in_sight(dock: Any, viewer: Any) -> None:
    viewer.add_image(np.zeros((3, 40, 50)), name="stack")
    first = {"image", "axes", "model", "object_diameter"}
    assert shown(dock) == first  # Z or T is a matter of doubt
    dock.rows["invert"].editor.value = True
    dock.form.roi_picker.region.value = "Current view"
    assert shown(dock) == {*first, "invert", "region"}
    dock.rows["invert"].editor.value = False
    dock.form.roi_picker.region.value = "Whole image"
    dock.rows["tile"].editor.value = 64
    assert shown(dock) == {*first, "tile"}
    dock.rows["tile"].editor.value = "auto"
    dock.form.axes.value = "TZQ"
    assert shown(dock) == first
    viewer.layers.clear()
    viewer.add_image(np.zeros((40, 50)), name="plane")
    dock.form.axes.value = "TZ"
    assert "axes" in shown(dock)  # where something is wrong


def test_the_fold_is_kept_for_the_next_dock(dock: Any, open_dock: Any, viewer: Any) -> None:
    assert not dock.form.fold.opened
    press_more(dock)
    assert recall("segment")["unfolded"] is True
    assert open_dock().form.fold.opened
    press_more(dock)
    assert not open_dock().form.fold.opened


def test_the_slider_splits_more_or_less_at_once(
    segmented: Any, viewer: Any, qtbot: Any, labels_of: Any
) -> None:
    def counted(place: int) -> int:
        segmented.form.split.slider.value = place
        qtbot.waitUntil(lambda: not segmented.live.running)
        return int(labels_of(viewer)[-1].data.max())

    usual = counted(0)
    assert counted(8) > usual > counted(-8)
    (labels,) = labels_of(viewer)
    depth = segmented.form.card.decoding.split_depth
    assert labels.metadata["napari_unet"]["settings"]["split_depth"] == min(4 * depth, 0.95)
    assert counted(0) == usual
    assert segmented.rows["split_depth"].editor.value is None
    segmented.rows["split_depth"].editor.value = depth / 2
    assert segmented.form.split.slider.value == 4
    segmented.form.defaults.native.click()
    assert segmented.form.split.slider.value == 0
    assert "split_depth" not in shown(segmented)


def test_dark_objects_are_inverted(dock: Any, viewer: Any, run: Any, labels_of: Any) -> None:
    image = load_sample("nuclei_2d").image[:128, :160]
    viewer.add_image(image, name="bright")
    run(dock)
    viewer.add_image(255 - image, name="dark")
    dock.form.images.choose(viewer.layers["dark"])
    dock.rows["invert"].editor.value = True
    run(dock)
    bright, dark = labels_of(viewer)
    np.testing.assert_array_equal(bright.data, dark.data)
    assert dark.metadata["napari_unet"]["settings"]["invert"] is True
