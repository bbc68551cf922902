"""Scores against hand-computed cases, other libraries, and properties that must hold."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import skimage.metrics
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.errors import InputError, SettingsError
from napari_unet.metrics import (
    IOU_THRESHOLDS,
    InstanceScores,
    RegressionScores,
    Scores,
    SemanticScores,
    dice,
    evaluate,
    jaccard,
    match_instances,
)

unhurried = settings(deadline=None)  # a busy machine is no fault of the code
shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6)


def label_pairs(largest: int = 4) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Two label arrays of equal shape."""
    labels = st.integers(0, largest)
    return shapes.flatmap(
        lambda shape: st.tuples(
            hnp.arrays(np.int32, shape, elements=labels),
            hnp.arrays(np.int32, shape, elements=labels),
        )
    )


def squares(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Label boxes (row, column, height, width) 1, 2, ... on a 32 x 32 image."""
    labels = np.zeros((32, 32), np.int32)
    for number, (row, column, height, width) in enumerate(boxes, start=1):
        labels[row : row + height, column : column + width] = number
    return labels


# ------------------------------------------------------------------------ Dice and Jaccard


def test_dice_and_jaccard_of_a_hand_computed_case() -> None:
    prediction = np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool)
    truth = np.array([[0, 1, 1, 1], [0, 0, 0, 1]], bool)
    assert dice(prediction, truth) == 2 * 2 / (3 + 4)
    assert jaccard(prediction, truth) == 2 / 5


def test_dice_of_one_class_ignores_the_others() -> None:
    prediction, truth = np.array([1, 2, 2, 3]), np.array([2, 2, 2, 1])
    assert dice(prediction, truth, label=2) == 2 * 2 / (2 + 3)
    assert jaccard(prediction, truth, label=2) == 2 / 3
    assert jaccard(prediction, truth, label=3) == 0
    assert dice(prediction, truth, label=9) == 1  # in neither


def test_empty_against_empty_is_one() -> None:
    empty = np.zeros((3, 4), np.uint8)
    assert dice(empty > 0, empty > 0) == jaccard(empty > 0, empty > 0) == 1

    instance = evaluate(empty, empty)
    for figure in ("ap", "ap_mean", "precision", "precision_mean", "recall", "recall_mean",
                   "f1", "f1_mean"):  # fmt: skip
        assert getattr(instance, figure) == dict.fromkeys(IOU_THRESHOLDS, 1.0)
    assert instance.panoptic_quality == instance.segmentation_quality == 1
    assert instance.recognition_quality == instance.panoptic_quality_mean == 1
    assert instance.dice == instance.jaccard == 1

    semantic = evaluate(empty, empty, task="semantic")
    assert semantic.dice == {0: 1.0}
    assert semantic.macro_dice == semantic.macro_jaccard == semantic.accuracy == 1


def test_integer_arrays_without_a_label_are_refused() -> None:
    with pytest.raises(InputError, match="label="):
        dice(np.array([0, 1]), np.array([0, 1]))


@unhurried
@given(label_pairs())
def test_dice_and_jaccard_are_symmetric_bounded_and_linked(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    prediction, truth = pair[0] > 1, pair[1] > 1
    d, j = dice(prediction, truth), jaccard(prediction, truth)
    assert d == dice(truth, prediction)
    assert j == jaccard(truth, prediction)
    assert 0 <= j <= d <= 1
    assert d == pytest.approx(2 * j / (1 + j))
    assert dice(truth, truth) == jaccard(truth, truth) == 1


# ------------------------------------------------------------------------------- semantic


def test_semantic_scores_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 5, (40, 50)).astype(np.uint8)
    prediction = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 6, truth.shape))
    scores = evaluate(prediction, truth, task="semantic")

    labels = list(range(6))
    flat = truth.ravel(), prediction.ravel()
    options = {"labels": labels, "average": None, "zero_division": 1.0}
    assert list(scores.dice) == list(scores.jaccard) == labels
    np.testing.assert_allclose(
        list(scores.dice.values()), sklearn.metrics.f1_score(*flat, **options)
    )
    np.testing.assert_allclose(
        list(scores.jaccard.values()), sklearn.metrics.jaccard_score(*flat, **options)
    )
    assert scores.macro_dice == pytest.approx(np.mean([scores.dice[k] for k in labels[1:]]))
    assert scores.accuracy == pytest.approx(sklearn.metrics.accuracy_score(*flat))


def test_semantic_pools_pixels_and_averages_images() -> None:
    predictions = [np.array([1, 1, 0, 0]), np.array([1, 0])]
    truths = [np.array([1, 1, 1, 0]), np.array([0, 0])]
    scores = evaluate(predictions, truths, task="semantic")
    assert scores.images == 2
    assert scores.dice[1] == 2 * 2 / (3 + 3)
    assert scores.dice_mean[1] == (4 / 5 + 0) / 2
    assert scores.jaccard[1] == 2 / 4
    assert scores.accuracy == 4 / 6
    assert scores.accuracy_mean == (3 / 4 + 1 / 2) / 2


def test_a_class_absent_from_an_image_scores_one_there() -> None:
    scores = evaluate(
        [np.array([2, 0]), np.array([0, 0])], [np.array([0, 2]), np.array([0, 0])], task="semantic"
    )
    assert scores.dice[2] == 0
    assert scores.dice_mean[2] == 0.5


def test_semantic_ignores_a_label_or_a_mask_alike() -> None:
    truth = np.array([[1, 255, 2], [0, 255, 2]], np.uint8)
    prediction = np.array([[1, 7, 2], [0, 1, 1]], np.uint8)
    by_label = evaluate(prediction, truth, task="semantic", ignore=255)
    by_mask = evaluate(prediction, truth, task="semantic", ignore=truth == 255)
    assert by_label == by_mask
    assert list(by_label.dice) == [0, 1, 2]  # neither 255 nor the 7 predicted there
    assert by_label.dice[1] == 2 * 1 / (2 + 1)
    assert by_label.accuracy == 3 / 4
    # a negative label is fine where it is the ignored one
    signed = truth.astype(np.int16)
    signed[truth == 255] = -1
    assert evaluate(prediction, signed, task="semantic", ignore=-1) == by_label


def test_semantic_takes_boolean_masks_and_mixed_integer_types() -> None:
    truth = np.array([True, True, False])
    expected = evaluate(truth.astype(int), np.array([1, 0, 0]), task="semantic")
    assert evaluate(truth, np.array([1, 0, 0], np.uint64), task="semantic") == expected
    assert expected.dice[1] == 2 / 3


@unhurried
@given(label_pairs(), st.permutations(range(5)))
def test_renaming_classes_moves_their_scores_along(
    pair: tuple[np.ndarray, np.ndarray], names: list[int]
) -> None:
    table = np.array(names) + 10_000_000_000  # also beyond any lookup table
    before = evaluate(*pair, task="semantic")
    after = evaluate(table[pair[0]], table[pair[1]], task="semantic")
    assert after.dice == {int(table[k]): before.dice[k] for k in before.dice}
    assert after.jaccard == {int(table[k]): before.jaccard[k] for k in before.jaccard}
    assert after.accuracy == before.accuracy


# ------------------------------------------------------------------------------- matching


def test_matching_a_hand_computed_case() -> None:
    truth = squares((0, 0, 4, 4), (8, 0, 4, 4), (16, 0, 4, 4))
    prediction = squares((0, 0, 4, 4), (8, 1, 4, 4), (24, 0, 4, 4)) * 10
    match = match_instances(prediction, truth)
    assert match.truth.tolist() == [1, 2]
    assert match.prediction.tolist() == [10, 20]
    assert match.iou.tolist() == [1.0, 12 / 20]
    assert match.unmatched_prediction.tolist() == [30]
    assert match.unmatched_truth.tolist() == [3]
    assert (match.tp, match.fp, match.fn) == (2, 1, 1)
    strict = match_instances(prediction, truth, 0.65)
    assert (strict.tp, strict.fp, strict.fn) == (1, 2, 2)


@pytest.mark.parametrize("threshold", IOU_THRESHOLDS)
def test_the_threshold_is_inclusive(threshold: float) -> None:
    hundred = np.ones(100, np.int32)
    part = (np.arange(100) < round(100 * threshold)).astype(np.int32)
    assert match_instances(part, hundred, threshold).tp == 1
    part[0] = 0
    assert match_instances(part, hundred, threshold).tp == 0


def test_an_object_split_into_two_halves_is_one_pair_at_a_half() -> None:
    truth, prediction = np.array([1, 1, 1, 1]), np.array([1, 1, 2, 2])
    match = match_instances(prediction, truth, 0.5)
    assert (match.tp, match.fp, match.fn) == (1, 1, 0)
    assert match.iou.tolist() == [0.5]


def test_the_most_pairs_win_over_the_best_pair() -> None:
    truth = np.repeat([1, 1, 2, 2, 0], [6, 2, 1, 9, 8])
    prediction = np.repeat([1, 2, 1, 0, 2], [6, 2, 1, 9, 8])
    # IoU of truth 1 with prediction 1: 6/9, more than the two other pairs have together
    match = match_instances(prediction, truth, 0.05)
    assert match.truth.tolist() == [1, 2]
    assert match.prediction.tolist() == [2, 1]
    assert match.iou.tolist() == [2 / 16, 1 / 16]
    assert match_instances(prediction, truth, 0.1).iou.tolist() == [6 / 9]


def brute_force(prediction: np.ndarray, truth: np.ndarray, threshold: float) -> tuple[int, float]:
    """Pairs and summed IoU of the best one-to-one assignment, trying every one."""
    true = [truth == k for k in np.unique(truth[truth > 0])]
    predicted = [prediction == k for k in np.unique(prediction[prediction > 0])]
    if len(true) > len(predicted):
        true, predicted = predicted, true
    best = (0, 0.0)
    for order in itertools.permutations(range(len(predicted)), len(true)):
        ious = [
            np.count_nonzero(t & predicted[k]) / np.count_nonzero(t | predicted[k])
            for t, k in zip(true, order, strict=True)
        ]
        taken = [iou for iou in ious if iou >= threshold]
        best = max(best, (len(taken), math.fsum(taken)))
    return best


@unhurried
@given(label_pairs(), st.sampled_from([0.01, 0.2, 1 / 3, 0.5, 0.75, 1.0]))
def test_matching_is_the_best_assignment(
    pair: tuple[np.ndarray, np.ndarray], threshold: float
) -> None:
    match = match_instances(*pair, threshold)
    tp, total = brute_force(*pair, threshold)
    assert match.tp == tp
    assert match.iou.sum() == pytest.approx(total)
    assert np.all(match.iou >= threshold)
    # every object is in exactly one place
    for array, matched, unmatched in (
        (pair[0], match.prediction, match.unmatched_prediction),
        (pair[1], match.truth, match.unmatched_truth),
    ):
        placed = np.concatenate([matched, unmatched])
        assert sorted(placed.tolist()) == np.unique(array[array > 0]).tolist()


def test_iou_agrees_with_the_contingency_table_of_scikit_image() -> None:
    rng = np.random.default_rng(2)
    truth = np.kron(rng.integers(0, 30, (12, 12)), np.ones((5, 5), int))
    prediction = np.roll(truth, (1, 1), (0, 1))
    match = match_instances(prediction, truth, 0.05)
    table = skimage.metrics.contingency_table(truth, prediction).toarray()
    union = table.sum(1, keepdims=True) + table.sum(0, keepdims=True) - table
    assert match.tp > 10
    np.testing.assert_allclose(match.iou, (table / union)[match.truth, match.prediction])


def test_labels_of_any_size_match_as_small_ones_do() -> None:
    truth = squares((0, 0, 4, 4), (8, 0, 4, 4), (16, 0, 4, 4))
    prediction = np.roll(truth, 1, axis=1)
    huge = np.array([0, 2**63 + 5, 2**40, 7], np.uint64)
    match = match_instances(huge[prediction], truth.astype(np.uint8))
    assert match.prediction.tolist() == [2**63 + 5, 2**40, 7]
    assert match.truth.tolist() == [1, 2, 3]
    assert evaluate(huge[prediction], truth) == evaluate(prediction, truth)


def test_labels_without_background_match() -> None:
    truth = np.array([4, 4, 9])
    assert evaluate(truth, truth).tp[0.95] == 2


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan")])
def test_a_threshold_outside_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(SettingsError, match="above 0 and at most 1"):
        match_instances(np.ones(3, int), np.ones(3, int), threshold)


# ------------------------------------------------------------------------------- instance


def test_instance_scores_of_a_hand_computed_case() -> None:
    truth = squares((0, 0, 4, 4), (8, 0, 4, 4), (16, 0, 4, 4))
    prediction = squares((0, 0, 4, 4), (8, 1, 4, 4), (24, 0, 4, 4), (24, 8, 4, 4))
    scores = evaluate(prediction, truth)  # IoU 1 and 0.6, two spurious, one missed
    assert isinstance(scores, InstanceScores)
    assert (scores.task, scores.images) == ("instance", 1)
    assert (scores.tp[0.6], scores.fp[0.6], scores.fn[0.6]) == (2, 2, 1)
    assert (scores.tp[0.65], scores.fp[0.65], scores.fn[0.65]) == (1, 3, 2)
    assert scores.ap[0.5] == 2 / 5
    assert scores.ap[0.95] == 1 / 6
    assert scores.precision[0.5] == 2 / 4
    assert scores.recall[0.5] == 2 / 3
    assert scores.f1[0.5] == 4 / 7
    assert scores.segmentation_quality == pytest.approx(1.6 / 2)
    assert scores.recognition_quality == pytest.approx(2 / 3.5)
    assert scores.panoptic_quality == pytest.approx(1.6 / 3.5)
    assert scores.dice == 2 * (16 + 12) / (64 + 48)
    assert scores.jaccard == 28 / 84
    assert scores.area_ratio == scores.area_ratio_mean == 1


def test_areas_of_matched_objects() -> None:
    truth = squares((0, 0, 4, 4), (8, 0, 4, 4), (16, 0, 4, 4))
    large = squares((0, 0, 4, 5), (8, 0, 4, 6), (16, 0, 4, 4), (24, 8, 2, 2))
    scores = evaluate([large, truth, squares()], [truth, truth, squares()])
    assert scores.area_ratio == 1  # the median of 1.25, 1.5 and four times 1
    assert scores.area_ratio_mean == (1.25 + 1) / 2
    assert evaluate(squares((0, 0, 1, 1)), truth).area_ratio is None


def test_panoptic_quality_counts_pairs_from_a_half_on() -> None:
    truth = np.ones(100, np.int32)
    scores = evaluate((np.arange(100) < 52).astype(np.int32), truth)
    assert scores.panoptic_quality == scores.panoptic_quality_mean == 0.52
    assert scores.segmentation_quality == scores.segmentation_quality_mean == 0.52
    assert scores.recognition_quality == scores.recognition_quality_mean == 1


def test_nothing_found_and_nothing_there_to_find_score_zero() -> None:
    something, nothing = squares((0, 0, 4, 4)), squares()
    for scores in (evaluate(nothing, something), evaluate(something, nothing)):
        assert scores.ap[0.5] == scores.precision[0.5] == scores.recall[0.5] == scores.f1[0.5] == 0
        assert scores.panoptic_quality == scores.segmentation_quality == scores.dice == 0


def test_pooled_scores_weigh_objects_and_mean_scores_weigh_images() -> None:
    full = squares((0, 0, 4, 4), (8, 0, 4, 4), (16, 0, 4, 4))
    one = squares((0, 0, 4, 4))
    scores = evaluate([full, squares()], [full, one])
    assert scores.images == 2
    assert scores.ap[0.5] == 3 / 4
    assert scores.ap_mean[0.5] == 1 / 2
    assert scores.panoptic_quality == pytest.approx(3 / 3.5)
    assert scores.panoptic_quality_mean == 1 / 2
    assert scores.dice == 2 * 48 / (48 + 64)
    assert scores.dice_mean == 1 / 2


@unhurried
@given(st.lists(label_pairs(), min_size=1, max_size=4))
def test_pooled_counts_are_the_sums_of_the_images(
    pairs: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    together = evaluate([p for p, _ in pairs], [t for _, t in pairs])
    alone = [evaluate(p, t) for p, t in pairs]
    for threshold in IOU_THRESHOLDS:
        tp, fp, fn = (
            sum(getattr(scores, count)[threshold] for scores in alone)
            for count in ("tp", "fp", "fn")
        )
        assert (together.tp[threshold], together.fp[threshold], together.fn[threshold]) == (
            tp,
            fp,
            fn,
        )
        assert together.ap[threshold] == (tp / (tp + fp + fn) if tp + fp + fn else 1)
        assert together.ap_mean[threshold] == pytest.approx(
            np.mean([scores.ap[threshold] for scores in alone])
        )


@unhurried
@given(label_pairs())
def test_instance_scores_are_bounded_ordered_and_symmetric(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    prediction, truth = pair
    scores, swapped = evaluate(prediction, truth), evaluate(truth, prediction)
    for name, value in vars(scores).items():
        if name.startswith("area_ratio"):
            assert value is None or 0.5 <= value <= 2, name  # at IoU 0.5 and above
        elif name not in (
            *("task", "images", "_tally", "tp", "fp", "fn", "true_objects", "predicted_objects"),
        ):
            figures = value.values() if isinstance(value, dict) else [value]
            assert all(0 <= figure <= 1 for figure in figures), name
    aps = [scores.ap[t] for t in IOU_THRESHOLDS]
    assert aps == sorted(aps, reverse=True)
    assert all(scores.ap[t] <= scores.f1[t] for t in IOU_THRESHOLDS)
    assert scores.panoptic_quality == pytest.approx(
        scores.segmentation_quality * scores.recognition_quality
    )
    assert (swapped.ap, swapped.f1, swapped.tp) == (scores.ap, scores.f1, scores.tp)
    assert (swapped.precision, swapped.recall) == (scores.recall, scores.precision)
    assert swapped.panoptic_quality == pytest.approx(scores.panoptic_quality)
    assert (swapped.dice, swapped.jaccard) == (scores.dice, scores.jaccard)


@unhurried
@given(label_pairs())
def test_identical_labels_score_one(pair: tuple[np.ndarray, np.ndarray]) -> None:
    labels = pair[0]
    scores = evaluate(labels, labels)
    assert scores.ap == dict.fromkeys(IOU_THRESHOLDS, 1.0)
    assert scores.panoptic_quality == scores.dice == scores.jaccard == 1


@unhurried
@given(label_pairs(), st.permutations(range(1, 5)), st.sampled_from([1, 1_000, 10**15]))
def test_object_numbers_do_not_matter(
    pair: tuple[np.ndarray, np.ndarray], order: list[int], factor: int
) -> None:
    prediction, truth = pair
    table = np.array([0, *order]) * factor
    before, after = evaluate(prediction, truth), evaluate(table[prediction], truth)
    for field in dataclasses.fields(before):
        assert getattr(after, field.name) == pytest.approx(getattr(before, field.name)), field.name


# --------------------------------------------------------------------------------- ignore


def test_an_object_mostly_in_the_ignored_region_counts_nowhere() -> None:
    ignore = np.zeros((32, 32), bool)
    ignore[:, 16:] = True
    inside = squares((0, 0, 4, 4))
    # 3 of 5 columns ignored: left out, whether predicted, true or both
    mostly = squares((0, 0, 4, 4), (8, 14, 4, 5))
    for prediction, truth in ((mostly, inside), (inside, mostly), (mostly, mostly)):
        scores = evaluate(prediction, truth, ignore=ignore)
        assert (scores.tp[0.5], scores.fp[0.5], scores.fn[0.5]) == (1, 0, 0)
    # wholly ignored as well
    wholly = squares((0, 0, 4, 4), (8, 20, 4, 4))
    assert evaluate(wholly, inside, ignore=ignore).ap[0.5] == 1


def test_an_object_half_in_the_ignored_region_is_cropped_and_counts() -> None:
    ignore = np.zeros((32, 32), bool)
    ignore[:, 16:] = True
    half = squares((8, 14, 4, 4))  # 2 of 4 columns ignored
    assert evaluate(half, squares(), ignore=ignore).fp[0.5] == 1
    # cropped, the two are equal, whatever they do beyond the edge
    other = squares((8, 14, 4, 3))
    assert evaluate(half, other, ignore=ignore).ap[0.95] == 1
    assert evaluate(half, other).ap[0.95] == 0
    assert match_instances(half, other, 0.95, ignore=ignore).tp == 1


def test_foreground_overlap_leaves_out_the_ignored_pixels() -> None:
    truth = np.array([1, 1, 0, 2, 2, 2])
    prediction = np.array([1, 0, 0, 0, 0, 2])
    ignore = np.array([False, False, False, True, True, False])
    scores = evaluate(prediction, truth, ignore=ignore)
    assert scores.dice == 2 * 2 / (2 + 3)
    assert scores.jaccard == 2 / 3


def test_each_image_has_its_own_mask_or_none() -> None:
    truth = np.array([1, 0, 2])
    prediction = np.array([1, 0, 0])
    mask = np.array([False, False, True])
    scores = evaluate([prediction, prediction], [truth, truth], ignore=[mask, None])
    assert scores.ap_mean[0.5] == (1 + 1 / 2) / 2
    scores = evaluate([prediction, prediction], [truth, truth], task="semantic", ignore=2)
    assert scores.accuracy == 1


@unhurried
@given(label_pairs(), st.data())
def test_an_ignore_mask_of_nothing_changes_nothing(
    pair: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    prediction, truth = pair
    nothing = np.zeros(truth.shape, bool)
    assert evaluate(prediction, truth, ignore=nothing) == evaluate(prediction, truth)
    # and what stands under a mask is of no account to classes
    mask = data.draw(hnp.arrays(bool, truth.shape))
    scrambled = np.where(mask, 3 - prediction % 3, prediction)
    assert evaluate(prediction, truth, task="semantic", ignore=mask) == evaluate(
        scrambled, truth, task="semantic", ignore=mask
    )


# ----------------------------------------------------------------------------- regression


@pytest.fixture
def noisy() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    truth = rng.normal(100, 20, (24, 31)).astype(np.float32)
    return truth + rng.normal(0, 5, truth.shape).astype(np.float32), truth


def test_regression_agrees_with_scikit_learn_and_scikit_image(
    noisy: tuple[np.ndarray, np.ndarray],
) -> None:
    prediction, truth = (image.astype(np.float64) for image in noisy)
    scores = evaluate(*noisy, task="regression")
    assert isinstance(scores, RegressionScores)
    flat = truth.ravel(), prediction.ravel()
    span = np.ptp(truth)
    assert scores.mse == pytest.approx(sklearn.metrics.mean_squared_error(*flat))
    assert scores.mae == pytest.approx(sklearn.metrics.mean_absolute_error(*flat))
    assert scores.rmse == pytest.approx(sklearn.metrics.root_mean_squared_error(*flat))
    assert scores.psnr == pytest.approx(
        skimage.metrics.peak_signal_noise_ratio(truth, prediction, data_range=span)
    )
    assert scores.ssim == pytest.approx(
        skimage.metrics.structural_similarity(truth, prediction, data_range=span)
    )
    assert 0 < scores.ssim < 1


def test_ssim_of_a_volume_agrees_and_singleton_axes_do_not_matter() -> None:
    rng = np.random.default_rng(4)
    truth = rng.random((8, 9, 10))
    prediction = truth + 0.2 * rng.random(truth.shape)
    expected = skimage.metrics.structural_similarity(truth, prediction, data_range=np.ptp(truth))
    assert evaluate(prediction, truth, task="regression").ssim == pytest.approx(expected)
    wide = evaluate(prediction[:, None], truth[:, None], task="regression")
    assert wide.ssim == pytest.approx(expected)


def test_ssim_needs_the_window_to_fit() -> None:
    seven = np.arange(49.0).reshape(7, 7)
    assert evaluate(seven, seven, task="regression").ssim == pytest.approx(1)
    six = seven[:, :6]
    assert evaluate(six, six, task="regression").ssim is None
    assert evaluate(np.ones((1, 1)), np.ones((1, 1)), task="regression").ssim is None


def test_regression_hand_computed_pooled_and_mean() -> None:
    predictions = [np.array([1.0, 2.0, 3.0]), np.array([2.0])]
    truths = [np.array([0.0, 2.0, 5.0]), np.array([-1.0])]
    scores = evaluate(predictions, truths, task="regression")
    assert scores.mse == (1 + 0 + 4 + 9) / 4
    assert scores.mse_mean == pytest.approx((5 / 3 + 9) / 2)
    assert scores.mae == (1 + 0 + 2 + 3) / 4
    assert scores.mae_mean == (1 + 3) / 2
    assert scores.rmse == math.sqrt(3.5)
    assert scores.rmse_mean == pytest.approx((math.sqrt(5 / 3) + 3) / 2)
    assert scores.psnr == pytest.approx(10 * math.log10(36 / 3.5))  # truths from -1 to 5
    assert evaluate(predictions[::-1], truths[::-1], task="regression").psnr == scores.psnr
    # the second truth is one value, without a range: only the first has a PSNR
    assert scores.psnr_mean == pytest.approx(10 * math.log10(25 / (5 / 3)))


def test_unsigned_integers_do_not_wrap() -> None:
    scores = evaluate(np.array([0], np.uint8), np.array([255], np.uint8), task="regression")
    assert scores.mae == 255
    assert scores.mse == 255**2


def test_equal_and_constant_images() -> None:
    constant = np.full((8, 8), 3.0)
    equal = evaluate(constant, constant, task="regression")
    assert (equal.mse, equal.psnr, equal.ssim) == (0, math.inf, 1)
    off = evaluate(constant + 1, constant, task="regression")
    assert (off.mse, off.psnr, off.ssim) == (1, None, None)


def test_ignored_pixels_may_hold_anything(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = noisy
    ignore = np.zeros(truth.shape, bool)
    ignore[:, 20:] = True
    spoiled, broken = prediction.copy(), truth.copy()
    spoiled[:, 20:], broken[:, 25:] = np.nan, np.inf
    scores = evaluate(spoiled, broken, task="regression", ignore=ignore)
    expected = evaluate(prediction[:, :20], truth[:, :20], task="regression")
    for field in dataclasses.fields(scores):
        assert getattr(scores, field.name) == pytest.approx(getattr(expected, field.name))


def test_ssim_is_none_where_every_window_holds_an_ignored_pixel() -> None:
    image = np.arange(81.0).reshape(9, 9)
    ignore = np.zeros((9, 9), bool)
    ignore[4, 4] = True
    scores = evaluate(image, image, task="regression", ignore=ignore)
    assert scores.ssim is None
    assert scores.mse == 0


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.uint8, (2, 9, 8)))
def test_regression_bounds(images: np.ndarray) -> None:
    scores = evaluate(*images, task="regression")
    assert 0 <= scores.mae <= scores.rmse * (1 + 1e-9) + 1e-12
    assert scores.ssim is None or -1 - 1e-6 <= scores.ssim <= 1 + 1e-6
    swapped = evaluate(*images[::-1], task="regression")
    assert (swapped.mse, swapped.mae) == (scores.mse, scores.mae)


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.float64, (2, 7, 7), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_any_finite_values_have_scores_that_are_numbers(images: np.ndarray) -> None:
    scores = evaluate(*images, task="regression")
    figures = [getattr(scores, f.name) for f in dataclasses.fields(scores) if f.name != "task"]
    assert not any(figure is not None and math.isnan(figure) for figure in figures)


# --------------------------------------------------------------------------------- errors

LABELS = np.array([[0, 1], [2, 2]])
TASKS = ("instance", "semantic", "regression")


@pytest.mark.parametrize("task", TASKS)
def test_unequal_shapes_are_named(task: str) -> None:
    with pytest.raises(InputError, match=r"\(2, 2\).*\(3, 2\)"):
        evaluate(LABELS, np.zeros((3, 2), int), task=task)
    with pytest.raises(InputError, match="image 2"):
        evaluate([LABELS, LABELS], [LABELS, LABELS[:1]], task=task)


@pytest.mark.parametrize("task", TASKS)
def test_lists_must_fit(task: str) -> None:
    with pytest.raises(InputError, match="2 predictions and 1 truths"):
        evaluate([LABELS, LABELS], [LABELS], task=task)
    with pytest.raises(InputError, match="prediction is a list and the truth a single array"):
        evaluate([LABELS], LABELS, task=task)
    with pytest.raises(InputError, match="truth is a list and the prediction a single array"):
        evaluate(LABELS, (LABELS,), task=task)
    with pytest.raises(InputError, match="no image"):
        evaluate([], [], task=task)
    with pytest.raises(InputError, match="no pixel"):
        evaluate(LABELS[:0], LABELS[:0], task=task)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("thing", [None, "nuclei", 3, object()])
def test_what_is_no_array_is_refused(task: str, thing: object) -> None:
    with pytest.raises(InputError):
        evaluate(thing, thing, task=task)
    with pytest.raises(InputError):
        evaluate([thing], [LABELS], task=task)


def test_a_ragged_image_is_refused() -> None:
    with pytest.raises(InputError, match="prediction of image 1 is no regular array"):
        evaluate([[[1, 2], [3]]], [LABELS])


@pytest.mark.parametrize("task", ["instance", "semantic"])
@pytest.mark.parametrize("side", [0, 1])
def test_labels_must_be_whole_and_not_negative(task: str, side: int) -> None:
    what = ("prediction", "truth")[side]
    for bad, message in ((LABELS / 2, "float64"), (LABELS - 1, "-1"), (LABELS * 1j, "complex")):
        arrays = [LABELS, LABELS]
        arrays[side] = bad
        with pytest.raises(InputError, match=f"{what}.*{message}"):
            evaluate(*arrays, task=task)


def test_a_mask_is_no_instance_labelling() -> None:
    with pytest.raises(InputError, match=r"skimage\.measure\.label"):
        evaluate(LABELS > 0, LABELS)
    with pytest.raises(InputError, match="truth of image 1"):
        evaluate([LABELS], [LABELS > 0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_regression_values_must_be_finite(bad: float, side: int) -> None:
    arrays = [np.ones((2, 3)), np.ones((2, 3))]
    arrays[side][1, 1] = bad
    with pytest.raises(InputError, match=f"{bad} in 1 of 6 pixels"):
        evaluate(*arrays, task="regression")


def test_regression_needs_real_numbers_and_a_pixel() -> None:
    with pytest.raises(InputError, match="complex"):
        evaluate(np.ones(3) * 1j, np.ones(3), task="regression")
    with pytest.raises(InputError, match="Every pixel of image 2 is ignored"):
        evaluate(
            [np.ones(3)] * 2, [np.ones(3)] * 2, task="regression", ignore=[None, np.ones(3, bool)]
        )


@pytest.mark.parametrize(
    ("task", "ignore"),
    [
        ("instance", True),
        ("regression", 1),
        ("semantic", True),
        ("semantic", LABELS),
        ("instance", np.ones((2, 3), bool)),
        ("instance", "painted"),
    ],
)
def test_an_unfit_ignore_is_refused(task: str, ignore: object) -> None:
    with pytest.raises(InputError, match="ignore"):
        evaluate(LABELS, LABELS, task=task, ignore=ignore)


def test_several_images_need_a_mask_each() -> None:
    mask = LABELS > 0
    for ignore in (mask, [mask], [mask] * 3):
        with pytest.raises(InputError, match="one mask per image"):
            evaluate([LABELS] * 2, [LABELS] * 2, ignore=ignore)


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(SettingsError, match="'panoptic' is unknown"):
        evaluate(LABELS, LABELS, task="panoptic")


# --------------------------------------------------------------------------------- Scores


def all_scores() -> list[Scores]:
    values = LABELS.astype(float)
    return [
        evaluate(LABELS, LABELS),
        evaluate([LABELS, LABELS], [LABELS, LABELS], task="semantic"),
        evaluate(values, values, task="regression"),
    ]


def test_as_dict_is_valid_json_with_every_figure() -> None:
    for scores in all_scores():
        text = json.dumps(scores.as_dict(), allow_nan=False)
        back = json.loads(text)
        assert back == scores.as_dict()
        assert set(back) == {field.name for field in dataclasses.fields(scores)}
    instance, semantic, regression = (scores.as_dict() for scores in all_scores())
    assert list(instance["ap"]) == ["0.5", "0.55", "0.6", "0.65", "0.7", "0.75", "0.8", "0.85",
                                    "0.9", "0.95"]  # fmt: skip
    assert semantic["dice"] == {"0": 1.0, "1": 1.0, "2": 1.0}
    assert regression["psnr"] is None  # infinite
    assert regression["ssim"] is None  # too small


def test_text_is_short_and_names_the_figures() -> None:
    instance, semantic, regression = (str(scores) for scores in all_scores())
    assert all(text.count("\n") < 8 for text in (instance, semantic, regression))
    assert "AP 1" in instance
    assert "panoptic quality 1" in instance
    assert "class 2: Dice 1 (1)" in semantic
    assert "2 images" in semantic
    assert "SSIM n/a" in regression


def test_scores_cannot_be_changed() -> None:
    scores = evaluate(LABELS, LABELS, task="semantic")
    assert isinstance(scores, SemanticScores)
    with pytest.raises(dataclasses.FrozenInstanceError):
        scores.images = 3
