"""Docks mark the same fields however errors, findings and notes are worded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from napari_unet.errors import InputError, Note, SettingsError
from napari_unet.samples import load_sample
from napari_unet.training.steps import TrainStep
from napari_unet.widgets.qt.job import ProgressReport
from napari_unet.widgets.train.bar import NEW_NETWORK, brief
from napari_unet.widgets.train.form import TrainForm

pytestmark = pytest.mark.windowless


def marked(rows: dict[str, Any]) -> set[str]:
    """Names of the fields that are marked as wrong."""
    return {name for name, row in rows.items() if row.fault}


def test_segment_marks_the_field_that_is_wrong(
    dock: Any, viewer: Any, reword: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    reword()
    assert marked(dock.rows) == {"image"}
    viewer.add_image(np.zeros((32, 33, 3), np.uint8), rgb=True)
    dock.form.models.choose("nuclei")  # of one channel; one of three is suggested
    assert marked(dock.rows) == set()
    assert dock.bar.run.enabled
    form = dock.form
    for name, wrong, right in (
        ("axes", "QYX", "YXC"),
        ("channels", "3", "0"),
        ("axes", "YX", "YXC"),
    ):
        getattr(form, name).value = wrong
        assert marked(dock.rows) == {name}
        assert not dock.bar.run.enabled
        getattr(form, name).value = right
        assert marked(dock.rows) == set()
    for name, wrong in {"min_size": -1, "threshold": 2.0, "tile": 0, "device": "abacus"}.items():
        with monkeypatch.context() as patch:
            patch.setattr(form, "values", lambda name=name, wrong=wrong: {name: wrong})
            form.changed()
            assert marked(dock.rows) == {name}
            assert not dock.bar.run.enabled
        form.changed()
    assert marked(dock.rows) == set()


def test_an_error_of_a_run_marks_its_field(
    dock: Any, viewer: Any, reword: Callable[[], None]
) -> None:
    reword()
    viewer.add_image(load_sample("nuclei_2d").image[:64, :64])
    for error, name in (
        (SettingsError("min_size of another image", parameter="device"), "device"),
        (InputError("the device", parameter="image"), "image"),
    ):
        dock._show_error(error)
        assert marked(dock.rows) == {name}
        dock.form.changed()
    dock._show_error(InputError("the tile and the device"))
    assert marked(dock.rows) == set()


@pytest.fixture
def form(
    _loaded: None, bare_viewer: Any, listen: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TrainForm]:
    from qtpy.QtCore import QThreadPool

    monkeypatch.setattr("napari_unet.widgets.train.findings.CHECK_DELAY_MS", 0)
    form = TrainForm(bare_viewer, lambda: None)
    qtbot.addWidget(form.native)
    listen(bare_viewer, form)
    form.start({})
    yield form
    form.close()
    assert QThreadPool.globalInstance().waitForDone(10_000), "a thread was left behind"


def test_train_marks_the_field_that_is_wrong(
    form: TrainForm,
    bare_viewer: Any,
    reword: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    qtbot: Any,
) -> None:
    reword()
    sample = load_sample("nuclei_2d")
    bare_viewer.add_image(sample.image[:96, :96], name="cells")
    labels = bare_viewer.add_labels(sample.truth[:96, :96].astype(np.int32), name="labels")

    def settle() -> set[str]:
        form.changed()
        qtbot.waitUntil(lambda: form.checked or form.request is None, timeout=20_000)
        form.show_messages()
        return marked(
            {n: r for n, r in form.rows.items() if n in ("axes", "steps", "seed", "base")}
        )

    assert settle() == set()
    assert not form.has_faults
    form.rows["axes"].editor.value = "QY"
    assert settle() == {"axes"}
    assert form.has_faults
    form.rows["axes"].editor.value = "YX"
    for name, wrong in {"steps": 0, "seed": -1}.items():
        with monkeypatch.context() as patch:
            patch.setattr(form.settings, "values", lambda name=name, wrong=wrong: {name: wrong})
            assert settle() == {name}
    assert settle() == set()
    labels.data = np.zeros_like(labels.data)  # a fault that is found by a look at the pixels
    assert settle() == set()
    assert form.has_faults
    assert [line.fault for line in form.table.lines[0].findings.lines] == [True]


def test_notes_and_phases_are_told_apart_by_their_codes(reword: Callable[[], None]) -> None:
    from napari_unet.widgets.train.bar import LAST_PHASES, PHASES

    reword()
    notes = [Note("held-out", "Levels: 3."), Note("new-network", "The memory is short.")]
    step = TrainStep(1, 2, 0.5, 1e-3, None, None, 1.0, tuple(notes))
    assert brief(step.notes) == ([notes[0], NEW_NETWORK], [notes[1]])
    goes_on, anew = Note("start-base", "From old."), Note("start-scratch", "Not from old.")
    assert brief([goes_on]) == ([], [goes_on])
    assert brief([anew, notes[1]]) == ([anew], [notes[1]])
    assert set(LAST_PHASES) <= set(PHASES)
    assert ProgressReport(1, 2, "comparing", "training", None).phase not in PHASES
