"""Keeping or discarding a model that was just trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtCore import Qt

from napari_unet.card import ScoreRecord, TrainingRecord
from napari_unet.errors import ModelError
from napari_unet.network.library import check_new_name
from napari_unet.training.verdict import Verdict, compare_with_base
from napari_unet.widgets.train.comparison import SIDE_PIXELS, draw_pictures
from napari_unet.widgets.train.job import Comparison
from napari_unet.widgets.train.verdict_panel import VerdictPanel, score_table, suggest_name

BETTER = {"AP at IoU 0.5": 0.9, "AP at IoU 0.7": 0.7, "AP at IoU 0.9": 0.3, "F1 at IoU 0.5": 0.95}
WORSE = {name: value - 0.1 for name, value in BETTER.items()}


@pytest.fixture
def pressed() -> list[str]:
    return []


@pytest.fixture
def panel(qapp: Any, qtbot: Any, pressed: list[str]) -> VerdictPanel:
    panel = VerdictPanel(lambda: pressed.append("keep"), lambda: pressed.append("discard"))
    qtbot.addWidget(panel.native)
    return panel


@pytest.fixture
def trained(make_model: Any) -> Any:
    """``trained(own, base)``: the card of a model that was just trained."""

    def trained(
        own: dict[str, float] | None = BETTER, base: dict[str, float] | None = WORSE
    ) -> Any:
        scores = [] if own is None else [ScoreRecord(data="held out", images=2, values=own)]
        if base is not None:
            scores.append(ScoreRecord(data="held out", images=2, values=base, model="nuclei"))
        record = TrainingRecord(
            base="nuclei" if base is not None else None,
            examples=1,
            labelled_pixels=9,
            data_sha256="0",
            steps=812,
            seconds=600,
            seed=0,
            versions={},
        )
        update = {"name": "trained", "scores": tuple(scores), "training": record}
        return make_model().card.model_copy(update=update)

    return trained


def show(panel: VerdictPanel, card: Any, comparison: Any = None, **more: Any) -> None:
    panel.show(card, compare_with_base(card), comparison, **more)


def test_it_says_which_model_is_better(panel: VerdictPanel, trained: Any) -> None:
    assert panel.native.isHidden()
    show(panel, trained())
    assert not panel.native.isHidden()
    assert panel.sentence.value.startswith("The new model is better than its base")
    assert "<b>0.900</b>" in panel.table.value
    assert "nuclei" in panel.table.value
    assert "bold" not in panel.sentence.native.styleSheet()
    show(panel, trained(WORSE, BETTER))
    assert panel.sentence.value.startswith("The base is better")
    assert "bold" in panel.sentence.native.styleSheet()
    panel.hide()
    assert panel.native.isHidden()


def test_without_held_out_labels_there_is_no_table(panel: VerdictPanel, trained: Any) -> None:
    show(panel, trained(None, None))
    assert "Nothing was held out" in panel.sentence.value
    assert panel.table.native.isHidden()
    assert panel.keep.enabled


def test_the_better_figure_stands_out_and_a_smaller_error_is_better() -> None:
    rows = (
        ("MAE", 0.1, 0.2),
        ("PSNR", 30.0, 20.0),
        ("Dice of <b>", 0.5, 0.5004),
        ("F1", 0.5, None),
    )
    table = score_table(Verdict(True, "", rows, "base <1>", 1))
    assert table.count("<b>") == 2
    assert "<b>0.100</b>" in table
    assert "<b>30.000</b>" in table
    assert "held-out part, 1 image<" in table.replace("&nbsp;", "")
    assert "base &lt;1&gt;" in table
    assert "–" in table
    worse = (("MAE", 0.2, 0.1), ("PSNR", 20.0, 30.0))
    table = score_table(Verdict(False, "", worse, "base", 1))
    assert "<b>0.100</b>" in table
    assert "<b>30.000</b>" in table
    assert table.count("<b>") == 2
    alone = score_table(Verdict(None, "", (("Dice", 0.5, None),), None, 1))
    assert alone.count("<td") == 4


def test_many_scores_are_cut_and_stand_in_the_tooltip(panel: VerdictPanel, trained: Any) -> None:
    own = {"Dice": 0.5} | {f"Dice of {i}": i / 20 for i in range(12)}
    show(panel, trained(own, None))
    assert "Dice of 11" not in panel.table.value
    assert "Dice of 11" in panel.table.tooltip


# the name


def test_a_free_name_is_suggested(panel: VerdictPanel, trained: Any, save_model: Any) -> None:
    show(panel, trained())
    assert panel.name == "nuclei-2"
    save_model("nuclei-2")
    show(panel, trained())
    assert panel.name == "nuclei-3"
    assert suggest_name("nuclei-2") == "nuclei-3"
    show(panel, trained(base=None), image="Day 3/cells.ome.tif")
    assert panel.name == "Day 3-cells"
    show(panel, trained(base=None))
    assert panel.name == "trained"


@given(st.text(max_size=120))
def test_whatever_an_image_is_called_a_name_is_suggested_that_can_be_had(text: str) -> None:
    name = suggest_name(text)
    try:
        check_new_name(name)
    except ModelError as error:
        assert "Windows" in str(error)  # noqa: PT017  # con, prn and so on: the user sees why


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "no name"),
        ("nuclei", "bundled"),
        ("NUCLEI", "bundled"),
        ("a/b", "'/'"),
        ("a\\b", "in it"),
        ("mine", "already"),
        ("Mine", "already"),
    ],
)
def test_a_name_that_cannot_be_had_is_said_while_typing(
    panel: VerdictPanel, trained: Any, save_model: Any, qtbot: Any, name: str, reason: str
) -> None:
    save_model("mine")
    show(panel, trained())
    line = panel.rows["name"].editor.native
    line.clear()
    qtbot.keyClicks(line, name)
    assert reason in panel.fault
    assert panel.rows["name"].fault == panel.fault
    assert not panel.keep.enabled
    qtbot.keyClicks(line, " of my own" if name not in ("a/b", "a\\b") else "")
    if name not in ("a/b", "a\\b"):
        assert panel.fault == ""
        assert panel.keep.enabled
        assert panel.rows["name"].fault == ""


def test_keep_and_discard(
    panel: VerdictPanel, trained: Any, pressed: list[str], press: Any
) -> None:
    show(panel, trained())
    panel.name, panel.description = " cells ", " of day 3 "
    press(panel.keep)
    press(panel.discard)
    assert pressed == ["keep", "discard"]
    assert (panel.name, panel.description) == ("cells", "of day 3")
    assert "812 steps of training, 10 min, are lost" in panel.discard.tooltip
    show(panel, trained())
    assert panel.description == ""  # of another model


# the pictures


def test_both_models_are_shown_side_by_side(panel: VerdictPanel, trained: Any, qtbot: Any) -> None:
    labels = np.zeros((60, 80), np.int32)
    labels[10:30, 20:50] = 1
    image = np.random.default_rng(0).random((2, 60, 80))
    show(panel, trained(), Comparison(image, labels, labels * 2))
    assert panel.picture.captions == ["nuclei (base)", "new model"]
    assert not panel.picture.isHidden()
    panel.native.resize(300, 500)
    assert not panel.native.grab().isNull()
    show(panel, trained(base=None), Comparison(image, None, labels))
    panel.native.resize(300, 1200)
    assert not panel.native.grab().isNull()
    assert panel.picture.height() < 200  # two pictures of 150 x 113; no gap under them
    assert panel.picture.captions == ["image", "new model"]
    show(panel, trained())
    assert panel.picture.isHidden()


def test_values_of_both_models_are_shown_with_the_same_limits(
    panel: VerdictPanel, trained: Any
) -> None:
    new = np.linspace(0, 100, 60 * 80).reshape(60, 80)
    base = new / 2  # darker, and it must look so
    image = new[None] * 1000  # of another range, which must not be black or white
    show(panel, trained(), Comparison(image, base, new))
    assert panel.picture.captions == ["image", "nuclei (base)", "new model"]
    assert "equally bright" in panel.picture.toolTip()
    (_, first), (_, left), (_, right) = draw_pictures(image, base, new)
    assert abs(float(right.mean()) - 2 * float(left.mean())) < 2
    assert 110 < first.mean() < 145
    show(panel, trained(base=None), Comparison(image, None, new))
    assert panel.picture.captions == ["image", "new model"]
    assert not panel.picture.isHidden()


def test_of_a_large_image_the_part_is_shown_where_values_differ() -> None:
    base = np.zeros((700, 400))
    new = base.copy()
    new[600:640, 300:340] = 5
    new[3, 3] = np.nan
    (_, _), (_, left), (_, right) = draw_pictures(base, base, new)
    assert left.shape == right.shape == (SIDE_PIXELS, SIDE_PIXELS, 3)
    assert not left.any()
    assert (right > 0).any(axis=-1).sum() == 40 * 40


def test_a_click_enlarges_the_pictures_once(panel: VerdictPanel, trained: Any, qtbot: Any) -> None:
    labels = np.ones((20, 20), np.int32)
    show(panel, trained(), Comparison(np.zeros((1, 20, 20)), labels, labels))
    qtbot.mouseClick(panel.picture, Qt.MouseButton.LeftButton)
    (window,) = panel.picture.findChildren(type(panel.picture.enlarge()))[:1]
    large = window.findChild(type(panel.picture))
    assert large.captions == panel.picture.captions
    windows = len(panel.picture.findChildren(type(window)))
    qtbot.mouseClick(large, Qt.MouseButton.LeftButton)
    assert len(panel.picture.findChildren(type(window))) == windows
    assert not large.grab().isNull()


def test_of_a_large_image_the_part_is_shown_where_the_models_differ() -> None:
    image = np.zeros((700, 400), np.uint8)
    base = np.zeros(image.shape, np.int32)
    base[20:40, 20:40] = 1
    new = base.copy()
    new[600:640, 300:340] = 2
    (_, left), (_, right) = draw_pictures(image, base, new)
    assert left.shape == right.shape == (SIDE_PIXELS, SIDE_PIXELS, 3)
    assert not left.any()  # the object that both know lies elsewhere
    coloured = right.any(axis=-1)
    assert coloured.sum() == 4 * 40 - 4  # the whole outline of the new one


def test_pictures_are_cut_at_the_centre_where_nothing_differs() -> None:
    labels = np.zeros((512, 512), np.int32)
    labels[200:300, 200:300] = 1
    (_, left), (_, right) = draw_pictures(np.zeros((512, 512)), labels, labels)
    assert np.array_equal(left, right)
    rows = np.flatnonzero(left.any(axis=(1, 2)))
    assert (rows[0], rows[-1]) == (200 - 128, 299 - 128)
