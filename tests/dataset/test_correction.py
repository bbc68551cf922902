"""What somebody has changed of labels that began as a prediction, and what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_unet as nu
from napari_unet.cli.training_files import read_example
from napari_unet.dataset import fingerprint
from napari_unet.dataset.correction import (
    MARKS_KEY,
    CorrectedLabels,
    Correction,
    compare_objects,
    find_correction,
    remember_objects,
)
from napari_unet.io import write_image, write_record
from napari_unet.samples import load_sample
from napari_unet.training.verdict import compare_with_base

SAMPLE = load_sample("nuclei_2d")
IMAGE = SAMPLE.image[:192, :256]
TRUTH = SAMPLE.truth[:192, :256].astype(np.int32)


def corrected(labels: np.ndarray, began: np.ndarray, *done: tuple[int, int]) -> Any:
    """Labels that began as others."""
    found = compare_objects(labels, str(remember_objects(began)), done, "ZYX"[-labels.ndim :])
    assert found is not None
    return CorrectedLabels(labels, found)


def test_changed_erased_and_new_objects_are_no_longer_as_they_were() -> None:
    began = np.zeros((3, 20, 30), np.int32)
    for value, x in ((4, 0), (7, 8), (900_000, 16), (5, 24)):
        began[:, 4:10, x : x + 5] = value
    same = corrected(began.copy(), began).correction
    assert same.nothing_changed
    assert same.unchanged.tolist() == [4, 5, 7, 900_000]
    labels = began.copy()
    labels[1, 4, 0] = 0  # one pixel of 4
    labels[labels == 7] = 0
    labels[0, 15:18, 3:9] = 8
    labels[labels == 900_000] = np.roll(labels, 1, axis=2)[labels == 900_000]
    found = corrected(labels, began).correction
    assert not found.nothing_changed
    assert found.unchanged.tolist() == [5]


@given(seed=st.integers(0, 99), slab=st.integers(1, 500))
def test_an_object_that_moved_is_changed_however_it_is_read(seed: int, slab: int) -> None:
    began = np.random.default_rng(seed).integers(0, 9, (6, 7, 8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint, "SLAB_PIXELS", slab)
        text = str(remember_objects(began))
    assert compare_objects(began.astype(np.uint8), text, [], "ZYX").nothing_changed
    moved = np.roll(began, 1, axis=0)
    same = {v for v in np.unique(began) if np.array_equal(began == v, moved == v)}
    assert set(compare_objects(moved, text, [], "ZYX").unchanged) == same - {0}


@pytest.mark.parametrize("text", ["", "4,4:", "4,4:?", "4,5:" + "0" * 20, "nonsense"])
def test_what_is_damaged_or_of_another_shape_tells_nothing(text: str) -> None:
    assert compare_objects(np.zeros((4, 4), int), text, [], "YX") is None


def test_it_is_kept_as_plain_values() -> None:
    labels = TRUTH.copy()
    labels[labels == np.unique(labels)[1]] = 0
    known = corrected(labels, TRUTH, (0, 0)).correction
    back = Correction.from_json(known.as_json())
    assert np.array_equal(back.unchanged, known.unchanged)
    assert back.done.tolist() == [[True]]


def codes(example: nu.Example) -> list[str]:
    return [finding.code for finding in nu.check_examples([example])]


def test_a_copy_in_which_nothing_was_changed_is_told() -> None:
    same = nu.Example(IMAGE, corrected(TRUTH.copy(), TRUTH))
    (finding,) = [f for f in nu.check_examples([same]) if f.code == "nothing-corrected"]
    assert "would learn its own answer" in finding.problem
    labels = TRUTH.copy()
    labels[labels == np.unique(labels)[1]] = 0
    assert "nothing-corrected" not in codes(nu.Example(IMAGE, corrected(labels, TRUTH)))


def test_a_file_with_its_marks_tells_it_too(tmp_path: Path) -> None:
    path = tmp_path / "labels.tif"
    nu.write_labels(path, TRUTH, axes="YX")
    marks = {
        "axes": "YX",
        "done": [],
        "corrected": {"model": {"name": "nuclei"}},
        "predicted": remember_objects(TRUTH),
    }
    write_record(path, {MARKS_KEY: {"marks": marks, "bytes": path.stat().st_size}})
    write_image(tmp_path / "image.tif", IMAGE, axes="YX")
    for eager_bytes in (0, 1 << 30):
        labels = nu.read_image(path, as_labels=True, eager_bytes=eager_bytes).array
        assert find_correction(labels, path).model == "nuclei"
    example, _ = read_example(tmp_path / "image.tif", path)
    assert "nothing-corrected" in codes(example)
    write_record(path, {MARKS_KEY: {"marks": marks, "bytes": 1}})  # written anew since
    assert find_correction(labels, path) is None


def scores(labels: Any) -> Any:
    """The card after a training of one step, which changes next to nothing."""
    return nu.train(
        [nu.Example(IMAGE, labels)],
        base="nuclei",
        steps=1,
        learning_rate=1e-9,
        batch_size=1,
        patch=(64, 64),
        device="cpu",
    ).card


def test_what_the_base_drew_counts_where_somebody_looked() -> None:
    drawn = np.asarray(nu.segment(IMAGE, "nuclei"))
    labels = drawn.copy()
    right = [v for v in np.unique(drawn[:, 224:])[1:] if (drawn[:, :200] == v).sum() == 0]
    for value in right[:2]:  # corrected: moved by half of their width
        y, x = np.nonzero(labels == value)
        labels[y, x] = 0
        labels[np.minimum(y + 9, 191), x] = value
    unfair = scores(labels)
    fair = scores(corrected(labels, drawn))
    nowhere = scores(corrected(drawn, drawn))
    looked = scores(corrected(drawn, drawn, (0, 0)))
    base = [card.scores[1] for card in (unfair, fair, looked)]
    assert base[0].values["AP at IoU 0.9"] > 0.2  # of what it has drawn itself
    assert base[1].values["AP at IoU 0.9"] == 0
    assert 0 < base[1].count <= 2 < base[0].count == base[2].count
    assert base[2].values["AP at IoU 0.9"] > base[0].values["AP at IoU 0.9"]
    assert nowhere.scores[1].values == {}
    assert "Nothing that was corrected" in compare_with_base(nowhere).sentence
