"""Objects looked at one after the other in a window, saved, and handed to a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.inference.prediction import predict
from napari_unet.inference.roi import RoiPlace, RoiPrediction
from napari_unet.widgets.annotation.marks import marks_of
from napari_unet.widgets.annotation.snapshot import trusted
from napari_unet.widgets.correct.review_panel import ReviewPanel
from napari_unet.widgets.train.example_line import suggested
from napari_unet.widgets.viewer.kept_scores import keep_scores


def test_objects_are_stepped_through_accepted_saved_and_learned_from(
    viewer: Any, qtbot: Any, hand: Any, open_correct: Callable[[], Any], tmp_path: Path
) -> None:
    dock = open_correct()
    (panel,) = (each for each in dock.panels if isinstance(each, ReviewPanel))
    labels = np.zeros((120, 160), np.int32)
    labels[10:20, 10:20], labels[40:60, 40:60], labels[80:110, 100:140] = 1, 2, 3
    layer = viewer.add_labels(labels, name="cells")
    viewer.layers.selection.active = layer
    panel.order.setCurrentText("Smallest first")
    qtbot.waitUntil(lambda: not panel.working)
    assert panel.line.text() == "3 of 3 left in this list."
    hand.key("N")
    assert panel.current == (0, 1)
    hand.key("Q")
    assert panel.current == (0, 2)  # the next one
    hand.move(50, 50)
    hand.key("Delete")
    qtbot.waitUntil(lambda: not panel.working)
    assert "Accepted 1, corrected 0 of 2 objects" in panel.seen.text()
    assert [label for _, label in panel.left] == [3]
    hand.key("N")
    assert panel.current == (0, 3)
    marks = marks_of(layer)
    assert marks is not None
    assert [each.label for each in marks.review.accepted] == [1]
    assert suggested(layer, "all") == "seen"
    known, region, _ = trusted(layer, "seen").copy()
    assert region[10:20, 10:20].all()
    assert region[40:60, 40:60].all()  # it was deleted: background
    assert not region[80:110, 100:140].any()  # nobody has looked at it
    assert not known[80:110, 100:140].any()
    layer.undo()
    qtbot.waitUntil(lambda: not panel.working)
    assert [label for _, label in panel.left] == [2, 3]
    assert not trusted(layer, "seen").live()[1][40:60, 40:60].any()
    path = tmp_path / "cells.tif"
    layer.save(str(path), plugin="napari-unet-torch")
    (again,) = viewer.open(str(path), plugin="napari-unet-torch", layer_type="labels")
    back = marks_of(again)
    assert back is not None
    assert back.review == marks.review
    viewer.layers.remove(layer)
    viewer.layers.remove(again)  # the list is open meanwhile
    qtbot.waitUntil(lambda: not panel.working)
    panel.act("next")
    assert "Select a labels layer" in dock.message.value


def test_the_least_certain_objects_of_a_result_come_first(
    viewer: Any, qtbot: Any, open_correct: Callable[[], Any]
) -> None:
    dock = open_correct()
    (panel,) = (each for each in dock.panels if isinstance(each, ReviewPanel))
    image = np.zeros((96, 128), np.float32)
    image[10:30, 10:30], image[40:70, 60:100] = 1, 0.45
    part = {"Y": slice(0, 96), "X": slice(0, 128)}
    found = RoiPrediction(predict(image, "nuclei", axes="YX"), RoiPlace("YX", part, part, None))
    labels = np.zeros(image.shape, np.int32)
    labels[10:30, 10:30], labels[40:70, 60:100], labels[80:90, 5:15] = 1, 2, 3
    layer = viewer.add_labels(labels, name="cells")
    keep_scores(layer, found, "YX", (0, 0))
    viewer.layers.selection.active = layer
    panel.order.setCurrentText("Least certain first")
    qtbot.waitUntil(lambda: not panel.working)
    scores = np.asarray(found.scores[0], np.float32)
    means = {n: scores[labels == n].mean() for n in (1, 2, 3)}
    panel.act("next")
    assert panel.current == (0, min(means, key=means.__getitem__))
    assert [label for _, label in panel.left] == sorted(means, key=means.__getitem__)
    del found  # whoever predicted lets go of the scores
    viewer.layers.remove(layer)
