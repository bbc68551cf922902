"""Scores of objects against other programs' numbers, and against definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from napari_unet.errors import InputError, SettingsError
from napari_unet.metrics import InstanceScores, evaluate
from napari_unet.metrics.bootstrap import LEAST_IMAGES


def blobs(seed: int, shape: tuple[int, ...] = (96, 96), count: int = 30) -> tuple[np.ndarray, ...]:
    """Discs or balls as truth; smaller and shifted ones as prediction, every ninth missing."""
    rng = np.random.default_rng(seed)
    seeds = np.zeros(shape, int)
    for i in range(1, count + 1):
        seeds[tuple(rng.integers(0, n) for n in shape)] = i
    shifts = rng.integers(-2, 3, (count + 1, len(shape)))
    found = np.zeros(shape, int)
    for i in range(1, count + 1):
        at = np.argwhere(seeds == i)
        if i % 9 and len(at):
            found[tuple(np.clip(at[0] + shifts[i], 0, np.array(shape) - 1))] = i
    return tuple(_grown(points, radius) for points, radius in ((found, 6), (seeds, 7)))


def _grown(points: np.ndarray, radius: int) -> np.ndarray:
    distance, nearest = distance_transform_edt(points == 0, return_indices=True)
    return np.where(distance < radius, points[tuple(nearest)], 0)


# stardist 0.9.2, matching(truth, prediction, thresh): tp, fp, fn, accuracy, panoptic quality
STARDIST = [
    (1, (96, 96), 0.5, 24, 3, 6, 0.7272727272727273, 0.5678809316534745),
    (1, (96, 96), 0.75, 9, 18, 21, 0.1875, None),
    (2, (96, 96), 0.6, 21, 6, 9, 0.5833333333333334, None),
    (3, (12, 48, 48), 0.5, 16, 11, 14, 0.3902439024390244, 0.3296083818402207),
]


@pytest.mark.parametrize(("seed", "shape", "iou", "tp", "fp", "fn", "ap", "quality"), STARDIST)
def test_objects_are_matched_as_by_stardist(
    seed: int,
    shape: tuple[int, ...],
    iou: float,
    tp: int,
    fp: int,
    fn: int,
    ap: float,
    quality: float | None,
) -> None:
    scores = evaluate(*blobs(seed, shape))
    assert (scores.tp[iou], scores.fp[iou], scores.fn[iou]) == (tp, fp, fn)
    assert scores.ap[iou] == pytest.approx(ap)
    if quality is not None:  # MONAI 1.6.1, compute_panoptic_quality, says 0.5679 for the first
        assert scores.panoptic_quality == pytest.approx(quality, abs=1e-6)


def test_images_are_pooled_as_by_stardist() -> None:
    predictions, truths = zip(*(blobs(seed) for seed in (1, 2, 5)), strict=True)
    scores = evaluate(list(predictions), list(truths))
    # stardist 0.9.2, matching_dataset(thresh=0.5), and with by_image=True
    assert (scores.tp[0.5], scores.fp[0.5], scores.fn[0.5]) == (75, 6, 15)
    assert scores.ap[0.5] == pytest.approx(0.78125)
    assert scores.ap_mean[0.5] == pytest.approx(0.7848484848484848)
    assert scores.panoptic_quality == pytest.approx(0.5864778931377924, abs=1e-6)


def objects(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == k for k in np.unique(labels[labels > 0])]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.count_nonzero(a & b) / np.count_nonzero(a | b))


def aggregated_jaccard(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Kumar et al. 2017, algorithm 1, object by object."""
    true, predicted = objects(truth), objects(prediction)
    shared, union, used = 0, 0, set()
    for t in true:
        ious = [overlap(t, p) for p in predicted]
        if ious and max(ious) > 0:
            equal = [i for i, iou in enumerate(ious) if iou == max(ious)]
            best = max(equal, key=lambda i: np.count_nonzero(t & predicted[i]))
            shared += np.count_nonzero(t & predicted[best])
            union += np.count_nonzero(t | predicted[best])
            used |= set(equal)
        else:
            union += np.count_nonzero(t)
    union += sum(np.count_nonzero(p) for i, p in enumerate(predicted) if i not in used)
    return shared / union if union else 1.0


