"""Settings as a form, kept between sessions, and checked before a run."""

from __future__ import annotations

import doctest
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image
from pydantic import BaseModel, Field

import napari_unet.widgets
from napari_unet.errors import FileError
from napari_unet.image.roi import Roi
from napari_unet.progress import drain
from napari_unet.settings import SegmentSettings
from napari_unet.widgets.models.description import describe
from napari_unet.widgets.qt import memory as _memory
from napari_unet.widgets.qt.fields import FieldError
from napari_unet.widgets.qt.form import AutoNumber, Form, Row, SettingsForm
from napari_unet.widgets.segment.request import Request
from napari_unet.widgets.viewer.layer_image import LayerImage

WIDGETS = Path(napari_unet.widgets.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(WIDGETS).with_suffix("").parts) for path in WIDGETS.rglob("*.py")
)
NOT_SHOWN = ("normalization", "threads")
FIELDS = [name for name in SegmentSettings.model_fields if name not in NOT_SHOWN]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_docstrings(name: str) -> None:
    module = importlib.import_module(f"napari_unet.widgets.{name}".removesuffix(".__init__"))
    assert doctest.testmod(module).failed == 0


@pytest.fixture
def form(qtbot: Any) -> SettingsForm:
    changes: list[None] = []
    form = SettingsForm(
        SegmentSettings,
        FIELDS,
        choices={"device": ["auto", "cpu"]},
        on_change=lambda: changes.append(None),
    )
    form.changes = changes  # type: ignore[attr-defined]
    return form


def test_a_new_form_holds_the_defaults(form: SettingsForm) -> None:
    assert form.values() == {}
    assert SegmentSettings.model_validate(form.values()) == SegmentSettings()


CHANGED = {
    "tile": 128,
    "device": "cpu",
    "precision": "float32",
    "threshold": 0.35,
    "split_depth": 0.7,
    "min_size": 12,
    "smoothing": 1.5,
    "shape_radius": 6.5,
    "object_diameter": 33.5,
    "volume_mode": "slices",
    "link_overlap": 0.75,
    "flips": True,
    "invert": True,
}


def test_every_field_can_be_edited(form: SettingsForm) -> None:
    assert set(CHANGED) == set(FIELDS)
    for name, value in CHANGED.items():
        form.changes.clear()  # type: ignore[attr-defined]
        form.rows[name].editor.value = value
        assert form.values()[name] == pytest.approx(value)
        assert form.changes, name  # type: ignore[attr-defined]
        assert form.rows[name].editor.tooltip == SegmentSettings.model_fields[name].description
    form.set_values({})
    assert form.values() == {}


def test_values_come_back_from_json(form: SettingsForm) -> None:
    settings = SegmentSettings.model_validate(CHANGED)
    form.set_values(json.loads(settings.model_dump_json(exclude_defaults=True)))
    assert SegmentSettings.model_validate(form.values()) == settings


@pytest.mark.parametrize(
    "damaged",
    [{"threshold": 7}, {"tile": "huge"}, {"device": "cuda"}, {"flips": [1]}, {"min_size": None}],
)
def test_values_that_are_not_accepted_become_defaults(
    form: SettingsForm, damaged: dict[str, Any]
) -> None:
    form.set_values(damaged)
    assert form.values() == {}


def test_editors_stay_within_the_bounds_of_the_model(form: SettingsForm) -> None:
    for name in ("tile", "threshold", "split_depth", "min_size", "object_diameter", "link_overlap"):
        editor = form.rows[name].editor
        number = editor.number if isinstance(editor, AutoNumber) else editor
        for value in (number.min, number.max):
            SegmentSettings.model_validate({name: value})


def test_auto_shows_what_it_stands_for(form: SettingsForm) -> None:
    threshold, tile = form.rows["threshold"].editor, form.rows["tile"].editor
    form.suggest({"threshold": 0.42})
    assert not threshold.number.enabled
    assert threshold.number.value == pytest.approx(0.42)
    assert form.values() == {}
    threshold.auto.value = False
    assert threshold.number.enabled
    assert form.values() == {"threshold": pytest.approx(0.42)}
    form.suggest({"threshold": 0.9})  # no longer automatic: what was typed stays
    assert form.values() == {"threshold": pytest.approx(0.42)}
    assert tile.number.native.text() == "–"
    tile.auto.value = False
    assert form.values()["tile"] == 256
    tile.auto.value = True
    assert tile.number.native.text() == "–"
    assert form.values()["threshold"] == pytest.approx(0.42)


def test_small_numbers_are_not_shown_as_zero(qtbot: Any) -> None:
    class Rates(BaseModel):
        share: float = Field(0.05, gt=0, le=1)

    form = SettingsForm(Rates, ["share"], on_change=lambda: None)
    assert form.rows["share"].editor.native.text() == "0.05"


