"""Labels that are sent to a training: taken in at once, or refused without any harm."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import napari_unet as nu
from napari_unet.dataset.example import Example
from napari_unet.network.model import Model
from napari_unet.samples import load_sample
from napari_unet.training.data_parallel import DataParallel
from napari_unet.training.loop import (
    EARLY_PREVIEW_PATCHES,
    PREVIEW_PATCHES,
    STATISTICS_PATCHES,
    TrainingLoop,
)
from napari_unet.training.patch_sampling import PatchSampler
from napari_unet.training.steps import MoreLabels, Preview, TrainStep
from napari_unet.training.train import iter_train

SAMPLE = load_sample("nuclei_2d")
IMAGES = (SAMPLE.image, SAMPLE.truth)
IMAGE, TRUTH = (array[:96, :160] for array in IMAGES)
TOP = np.broadcast_to(np.arange(96)[:, None] < 40, IMAGE.shape)  # columns are held out
SETTINGS: dict[str, Any] = {
    "features": (4, 8),
    "patch": (32, 32),
    "batch_size": 2,
    "steps": 8,
    "validation_every": 2,
    "learning_rate": 1e-2,
    "validation_fraction": 0.3,
    "device": "cpu",
    "precision": "float32",
}
FIRST = Example(IMAGE, TRUTH)
FEWER = Example(IMAGE, TRUTH, TOP)  # known in part
OTHER = Example(IMAGES[0][200:296, 200:360], IMAGES[1][200:296, 200:360])

Job = Generator[TrainStep, str | Preview | MoreLabels | None, Model]


def follow(job: Job, wishes: dict[int, Any] | None = None) -> tuple[list[TrainStep], Model]:
    """All steps and the model; the wishes are sent after the steps of these numbers."""
    steps: list[TrainStep] = []
    wish: Any = None
    while True:
        try:
            steps.append(job.send(wish))
        except StopIteration as end:
            return steps, end.value
        wish = (wishes or {}).get(steps[-1].step)


@functools.cache
def undisturbed() -> tuple[list[TrainStep], Model]:
    return follow(iter_train([FIRST], **SETTINGS))


def figures(steps: list[TrainStep]) -> list[tuple[float, float | None, float | None]]:
    return [(s.loss, s.metric, s.best) for s in steps]


def same_weights(first: Model, second: Model) -> bool:
    a, b = first.network.state_dict(), second.network.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# ------------------------------------------------------------------------------- taken in


def test_the_labels_as_they_are_change_nothing() -> None:
    steps, model = follow(iter_train([FIRST], **SETTINGS), {3: MoreLabels([FIRST])})
    plain, same = undisturbed()
    assert figures(steps) == figures(plain)
    assert same_weights(model, same)
    assert model.card.scores == same.card.scores
    assert "new labels were taken in: 1 example, " in steps[3].message
    assert not steps[4].message


def test_new_labels_are_learned_from_at_the_next_step() -> None:
    plain, fewer = follow(iter_train([FEWER], **SETTINGS))
    steps, model = follow(iter_train([FEWER], **SETTINGS), {4: MoreLabels([FIRST, OTHER])})
    assert [s.loss for s in steps[:4]] == [s.loss for s in plain[:4]]
    assert steps[4].loss != plain[4].loss
    before, after = fewer.card.training, model.card.training
    assert before is not None
    assert after is not None
    assert (before.examples, after.examples) == (1, 2)
    assert before.data_sha256 != after.data_sha256
    assert [s.taken_in for s in steps] == [True if s.step == 5 else None for s in steps]
    said = f"2 examples, {after.labelled_pixels} labelled pixels, and "
    assert said in steps[4].message
    assert after.labelled_pixels > before.labelled_pixels + OTHER.labels.size


def test_what_is_learned_follows_the_labels() -> None:
    """Labels turned round: the network takes for background what were objects."""
    values = SETTINGS | {
        "task": "semantic",
        "steps": 150,
        "validation_every": 50,
        "patch": (64, 64),
    }
    job = iter_train([Example(IMAGE, (TRUTH > 0).astype(int))], **values)
    turned = Example(IMAGE, (TRUTH == 0).astype(int))
    steps, model = follow(job, {5: MoreLabels([turned])})
    labels = nu.segment(IMAGE, model, device="cpu")
    assert ((labels == 1) == (TRUTH == 0)).mean() > 0.8
    # the score is that on the labels as they are now
    assert steps[-1].best is not None
    assert steps[-1].best > 0.6


def test_the_best_weights_are_scored_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else those that were best on the old labels would never be beaten."""
    calls: list[Any] = []
    score = TrainingLoop._score

    def noting(run: TrainingLoop, *arguments: Any) -> float:
        calls.append(arguments[2])
        return score(run, *arguments)

    monkeypatch.setattr(TrainingLoop, "_score", noting)
    steps, _ = follow(iter_train([FIRST], **SETTINGS), {3: MoreLabels([FEWER])})
    assert len(calls) == 5  # at each of four milestones, and once in between
    pieces = [tuple(int(p.known.sum()) for p in call) for call in calls]
    assert pieces[0] != pieces[1]
    assert pieces[1:] == [pieces[1]] * 4
    assert steps[2].best == undisturbed()[0][2].best
    told = [s.best for s in steps[3:]]
    assert told != [s.best for s in undisturbed()[0][3:]]


