"""The dock "Train" with targets, classes, regions and models that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet.samples import load_sample

SIZE = 96


@pytest.fixture
def image(viewer: Any) -> Any:
    """A layer with a part of the sample."""
    return viewer.add_image(load_sample("nuclei_2d").image[:SIZE, :SIZE], name="nuclei")


@pytest.fixture
def truth(viewer: Any, image: Any) -> Any:
    """Labels of all of it."""
    labels = load_sample("nuclei_2d").truth[:SIZE, :SIZE].astype(np.int32)
    return viewer.add_labels(labels, name="truth")


@pytest.fixture
def dock(truth: Any, open_train: Callable[..., Any], settle: Callable[..., None]) -> Any:
    """The dock, ready to train on these."""
    dock = open_train()
    dock.form.models.choose("random")
    settle(dock)
    assert dock.bar.train.enabled
    return dock


@pytest.fixture
def refused(dock: Any, settle: Callable[..., None], qtbot: Any) -> Callable[[], str]:
    """What the form says where it does not let itself be trained on."""

    def refused() -> str:
        settle(dock)
        qtbot.waitUntil(lambda: not dock.bar.train.enabled, timeout=20_000)
        said = [text for line in dock.form.table.lines for text in line.findings.texts]
        return " ".join([*said, dock.bar.message.value])

    return refused


def test_targets_that_nothing_can_be_learned_from(
    viewer: Any,
    dock: Any,
    image: Any,
    truth: Any,
    refused: Callable[[], str],
    settle: Callable[..., None],
) -> None:
    dock.rows["task"].editor.value = "regression"
    dock.form.models.choose(None)
    assert "no target for ‘nuclei’" in refused()
    holes = image.data.astype(np.float32)
    holes[3:5, 3:5] = np.nan
    wrong = {
        "(88, 96)": image.data[:-8],
        "constant (7)": np.full_like(image.data, 7),
        "NaN": holes,
    }
    for words, pixels in wrong.items():
        target = viewer.add_image(pixels, name="target")
        dock.form.table.lines[0].labels_choice.value = target
        assert words in refused()
        viewer.layers.remove(target)
    target = viewer.add_image(image.data.astype(np.float32) / 2, name="target")
    dock.form.table.lines[0].labels_choice.value = target
    settle(dock)
    assert dock.bar.train.enabled
    viewer.layers.remove(target)

    # one class is no classes
    dock.rows["task"].editor.value = "semantic"
    dock.form.models.choose(None)
    one = viewer.add_labels(np.ones_like(truth.data), name="tissue")
    dock.form.table.lines[0].labels_choice.value = one
    assert "one class only" in refused()
    one.data_setitem(np.nonzero(truth.data), 2)
    settle(dock)
    assert dock.bar.train.enabled


def test_shapes_that_mark_nothing(viewer: Any, dock: Any, refused: Callable[[], str]) -> None:
    outside = [[[500, 500], [500, 600], [600, 600]]]
    for shapes, words in (
        ({"data": [[[5, 5], [50, 50]]], "shape_type": "line"}, "no area"),
        ({"data": outside, "shape_type": "polygon"}, "no pixel"),
        ({"ndim": 2}, "no area"),
    ):
        layer = viewer.add_shapes(**shapes, name="part")
        dock.form.table.lines[0].trusted_choice.value = layer
        said = refused()
        assert "‘part’" in said
        assert words in said
        viewer.layers.remove(layer)


def test_bases_that_cannot_be_started_from(
    viewer: Any,
    dock: Any,
    save_model: Callable[..., Any],
    tmp_path: Path,
    refused: Callable[[], str],
    settle: Callable[..., None],
    press: Callable[[Any], None],
    finish: Callable[[Any], None],
) -> None:
    save_model("solid", ndim=3, features=(4, 8))
    whole = (tmp_path / "models" / "random.safetensors").read_bytes()
    damaged = tmp_path / "models" / "damaged.safetensors"
    damaged.write_bytes(whole[: len(whole) // 2])
    dock.form.models.reset_choices()
    assert "damaged" not in map(str, dock.form.models.sources)
    dock.form.models.choose("solid")
    assert "3D" in refused()
    dock.form.models.choose("random")
    settle(dock, steps=2)
    assert dock.bar.train.enabled

    # one that is damaged after it was chosen
    path = tmp_path / "models" / "random.safetensors"
    path.write_bytes(whole[:-100])
    settle(dock)
    if dock.bar.train.enabled:  # it is read again when training begins
        press(dock.bar.train)
        finish(dock)
    assert "random" in dock.bar.message.value
    assert dock.trained is None
    path.write_bytes(whole)
    dock.form.models.reset_choices()
    dock.form.models.choose("random")
    settle(dock)
    press(dock.bar.train)
    finish(dock)
    assert dock.trained is not None
    press(dock.verdict.discard)
