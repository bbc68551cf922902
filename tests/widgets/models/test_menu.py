"""What can be done with a model beside the list, and hearing of models that others save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_unet.network.files import list_models, read_header, user_models_folder
from napari_unet.widgets.models.menu import ADD, COPY, DELETE, RENAME, SHOW, TRAINED, Dialogs
from napari_unet.widgets.models.picker import ModelPicker
from napari_unet.widgets.qt.form import Form

pytestmark = pytest.mark.windowless


class Answers(Dialogs):
    """Answers as the user would, and notes what was asked."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.name: str | None = None
        self.yes = False
        self.target: Path | None = None

    def show_text(self, parent: Any, title: str, lines: list[str]) -> None:
        self.told.append((title, lines))

    def ask_name(self, parent: Any, name: str) -> str | None:
        return self.name

    def confirm(self, parent: Any, question: str) -> bool:
        self.told.append(question)
        return self.yes

    def ask_target(self, parent: Any, name: str) -> Path | None:
        return self.target

    def reveal(self, folder: Path) -> None:
        self.told.append(folder)


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def make_picker(qtbot: Any, answers: Answers) -> Any:
    def make(**options: Any) -> ModelPicker:
        picker = ModelPicker(lambda: None, dialogs=answers, **options)
        form = Form([picker.row, picker.about])
        qtbot.addWidget(form)
        picker.form = form  # type: ignore[attr-defined]
        return picker

    return make


@pytest.fixture
def picker(make_picker: Any, save_model: Any) -> ModelPicker:
    """With the user's model "mine" chosen."""
    save_model("mine")
    made: ModelPicker = make_picker()
    made.choose("mine")
    assert made.source == "mine"
    return made


def entries(picker: ModelPicker) -> list[str]:
    picker.menu.fill()
    return [action.text() for action in picker.menu.menu.actions()]


def test_only_what_makes_sense_is_offered(
    picker: ModelPicker, make_picker: Any, make_model: Any, tmp_path: Path
) -> None:
    assert entries(picker) == [TRAINED, RENAME, DELETE, SHOW, COPY, ADD]
    picker.choose("nuclei")
    assert entries(picker) == [TRAINED, COPY, ADD]
    picker.choose(make_model().save(tmp_path / "elsewhere" / "far.safetensors"))
    assert entries(picker) == [TRAINED, SHOW, ADD]
    scratch = make_picker(nothing="From scratch")
    assert scratch.source is None
    assert not scratch.menu.button.isEnabled()
    scratch.choose("nuclei")
    assert scratch.menu.button.isEnabled()
    scratch.choose(None)
    assert (scratch.source, scratch.fault) == (None, "")
    assert not scratch.menu.button.isEnabled()


def test_what_it_was_trained_on(picker: ModelPicker, answers: Answers) -> None:
    picker.choose("nuclei")
    picker.menu.do(TRAINED)
    ((title, lines),) = answers.told
    assert "nuclei" in title
    assert any("Learned from" in line for line in lines) or any("Scores" in x for x in lines)


def test_renaming_keeps_the_model_chosen(picker: ModelPicker, answers: Answers) -> None:
    answers.name = "better"
    picker.menu.do(RENAME)
    assert picker.source == "better"
    assert [card.name for card in list_models() if card.name in ("mine", "better")] == ["better"]
    answers.name = "nuclei"
    picker.menu.do(RENAME)
    assert "bundled" in picker.row.fault
    assert picker.source == "better"


def test_deleting_asks_first(picker: ModelPicker, answers: Answers) -> None:
    picker.menu.do(DELETE)
    assert "mine" in answers.told[0]
    assert (user_models_folder() / "mine.safetensors").is_file()
    answers.yes = True
    picker.menu.do(DELETE)
    assert not (user_models_folder() / "mine.safetensors").is_file()
    assert "is gone" in picker.fault  # no other steps into its place
    picker.choose("nuclei")
    assert (picker.source, picker.fault) == ("nuclei", "")


def test_sharing(picker: ModelPicker, answers: Answers, tmp_path: Path) -> None:
    answers.target = tmp_path / "shared.safetensors"
    picker.menu.do(COPY)
    assert read_header(answers.target).name == "mine"
    picker.menu.do(SHOW)
    assert answers.told == [user_models_folder()]


def test_models_that_others_save_come_by_themselves(
    make_picker: Any, save_model: Any, qtbot: Any
) -> None:
    first, second = make_picker(), make_picker(nothing="From scratch")
    assert not user_models_folder().exists()
    save_model("new")
    qtbot.waitUntil(lambda: all("new" in p.sources for p in (first, second)), timeout=20_000)
    save_model("newer")  # the folder is there now
    qtbot.waitUntil(lambda: all("newer" in p.sources for p in (first, second)), timeout=20_000)
    (user_models_folder() / "new.safetensors").unlink()
    qtbot.waitUntil(lambda: all("new" not in p.sources for p in (first, second)), timeout=20_000)
    assert second.source is None


def test_a_file_of_another_task_is_refused(
    make_picker: Any, make_model: Any, tmp_path: Path
) -> None:
    file = make_model(task="semantic").save(tmp_path / "classes.safetensors")
    asked: list[Path] = [file]
    picker = make_picker(ask_file=lambda _: asked[0])
    picker.set_task("instance")
    picker.row.editor.native.setCurrentIndex(picker.row.editor.native.count() - 1)
    assert "classes of pixels" in picker.row.fault
    assert picker.source == "nuclei"