def test_a_fault_colours_its_field_and_goes_away(form: SettingsForm) -> None:
    row = form.rows["precision"]
    row.show_message("only a hint")
    assert (row.note, row.fault) == ("only a hint", "")
    assert row.editor.native.styleSheet() == ""
    row.show_message("a hint", "a fault")
    assert (row.note, row.fault) == ("a fault", "a fault")
    assert "border" in row.editor.native.styleSheet()
    row.show_message()
    assert (row.note, row.editor.native.styleSheet()) == ("", "")


def test_hidden_rows_hide_their_labels(qtbot: Any, form: SettingsForm) -> None:
    sheet = Form(form.rows.values())
    qtbot.addWidget(sheet)
    row: Row = form.rows["tile"]
    row.show(visible=False)
    assert row.native.isHidden()
    assert row.label.isHidden()


# Kept between sessions


def test_what_is_remembered_is_recalled() -> None:
    assert _memory.recall("segment") == {}
    _memory.remember("segment", {"model": "nuclei", "settings": {"tile": 64}})
    assert _memory.recall("segment") == {"model": "nuclei", "settings": {"tile": 64}}
    assert _memory.recall("train") == {}
    assert [p.name for p in _memory.config_folder().iterdir()] == ["segment.json"]


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00", "[" * 100_000])
def test_a_damaged_memory_is_forgotten(text: str) -> None:
    _memory.remember("segment", {})
    (_memory.config_folder() / "segment.json").write_text(text, encoding="utf-8")
    assert _memory.recall("segment") == {}


def test_a_folder_that_cannot_be_written_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NAPARI_UNET_CONFIG", str(tmp_path / "file" / "config"))
    _memory.remember("segment", {"model": "nuclei"})
    assert _memory.recall("segment") == {}


# Checked before a run


@pytest.mark.parametrize(
    ("shape", "axes", "channels", "values", "field", "words"),
    [
        ((8, 8), "ZYX", "", {}, "axes", "one letter per axis"),
        ((8, 8), "Y?", "", {}, "axes", "TCZYX"),
        ((0, 8), "YX", "", {}, "axes", "no pixels"),
        ((3, 8, 8), "CYX", "0, 1", {}, "channels", "takes 1"),
        ((3, 8, 8), "CYX", "-1", {}, "channels", "must be numbers"),
        ((8, 8), "YX", "", {"object_diameter": 9.0}, "object_diameter", "tick auto"),
        ((8, 8), "YX", "", {"device": "tpu"}, "device", "cuda:1"),
    ],
)
def test_faults_name_their_field(
    make_model: Any,
    shape: tuple[int, ...],
    axes: str,
    channels: str,
    values: dict[str, Any],
    field: str,
    words: str,
) -> None:
    image = LayerImage.of(Image(np.zeros((8,) * len(shape))))
    object.__setattr__(image, "arrays", (np.zeros(shape),))
    with pytest.raises(FieldError, match=words) as caught:
        Request.check(image, make_model().card, axes, channels, values)
    assert caught.value.field == field


def test_a_3d_model_needs_planes(make_model: Any) -> None:
    image = LayerImage.of(Image(np.zeros((8, 8))))
    with pytest.raises(FieldError, match="choose a 2D model") as caught:
        Request.check(image, make_model(ndim=3).card, "YX", "", {})
    assert caught.value.field == "axes"


def test_a_part_must_lie_on_the_image(make_model: Any) -> None:
    image = LayerImage.of(Image(np.zeros((20, 30))))
    request = Request.check(image, make_model().card, "YX", "", {"flips": True})
    part = request.within(Roi(y=(5, 20)))
    assert (part.roi.y, part.settings, part.image) == ((5, 20), request.settings, image)
    assert request.roi.y is None
    with pytest.raises(FieldError, match="axis Y is not a part of 0 to 20") as caught:
        request.within(Roi(y=(5, 21)))
    assert caught.value.field == "region"


def test_no_folder_for_large_scores_is_told_in_words(
    make_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model()
    path = model.save(tmp_path / "model.safetensors")
    image = LayerImage.of(Image(np.zeros((20, 30))))
    request = Request.check(image, model.card, "YX", "", {}, source=path)
    monkeypatch.setattr(Request, "_is_large", lambda _: True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(FileError, match=r"gone.*TMPDIR"):
        drain(request.job())
    (tmp_path / "gone").mkdir()
    drain(request.job()).discard()
    assert list((tmp_path / "gone").iterdir()) == []


def test_a_request_keeps_neither_layer_nor_widget(make_model: Any) -> None:
    layer = Image(np.zeros((3, 8, 8)), scale=(2, 0.5, 0.5), units="um")
    request = Request.check(LayerImage.of(layer), make_model().card, "zyx", "", {"tile": 32})
    assert request.axes == "ZYX"
    assert request.channels is None
    assert request.settings.tile == 32
    assert request.image.pixel_size(request.axes) == (2.0, 0.5, 0.5)
    assert not any(value is layer for value in vars(request.image).values())


def test_a_card_cannot_smuggle_markup(make_model: Any) -> None:
    card = make_model().card.model_copy(
        update={"description": "<b>loud</b>", "thumbnail": '"><script>'}
    )
    text = describe(card)
    assert "<b>" not in text
    assert "<script>" not in text