def test_a_score_of_another_kind_is_told() -> None:
    """Of strokes no distance is known; with whole objects it is, and objects are scored."""
    strokes = np.zeros_like(TRUTH)
    strokes[::6] = np.where(TRUTH[::6] > 0, TRUTH[::6], TRUTH.max() + 1)
    background = int(TRUTH.max()) + 1
    painted = Example(IMAGE, strokes, "painted", background)
    steps, _ = follow(iter_train([painted], **SETTINGS), {3: MoreLabels([FIRST])})
    assert "From now on, the score is the mean AP." in steps[3].message
    assert [s.metric_name for s in steps] == ["Dice"] * 3 + ["mean AP"] * (len(steps) - 3)


def test_the_patches_come_from_the_new_labels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    draw = PatchSampler.draw
    monkeypatch.setattr(
        PatchSampler, "draw", lambda self, *a: drawn.append(self.frames) or draw(self, *a)
    )
    job = iter_train([FIRST], **SETTINGS)
    next(job)
    (before,) = drawn.pop()
    job.send(MoreLabels([FEWER]))
    assert len(drawn) > 1
    assert all(frames is drawn[0] for frames in drawn)
    assert drawn[0][0] is not before
    assert drawn[0][0].statistics.known < before.statistics.known


# -------------------------------------------------------------------------------- refused


REFUSED: dict[str, Callable[[], Any]] = {
    "Training began with 1 examples, but there are 0": list,
    "must be a list of": lambda: FIRST,
    "Example 1: labels have shape": lambda: [Example(IMAGE, TRUTH[:-1])],
    "Example 1: its image is not": lambda: [OTHER],
    "Example 2: The model takes 1 channel": lambda: [
        FIRST,
        Example(np.zeros((2, 9, 9)), np.zeros((9, 9), int), axes="CYX"),
    ],
    "The labels are empty": lambda: [Example(IMAGE, TRUTH * 0)],
    "have no background": lambda: [Example(IMAGE, TRUTH, "painted")],
    "TypeError: ": lambda: 7,
    "OSError: the disk is gone": lambda: [Example(IMAGE, Broken())],
}


class Broken:
    """Labels that cannot be read any more."""

    shape, dtype = TRUTH.shape, TRUTH.dtype

    def __getitem__(self, index: Any) -> Any:
        raise OSError("the disk is gone")


def test_what_does_not_fit_is_told_and_changes_nothing() -> None:
    """All of them in one run, one after each step."""
    values = SETTINGS | {"steps": len(REFUSED) + 1}
    wishes = {i: MoreLabels(make()) for i, make in enumerate(REFUSED.values(), 1)}
    steps, model = follow(iter_train([FIRST], **values), wishes)
    plain, same = follow(iter_train([FIRST], **values))
    for said, step in zip(REFUSED, steps[1:], strict=True):
        assert step.message.startswith("The new labels were not taken in: ")
        assert said in step.message
        assert step.taken_in is False
    assert figures(steps) == figures(plain)
    assert same_weights(model, same)
    assert model.card.scores == same.card.scores
    assert model.card.training is not None
    assert same.card.training is not None
    assert model.card.training.data_sha256 == same.card.training.data_sha256


