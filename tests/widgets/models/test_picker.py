"""Choosing a model from the list, or a file from anywhere."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from napari_unet.card import ScoreRecord
from napari_unet.network.files import BUNDLED_ORDER, bundled_names, user_models_folder
from napari_unet.network.model import Model
from napari_unet.network.suggestion import ImageKind
from napari_unet.widgets.models.description import card_details, describe, score_lines
from napari_unet.widgets.models.picker import OPEN, ModelPicker
from napari_unet.widgets.qt.form import Form

OTHER_KINDS = ("nuclei-histology", "nuclei-3d")  # listed after those for one grey plane
BUNDLED_NAMES = sorted(bundled_names(), key=lambda n: (n in OTHER_KINDS, BUNDLED_ORDER.index(n)))


class Dialog:
    """Answers with a path, as the user would."""

    def __init__(self) -> None:
        self.answer: Path | None = None
        self.asked = 0

    def __call__(self, parent: Any) -> Path | None:
        self.asked += 1
        return self.answer


@pytest.fixture
def dialog() -> Dialog:
    return Dialog()


@pytest.fixture
def changes() -> list[None]:
    return []


@pytest.fixture
def picker(qtbot: Any, dialog: Dialog, changes: list[None]) -> ModelPicker:
    picker = ModelPicker(lambda: changes.append(None), dialog)
    form = Form([picker.row, picker.about])
    qtbot.addWidget(form)
    picker.form = form  # type: ignore[attr-defined]
    return picker


@pytest.fixture
def file(make_model: Any, tmp_path: Path) -> Path:
    return make_model().save(tmp_path / "elsewhere" / "mine.safetensors")


def texts(picker: ModelPicker) -> list[str]:
    native = picker.row.editor.native
    return [native.itemText(i) for i in range(native.count())]


def open_file(picker: ModelPicker, dialog: Dialog, path: Path | None) -> None:
    """Choose the last item and a file."""
    dialog.answer = path
    native = picker.row.editor.native
    native.setCurrentIndex(native.count() - 1)


def test_the_last_item_opens_a_file(
    picker: ModelPicker, dialog: Dialog, changes: Any, file: Path
) -> None:
    assert picker.source == "nuclei"
    assert texts(picker)[-1] == OPEN
    assert dialog.asked == 0
    open_file(picker, dialog, file)
    assert dialog.asked == 1
    assert picker.source == file
    assert picker.card is not None
    assert picker.card.name == "random"
    assert picker.row.editor.native.currentText() == "mine.safetensors"
    assert changes == [None]
    assert (picker.fault, picker.row.fault) == ("", "")
    assert Model.load(picker.source).card == picker.card
    assert f"File: {file}" in picker.about.native.toolTip()

    picker.choose("nuclei")
    assert picker.source == "nuclei"
    assert "File:" not in picker.about.native.toolTip()
    assert texts(picker) == [*BUNDLED_NAMES, "mine.safetensors", OPEN]
    picker.row.editor.native.setCurrentIndex(len(BUNDLED_NAMES))  # it is offered again
    assert picker.source == file
    open_file(picker, dialog, file)  # the same once more: no second item
    assert texts(picker) == [*BUNDLED_NAMES, "mine.safetensors", OPEN]


def test_leaving_the_dialog_changes_nothing(
    picker: ModelPicker, dialog: Dialog, changes: Any
) -> None:
    open_file(picker, dialog, None)
    assert picker.source == "nuclei"
    assert picker.row.editor.native.currentText() == "nuclei"
    assert changes == []
    open_file(picker, dialog, None)
    assert dialog.asked == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"hello", "damaged or no .safetensors file"),
        (b"PK\x03\x04 and so on", "can run code"),
    ],
)
def test_a_bad_file_is_told_and_the_choice_stays(
    picker: ModelPicker,
    dialog: Dialog,
    changes: Any,
    tmp_path: Path,
    content: bytes | None,
    words: str,
) -> None:
    path = tmp_path / "bad.safetensors"
    if content is not None:
        path.write_bytes(content)
    open_file(picker, dialog, path)
    assert words in picker.row.fault
    assert "border" in picker.row.editor.native.styleSheet()
    assert picker.source == "nuclei"
    assert picker.fault == ""  # what is chosen can be used
    assert changes == []
    assert texts(picker) == [*BUNDLED_NAMES, OPEN]
    open_file(picker, dialog, None)
    assert picker.row.fault == ""


def test_a_file_that_vanished_is_told(
    picker: ModelPicker, dialog: Dialog, changes: Any, file: Path
) -> None:
    content = file.read_bytes()
    open_file(picker, dialog, file)
    file.unlink()
    assert "not there any more" in picker.fault
    picker.reset_choices()
    assert picker.source == file
    assert picker.card is None
    assert len(changes) == 2
    file.write_bytes(b"rubbish")
    picker.reset_choices()
    assert "damaged" in picker.fault
    file.write_bytes(content)
    picker.reset_choices()
    assert picker.fault == ""
    assert picker.card is not None
    assert len(changes) == 3
    picker.choose("nuclei")
    assert picker.fault == ""


def test_models_trained_meanwhile_are_listed(
    picker: ModelPicker, changes: Any, make_model: Any
) -> None:
    make_model().save(user_models_folder() / "bees.safetensors")
    picker.reset_choices()
    assert sorted(texts(picker)[:-1]) == sorted([*BUNDLED_NAMES, "bees"])
    assert picker.source == "nuclei"
    assert changes == []
    picker.choose("bees")
    assert len(changes) == 1


@pytest.mark.parametrize("nothing", ["", "From scratch"])
def test_no_other_model_steps_into_the_place_of_one_that_was_deleted(
    qtbot: Any, changes: Any, make_model: Any, nothing: str
) -> None:
    file = make_model().save(user_models_folder() / "bees.safetensors")
    picker = ModelPicker(lambda: changes.append(None), nothing=nothing)
    form = Form([picker.row, picker.about])
    qtbot.addWidget(form)
    before = texts(picker)
    picker.choose("bees")
    content = file.read_bytes()
    file.write_bytes(b"rubbish")
    picker.reset_choices()
    assert picker.fault == "The model ‘bees’ is damaged; choose another."
    file.unlink()
    picker.reset_choices()
    assert picker.fault == "The model ‘bees’ is gone; choose another."
    assert (picker.source, picker.card) == ("bees", None)
    assert picker.row.editor.native.currentText() == "bees (gone)"
    assert sorted(picker.sources) == sorted(BUNDLED_NAMES)
    assert len(changes) == 2
    picker.reset_choices()
    assert "is gone" in picker.fault
    file.write_bytes(content)  # it is back
    picker.reset_choices()
    assert (picker.source, picker.fault, texts(picker)) == ("bees", "", before)
    file.unlink()
    picker.reset_choices()
    picker.row.editor.native.setCurrentIndex(0)  # by hand
    assert (picker.source, picker.fault) == (None if nothing else "nuclei", "")
    assert texts(picker) == [text for text in before if text != "bees"]


def test_two_files_of_one_name(
    picker: ModelPicker, dialog: Dialog, file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "mine.safetensors"
    other.write_bytes(file.read_bytes())
    open_file(picker, dialog, file)
    open_file(picker, dialog, other)
    assert picker.source == other
    assert texts(picker)[-3:-1] == ["mine.safetensors", "mine.safetensors (2)"]


def test_what_was_chosen_in_another_session(
    picker: ModelPicker, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picker.choose("no such model")
    picker.choose(str(file.with_name("gone.safetensors")))
    picker.choose(None)
    assert picker.source == "nuclei"
    assert picker.row.fault == ""
    monkeypatch.chdir(file.parent)
    picker.choose(file.name)
    assert picker.source == file


def test_without_any_model(
    qtbot: Any, dialog: Dialog, changes: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unet.widgets.models.picker.list_models", list)
    picker = ModelPicker(lambda: changes.append(None), dialog)
    qtbot.addWidget(picker.row.native)
    assert dialog.asked == 0
    assert picker.source is None
    assert picker.card is None
    assert "open a model file" in picker.fault
    open_file(picker, dialog, None)
    assert picker.source is None
    open_file(picker, dialog, file)
    assert picker.source == file
    assert texts(picker) == ["mine.safetensors", OPEN]


# What the card says


def test_scores_are_shown_compactly(picker: ModelPicker) -> None:
    assert picker.card is not None
    text = describe(picker.card)
    scores = picker.card.scores[0]
    for value in list(scores.values.values())[:3]:
        assert f": {value:.2f}" in text
    assert text.count("mean over images") == 1
    assert f"{scores.images} images" in text
    assert "<img src=" in text
    tooltip = picker.about.native.toolTip()
    for name, value in scores.values.items():
        assert f"{name}: {value:.3f}" in tooltip
    assert picker.row.editor.tooltip


def test_scores_of_different_kinds_keep_their_names() -> None:
    values = {"Dice, pooled": 0.5, "Jaccard, mean over images": 0.4}
    text, source = score_lines(ScoreRecord(data="mine", images=1, values=values))
    assert text == "Dice, pooled: 0.50 · Jaccard, mean over images: 0.40"
    assert source == "1 image, mine"
    assert score_lines(ScoreRecord(data="mine", images=2, values={})) == ["2 images, mine"]


def test_a_card_cannot_bring_its_own_mark_up(picker: ModelPicker, make_model: Any) -> None:
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, "PNG")
    card = make_model().card.model_copy(
        update={
            "description": "<img src='file:///secret'>",
            "licence": "<b>mine</b>",
            "thumbnail": base64.b64encode(stream.getvalue()).decode(),
            "scores": (ScoreRecord(data="<i>x</i>", images=1, values={"<u>": 1.0}),),
        }
    )
    text = describe(card)
    for mark in ("<img src='file", "<i>", "<u>"):
        assert mark not in text
    assert "Licence: <b>mine</b>" in card_details(card)  # as lines, not yet as mark-up


def test_a_tooltip_has_no_mark_up_of_the_card(
    picker: ModelPicker, dialog: Dialog, make_model: Any, tmp_path: Path
) -> None:
    path = make_model(description="<img src='file:///secret'>").save(tmp_path / "odd.safetensors")
    open_file(picker, dialog, path)
    assert "&lt;img" in picker.about.native.toolTip()
    assert "<img" not in picker.about.native.toolTip()


@pytest.fixture
def colour_model(make_model: Any) -> str:
    model = make_model(in_channels=3, channels=("red", "green", "blue"), name="sections")
    model.save(user_models_folder() / "sections.safetensors")
    return "sections"


def about(picker: ModelPicker) -> str:
    return str(picker.about.editor.value)


def test_a_choice_that_nobody_made_follows_the_image(
    colour_model: str, qtbot: Any, changes: list[None]
) -> None:
    picker = ModelPicker(lambda: changes.append(None))
    form = Form([picker.row, picker.about])
    qtbot.addWidget(form)
    picker.set_image(ImageKind(colours=True))
    assert picker.card is not None
    assert picker.card.takes_colours
    assert changes
    picker.set_image(ImageKind())
    assert picker.source == "nuclei"


def test_a_choice_that_somebody_made_stays_and_a_better_model_is_a_click_away(
    colour_model: str, picker: ModelPicker
) -> None:
    picker.reset_choices()
    picker.choose("nuclei")
    picker.set_image(ImageKind(colours=True))
    assert picker.source == "nuclei"
    better = picker.suggestion
    assert better is not None
    assert better.takes_colours
    assert texts(picker)[0] == better.name  # stands first
    assert better.name in about(picker)
    picker.about.editor.native.linkActivated.emit(better.name)
    assert picker.source == better.name
    assert picker.suggestion is None
    assert "in colour" not in about(picker)