def seg(prediction: np.ndarray, truth: np.ndarray) -> float:
    """The SEG measure as the Cell Tracking Challenge defines it, object by object."""
    values = []
    for t in objects(truth):
        covering = [p for p in objects(prediction) if 2 * (t & p).sum() > t.sum()]
        values.append(overlap(t, covering[0]) if covering else 0.0)
    if not values:
        return 1.0 if not prediction.any() else 0.0
    return float(np.mean(values))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 3))
def test_aggregated_jaccard_and_seg_follow_their_definitions(
    seed: int, most: int, coarse: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 6, 2)
    prediction, truth = (
        np.kron(rng.integers(0, most + 1, shape), np.ones((coarse, coarse), int)) for _ in range(2)
    )
    truth = np.roll(truth, 1, 0)
    scores = evaluate(prediction, truth)
    assert scores.aggregated_jaccard == pytest.approx(aggregated_jaccard(prediction, truth))
    assert scores.seg == pytest.approx(seg(prediction, truth))


def test_a_missed_an_extra_and_a_merged_object_in_seg_and_aggregated_jaccard() -> None:
    truth = np.array([1, 1, 1, 1, 0, 2, 2, 3, 3, 0, 0])
    prediction = np.array([0, 1, 1, 1, 0, 2, 2, 2, 2, 0, 4])
    scores = evaluate(prediction, truth)
    assert scores.seg == pytest.approx((3 / 4 + 2 / 4 + 2 / 4) / 3)
    # 3 of 4; then 2 of 4 twice, since one object may be the best of two; and the extra one
    assert scores.aggregated_jaccard == pytest.approx((3 + 2 + 2) / (4 + 4 + 4 + 1))
    assert (scores.true_objects, scores.predicted_objects) == (3, 3)


# time


def test_objects_of_other_time_points_are_other_objects() -> None:
    frame = np.array([[1, 1, 0, 2], [1, 1, 0, 2]])
    anew = np.stack([frame, frame * 0, frame[:, ::-1]])  # numbered anew at each time point
    linked = anew + 10 * (anew > 0)
    linked[2][anew[2] > 0] += 50
    scores = evaluate(linked, anew, axes="TYX")
    assert scores.ap[0.95] == 1
    assert scores.true_objects == 4
    moved = np.moveaxis(anew, 0, -1)
    assert evaluate(np.moveaxis(linked, 0, -1), moved, axes="YXT").tp == scores.tp
    # without axes an array is one volume
    assert evaluate(linked, anew).tp[0.95] < 4


def test_time_points_are_pooled_in_their_image_and_hidden_pixels_stay_out() -> None:
    truth = np.zeros((2, 8, 8), int)
    truth[:, :4, :4] = 3
    truth[1, 5:, 5:] = 4
    prediction = truth.copy()
    prediction[1, :4, :4] = 0
    hidden = np.zeros(truth.shape, bool)
    hidden[1, :5, :5] = True
    assert evaluate(prediction, truth, axes="TYX").ap[0.5] == 2 / 3
    assert evaluate(prediction, truth, axes="TYX", ignore=hidden).ap[0.5] == 1


def test_no_window_of_the_structural_similarity_reaches_over_time() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((9, 20, 20))
    prediction = truth + rng.normal(0, 0.1, truth.shape)
    by_frame = [
        evaluate(p, t, task="regression").ssim for p, t in zip(prediction, truth, strict=True)
    ]
    found = evaluate(prediction, truth, task="regression", axes="TYX").ssim
    assert found == pytest.approx(np.mean(by_frame))
    assert found != evaluate(prediction, truth, task="regression").ssim


