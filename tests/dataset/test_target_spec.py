"""Learning goals: classes and output ranges, from labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_unet.card import ClassInfo
from napari_unet.dataset.example import Example
from napari_unet.dataset.labelled_image import open_example
from napari_unet.dataset.targets import TargetSpec, find_classes, find_output_limits
from napari_unet.errors import InputError, TrainingError


def limits_of(*targets: Any, **kwargs: Any) -> tuple[tuple[float, float], ...]:
    return find_output_limits(
        [
            open_example(
                Example(np.zeros(t.shape), t, **kwargs), ndim=2, in_channels=None, task="regression"
            )
            for t in targets
        ]
    )


def test_classes_are_those_of_all_labels() -> None:
    classes = find_classes([5, 0, 2, 5], ())
    assert [c.value for c in classes] == [0, 2, 5]
    assert [c.name for c in classes] == ["background", "class 2", "class 5"]
    assert len({c.colour for c in classes}) == 3


def test_named_classes_are_kept_in_their_order() -> None:
    named = (ClassInfo(value=7, name="seven"), ClassInfo(value=0, name="rest"))
    assert find_classes({0, 7}, named) == named
    assert find_classes({7}, named) == named
    with pytest.raises(TrainingError, match="value 3, which none of the classes names"):
        find_classes({0, 3, 7}, named)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0], "only the value 0"),
        ([], "only the value none"),
        ([-1, 0], "from -1 to 0"),
        ([0, 70_000], "from 0 to 70000"),
        (range(300), "300 values from 0 to 299"),
    ],
)
def test_labels_that_are_no_classes(values: Any, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        find_classes(values, ())


def test_channels_of_the_tasks() -> None:
    named = tuple(ClassInfo(value=v, name=f"c{v}") for v in range(3))
    assert TargetSpec("instance").channels == 2
    assert TargetSpec("semantic", named).channels == 3
    assert TargetSpec("regression", output_limits=((0, 1), (0, 2))).channels == 2


# ----------------------------------------------------------------------------- output range


def test_output_limits_are_percentiles_of_all_targets() -> None:
    rng = np.random.default_rng(0)
    targets = [rng.random((40, 50)), rng.random((30, 20)) + 5]
    expected = np.percentile(np.concatenate([t.ravel() for t in targets]), (1.0, 99.8))
    np.testing.assert_allclose(limits_of(*targets), [expected])


def test_output_limits_are_those_of_known_pixels() -> None:
    target = np.random.default_rng(0).random((40, 50))
    mask = np.zeros((40, 1), bool)
    mask[:30] = True
    expected = np.percentile(target[:30], (1.0, 99.8))
    target[30:] = np.nan
    np.testing.assert_allclose(limits_of(target, region=mask), [expected])


def test_there_is_a_range_for_each_channel_of_the_targets() -> None:
    target = np.random.default_rng(0).random((20, 30, 3))
    assert limits_of(target, axes="YXC") == (tuple(np.percentile(target, (1.0, 99.8))),) * 3
    with pytest.raises(TrainingError, match=r"different numbers of channels \[2, 3\]"):
        limits_of(target, target[..., :2], axes="YXC")


def test_a_sample_of_many_pixels_has_about_their_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unet.dataset.targets.SAMPLE_PIXELS", 2000)
    target = np.random.default_rng(0).random((300, 400))
    np.testing.assert_allclose(limits_of(target), [(0.01, 0.998)], atol=0.01)


def test_output_limits_of_a_few_bright_pixels_span_the_whole_range() -> None:
    target = np.full((100, 100), 2.0)
    target[5, 5] = 9
    assert limits_of(target) == ((2.0, 9.0),)


def test_constant_targets_teach_nothing() -> None:
    with pytest.raises(TrainingError, match=r"constant \(3\)"):
        limits_of(np.full((4, 4), 3), np.full((5, 5), 3))


def test_targets_of_which_nothing_is_known() -> None:
    with pytest.raises(TrainingError, match="No pixel of the target images is known"):
        limits_of(np.ones((4, 4)), region=np.zeros((4, 4), bool))


def test_targets_with_missing_pixels_are_refused() -> None:
    with pytest.raises(InputError, match="infinite"):
        limits_of(np.array([[1.0, np.inf]]))