def test_a_fault_while_the_best_is_scored_again_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = iter_train([FIRST], **SETTINGS)
    list(itertools.islice(job, 4))
    score = TrainingLoop._score
    monkeypatch.setattr(TrainingLoop, "_score", lambda *_: (_ for _ in ()).throw(MemoryError()))
    step = job.send(MoreLabels([Example(IMAGE, TRUTH, TOP)]))
    assert "not taken in: MemoryError" in step.message
    monkeypatch.setattr(TrainingLoop, "_score", score)
    steps, model = follow(job)
    plain, same = undisturbed()
    assert figures([step, *steps]) == figures(plain)[4:]
    assert same_weights(model, same)


# ----------------------------------------------------------------------------- checkpoints


def test_a_checkpoint_belongs_to_the_first_examples(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    more = MoreLabels([FEWER, OTHER])
    job = iter_train([FIRST], checkpoint=path, **SETTINGS)
    list(itertools.islice(job, 2))
    early = [job.send(more), next(job)]  # step 4 is a milestone: its state is written
    job.close()
    resumed = iter_train([FIRST], checkpoint=path, **SETTINGS)
    step = next(resumed)
    assert step.step == 5
    # scored anew on the labels that it knows, until the others are sent again
    assert step.best != early[-1].best
    step = resumed.send(more)
    assert "taken in: 2 examples" in step.message
    steps, model = follow(resumed)
    assert model.card.training is not None
    assert model.card.training.examples == 2
    assert steps[-1].step == 8


def test_a_resumed_training_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    more = MoreLabels([FEWER, OTHER])
    plain, undisturbed = follow(iter_train([FIRST], **SETTINGS), {2: more})
    for after in (5, 8):  # with steps left, and with none
        job = iter_train([FIRST], checkpoint=path, **SETTINGS)
        list(itertools.islice(job, 2))
        job.send(more)
        list(itertools.islice(job, after - 3))
        job.close()
        steps, model = follow(iter_train([FIRST], checkpoint=path, first=more, **SETTINGS))
        assert [s.taken_in for s in steps] == [True, *[None] * 7][: len(steps)]
        assert figures(steps) == figures(plain)[8 - len(steps) :]
        assert same_weights(model, undisturbed)
        assert model.card.scores == undisturbed.card.scores


# -------------------------------------------------------------------------------- previews


@pytest.mark.parametrize("validated", [True, False])
def test_previews_are_early_until_the_first_validation(
    validated: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn: list[int] = []

    update = DataParallel.update_statistics

    def noting(parallel: DataParallel, batches: Any) -> None:
        found = list(batches)
        drawn.append(sum(len(b) for b in found))
        update(parallel, found)

    monkeypatch.setattr(DataParallel, "update_statistics", noting)
    path = tmp_path / "run.ckpt"
    values = SETTINGS | {"validation_every": 3}
    values["validation_fraction"] = 0.3 if validated else 0
    job = iter_train([FIRST], checkpoint=path, **values)
    next(job)
    view = Preview(IMAGE[:64, :64])
    steps = [job.send(view), job.send(view), job.send(view), job.send(None)]
    assert [s.preview_early for s in steps] == [True, False, False, False]
    full = [STATISTICS_PATCHES] if validated else []
    assert drawn == [EARLY_PREVIEW_PATCHES, *full, PREVIEW_PATCHES, PREVIEW_PATCHES]
    job.close()
    resumed = iter_train([FIRST], checkpoint=path, **values)
    next(resumed)
    assert not resumed.send(view).preview_early
    resumed.close()


def test_the_first_step_can_have_a_preview_already() -> None:
    job = iter_train([FIRST], first=Preview(IMAGE[:64, :64]), **SETTINGS)
    steps, model = follow(job)
    assert [s.preview is not None for s in steps] == [True] + [False] * 7
    assert figures(steps) == figures(undisturbed()[0])
    assert same_weights(model, undisturbed()[1])


def test_a_preview_that_failed_is_not_early() -> None:
    job = iter_train([FIRST], **SETTINGS)
    next(job)
    step = job.send(Preview(np.zeros((8, 8)), axes="QYX"))
    assert (step.preview, step.preview_early) == (None, False)