@pytest.mark.parametrize("axes", ["YX", "TYY", "TQX"])
def test_axes_must_describe_the_arrays(axes: str) -> None:
    with pytest.raises(InputError, match="axes") as caught:
        evaluate(np.zeros((2, 3, 4), int), np.zeros((2, 3, 4), int), axes=axes)
    assert caught.value.parameter == "axes"


# a label that is left out


def test_objects_take_a_label_of_the_truth_that_is_left_out() -> None:
    truth = np.array([[1, 1, 0, -1, -1, -1], [1, 1, 0, -1, -1, -1]])
    prediction = np.array([[4, 4, 0, 0, 7, 7], [4, 4, 0, 0, 7, 7]])
    scores = evaluate(prediction, truth, ignore=-1)
    assert scores.ap[0.95] == 1
    assert scores == evaluate(prediction, np.maximum(truth, 0), ignore=truth == -1)
    with pytest.raises(InputError, match="label -1"):
        evaluate(prediction, truth)


# intervals


def many(images: int = 40, seed: int = 3) -> InstanceScores:
    rng = np.random.default_rng(seed)
    truths = [np.repeat(np.arange(1, 11), 4) for _ in range(images)]
    predictions = [np.where(np.isin(t, rng.permutation(10)[: rng.integers(0, 9)] + 1), 0, t)
                   for t in truths]  # fmt: skip
    return evaluate(predictions, truths)


def test_the_interval_of_a_mean_is_that_of_the_bootstrap_written_out() -> None:
    scores = many()
    low, high = scores.intervals(resamples=20_000)["ap_mean"][0.5]
    values = np.array([each.ap[0.5] for each in scores.per_image()])
    rng = np.random.default_rng(11)
    means = values[rng.integers(0, values.size, (20_000, values.size))].mean(1)
    assert [low, high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.004)
    # and about 1.96 standard errors
    error = 1.96 * values.std(ddof=1) / np.sqrt(values.size)
    assert (high - low) / 2 == pytest.approx(error, rel=0.1)
    assert low < scores.ap_mean[0.5] < high


def test_intervals_have_the_figures_and_grow_with_the_confidence() -> None:
    scores = many()
    found = scores.intervals()
    assert found == scores.intervals()
    wide = scores.intervals(confidence=0.99)
    assert {
        "ap",
        "ap_mean",
        "panoptic_quality",
        "aggregated_jaccard",
        "seg",
        "dice",
    } <= found.keys()
    low, high = found["f1"][0.5]
    assert wide["f1"][0.5][0] < low < scores.f1[0.5] < high < wide["f1"][0.5][1]


def test_intervals_of_the_other_tasks() -> None:
    rng = np.random.default_rng(5)
    images = [rng.random((9, 9)) for _ in range(8)]
    near = [image + rng.normal(0, s, image.shape) for s, image in enumerate(images)]
    found = evaluate(near, images, task="regression").intervals()
    assert found["rmse"][0] < found["rmse"][1]
    assert found["psnr_mean"][1] == np.inf  # one is equal, and may be drawn or not
    assert None not in (found["ssim"], found["mae_mean"])
    classes = [(image > 0.5).astype(int) + (image > 0.8) for image in images]
    found = evaluate(classes, [*classes[1:], classes[0]], task="semantic").intervals()
    assert list(found["dice"]) == [0, 1, 2]
    assert found["macro_dice"][0] < found["macro_dice"][1]


def test_few_images_have_no_interval() -> None:
    assert many(LEAST_IMAGES - 1).intervals() == {}
    assert many(LEAST_IMAGES).intervals()


@pytest.mark.parametrize("wrong", [{"confidence": 1.0}, {"confidence": 0}, {"resamples": 10}])
def test_intervals_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError) as caught:
        many().intervals(**wrong)
    assert caught.value.parameter in wrong


def test_each_image_has_the_scores_that_it_has_alone() -> None:
    pairs = [blobs(seed) for seed in (1, 2, 5)]
    together = evaluate([p for p, _ in pairs], [t for _, t in pairs])
    for each, pair in zip(together.per_image(), pairs, strict=True):
        assert each == evaluate(*pair)
