"""Painted labels that go and come back, as the dock "Train" sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet.recovery.labels import find_lost_labels
from napari_unet.widgets.annotation.marks import marks_of
from napari_unet.widgets.annotation.painting import new_labels, toggle_done
from napari_unet.widgets.qt.notice import Notice
from napari_unet.widgets.recovery import autosave as _autosave

PLUGIN = "napari-unet-torch"


@pytest.fixture
def images(viewer: Any) -> tuple[Any, Any]:
    """Two images of one camera."""
    shape = (3, 64, 80)
    return tuple(viewer.add_image(np.zeros(shape, np.uint8), name=name) for name in ("one", "two"))


def notices(dock: Any) -> list[Any]:
    """What is offered above the form."""
    return [x for x in dock.native.findChildren(Notice) if x.isVisibleTo(dock.native)]


def test_saved_labels_come_back_to_their_image(
    viewer: Any, images: Any, open_train: Callable[..., Any], tmp_path: Path
) -> None:
    labels = new_labels(viewer, images[0], "ZYX")
    labels.paint((1, 20, 20), 1)
    viewer.dims.set_current_step(0, 1)
    toggle_done(viewer, labels)
    marks = marks_of(labels)
    labels.save(str(tmp_path / "mine.tif"), plugin=PLUGIN)
    viewer.layers.remove(labels)
    viewer.layers.selection.active = images[1]
    dock = open_train()
    (again,) = viewer.open(str(tmp_path / "mine.tif"), plugin="napari")
    assert marks_of(again) == marks
    (line,) = (line for line in dock.form.table.lines if line.labels == again)
    assert line.image is images[0]
    assert line.where == "planes"


def test_labels_that_were_removed_can_be_put_back(
    viewer: Any,
    images: Any,
    open_train: Callable[..., Any],
    press: Callable[[Any], None],
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_autosave, "SAVE_DELAY_MS", 50)
    monkeypatch.setattr(_autosave, "REMOVAL_DELAY_MS", 50)
    dock = open_train()
    labels = new_labels(viewer, images[1], "ZYX")
    labels.paint((1, 20, 20), 1)
    expected = labels.data.copy()
    viewer.layers.remove(labels)
    qtbot.waitUntil(lambda: bool(notices(dock)), timeout=20_000)
    (notice,) = notices(dock)
    assert "‘two labels’" in notice.text.value
    assert "removed" in notice.text.value
    dock._offer()
    assert notices(dock) == [notice]  # once
    press(notice.buttons["Restore"])
    assert np.array_equal(viewer.layers["two labels"].data, expected)
    assert dock.form.table.lines[0].labels is viewer.layers["two labels"]
    assert not notices(dock)

    viewer.layers.remove("two labels")  # on purpose
    qtbot.waitUntil(lambda: bool(notices(dock)), timeout=20_000)
    press(notices(dock)[0].buttons["Discard"])
    assert not notices(dock)
    assert find_lost_labels() == []
