"""New labels in mid-run: what is held out is never learned from, whatever comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.card import ClassInfo, Normalization
from napari_unet.dataset import frames
from napari_unet.dataset import update as additions
from napari_unet.dataset.assembly import TrainingData, prepare_data
from napari_unet.dataset.example import Example
from napari_unet.dataset.update import update_data
from napari_unet.errors import TrainingError, UNetError
from napari_unet.settings import TrainConfig

PLAIN = Normalization(mode="none")
SPREAD = 1_000_000  # numbers of the pixels of an image, so that none stands in two


def config(**values: Any) -> TrainConfig:
    return TrainConfig(**({"steps": 1, "ndim": 2, "normalization": PLAIN} | values))


def prepare(
    examples: Sequence[Example], validation: Sequence[Example] | None = None, **values: Any
) -> TrainingData:
    return prepare_data(examples, validation, None, config(**values))


def numbered(shape: tuple[int, ...], image: int = 0) -> NDArray[np.int32]:
    """An image in which each pixel has a value of its own."""
    return (np.arange(np.prod(shape)).reshape(shape) + SPREAD * image).astype(np.int32)


def dots(shape: tuple[int, ...], seed: int = 0, step: int = 8) -> NDArray[np.int32]:
    """Small objects, spread over all planes."""
    labels = np.zeros(shape, np.int32)
    rng = np.random.default_rng(seed)
    for place in np.ndindex(*shape[:-2]):
        for y in range(1, shape[-2] - 4, step):
            for x in range(1, shape[-1] - 4, step):
                labels[(*place, slice(y, y + 3), slice(x, x + 3))] = rng.integers(1, 9)
    return labels


def grid(shape: tuple[int, int]) -> NDArray[np.int32]:
    """Dots, each with a number of its own."""
    spots = dots(shape) > 0
    numbers, _ = ndimage.label(spots)
    return np.asarray(numbers, np.int32)


def learned(data: TrainingData) -> set[int]:
    """Numbers of the pixels that are learned from."""
    found: set[int] = set()
    for frame in data.frames:
        image, _, known = frame.read(tuple(slice(0, n) for n in frame.shape))
        found |= set(image[0][known[0] > 0].astype(int).tolist())
    return found


def held(data: TrainingData) -> set[int]:
    """Numbers of the pixels that are validated on."""
    pieces = data.validation
    return {int(n) for p in pieces for n in p.image[0][p.known].ravel()}


# ------------------------------------------------------------------------- what is held out


@settings(max_examples=25)
@given(
    axes=st.sampled_from(["YX", "ZYX", "TYX", "TZYX", "XYZ"]),
    images=st.integers(1, 4),
    ndim=st.sampled_from([2, 3]),
    regions=st.tuples(*[st.sampled_from(["all", "planes", "painted"])] * 2),
    fraction=st.sampled_from([0.0, 0.1, 0.3]),
    further=st.lists(st.sampled_from(["same", "copy", "view", "other axes", "new"]), max_size=2),
    seed=st.integers(0, 1000),
)
def test_no_held_out_pixel_is_learned_from_afterwards(
    axes: str,
    images: int,
    ndim: int,
    regions: tuple[str, str],
    fraction: float,
    further: list[str],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    ndim = ndim if "Z" in axes else 2
    arrays, first, now = [], [], []
    for number in range(images):
        sizes = {"T": rng.integers(1, 6), "Z": rng.integers(4, 12)}
        shape = tuple(int(sizes.get(a, rng.integers(20, 70))) for a in axes)
        arrays.append(numbered(shape, number))
        for region, target in zip(regions, (first, now), strict=True):
            labels = (rng.random(shape) < 0.01) * rng.integers(1, 4, shape)
            background = 3 if region == "painted" else None
            target.append(Example(arrays[-1], labels, region, background, axes=axes))
    values = {"ndim": ndim, "validation_fraction": fraction, "seed": seed}
    try:
        began = prepare(first, **values)
    except TrainingError:
        assume(False)
    for kind in further:
        image = arrays[int(rng.integers(images))]
        image = {
            "same": image,
            "copy": image.copy(),
            "view": image[..., 2:],
            "other axes": image,
            "new": numbered(image.shape, 9),
        }[kind]
        other = axes.replace("T", "Z") if kind == "other axes" and "Z" not in axes else axes
        now.append(Example(image, np.ones(image.shape, int), axes=other))
    try:
        renewed = update_data(began, now, config(**values))
    except UNetError:
        # refused: parts of what is held out, or nothing is left on one of the sides
        assert regions[1] != "all" or {"view", "other axes"} & set(further)
        return
    assert learned(renewed).isdisjoint(held(began) | held(renewed))
    assert bool(renewed.validation) == bool(began.validation)
    if regions[1] == "all":  # and none is lost
        everything = {n for array in arrays for n in array.ravel().tolist()}
        assert learned(renewed) | held(renewed) >= everything
    again = update_data(renewed, now, config(**values))
    assert (again.sha256, again.validation_sha256) == (renewed.sha256, renewed.validation_sha256)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_labels_that_are_the_same_change_nothing(count: int) -> None:
    shape = (64, 64)
    examples = [Example(numbered(shape, i), dots(shape, i)) for i in range(count)]
    began = prepare(examples)
    renewed = update_data(began, examples, config())
    assert (renewed.sha256, renewed.validation_sha256) == (began.sha256, began.validation_sha256)
    assert held(renewed) == held(began)
    assert [f.statistics.digest for f in renewed.frames] == [
        f.statistics.digest for f in began.frames
    ]
    assert renewed.plan is began.plan


def test_labels_are_renewed_on_both_sides() -> None:
    image, labels = numbered((48, 96)), dots((48, 96))
    began = prepare([Example(image, labels)])
    (first,) = began.validation
    renewed = update_data(began, [Example(image, np.where(labels > 0, 77, 0))], config())
    (piece,) = renewed.validation
    assert (piece.image == first.image).all()
    assert set(np.unique(piece.labels)) == {0, 77}
    assert renewed.sha256 != began.sha256
    assert renewed.validation_sha256 != began.validation_sha256


def test_painting_more_gives_more_to_learn_from() -> None:
    image, objects = numbered((64, 128)), grid((64, 128))
    labels = objects.copy()
    labels[5::8, :] = 999
    few = np.where(np.arange(128) % 16 < 8, labels, 0)
    began = prepare([Example(image, few, "painted", 999)])
    assert began.validation
    renewed = update_data(began, [Example(image, labels, "painted", 999)], config())
    assert renewed.labelled_pixels > began.labelled_pixels
    assert renewed.held_out_pixels > began.held_out_pixels
    assert renewed.labelled_pixels + renewed.held_out_pixels == (labels > 0).sum()


def test_pieces_of_one_example_are_counted_as_one() -> None:
    image, labels = numbered((48, 192)), dots((48, 192))
    left = np.zeros(labels.shape, bool)
    left[:, :96] = True
    began = prepare([Example(image, labels, left)])
    renewed = update_data(began, [Example(image, labels)], config())
    apart = [list(frame.labelled.window) for frame in renewed.frames]
    assert len(apart) == 2  # what lies before and behind the part that is held out
    assert renewed.examples == began.examples == 1


@pytest.mark.parametrize("wrap", [np.copy, np.asarray, lambda a: da.from_array(a, chunks=32)])
def test_an_image_is_known_again(wrap: Any) -> None:
    image, labels = numbered((48, 96)), dots((48, 96))
    began = prepare([Example(image, labels)])
    further = Example(wrap(image), np.ones_like(labels))
    renewed = update_data(began, [Example(wrap(image), labels), further], config())
    assert renewed.examples == 2
    assert len(renewed.validation) == 2
    assert learned(renewed).isdisjoint(held(began))


def test_a_further_example_of_a_held_out_image_is_validated_on() -> None:
    examples = [Example(numbered((40, 40), i), dots((40, 40), i)) for i in range(4)]
    began = prepare(examples)
    (number,) = {n // SPREAD for n in held(began)}
    further = Example(examples[number].image, dots((40, 40), 9))
    renewed = update_data(began, [*examples, further], config())
    assert (renewed.examples, len(renewed.validation)) == (3, 2)
    assert {n // SPREAD for n in held(renewed)} == {number}


def test_another_image_is_learned_from_as_a_whole() -> None:
    began = prepare([Example(numbered((48, 96)), dots((48, 96)))])
    new = numbered((40, 40), 1)
    examples = [Example(numbered((48, 96)), dots((48, 96))), Example(new, dots((40, 40)))]
    renewed = update_data(began, examples, config())
    assert set(new.ravel().tolist()) <= learned(renewed)
    assert held(renewed) == held(began)


def test_where_nothing_was_held_out_nothing_is() -> None:
    example = Example(numbered((48, 96)), dots((48, 96)))
    began = prepare([example], validation_fraction=0)
    renewed = update_data(began, [example] * 4, config(validation_fraction=0))
    assert not renewed.validation
    assert len(learned(renewed)) == 48 * 96


def test_part_of_what_is_held_out_is_refused_and_part_of_the_rest_is_not() -> None:
    movie = numbered((10, 40, 40))
    example = Example(movie, dots(movie.shape), axes="TYX")
    began = prepare([example])
    assert held(began) >= set(movie[9].ravel().tolist())
    values = Example(movie[0], dots((40, 40)))
    assert update_data(began, [example, values], config()).examples == 2
    with pytest.raises(TrainingError, match=r"Example 2: its image overlaps what is held out"):
        update_data(began, [example, Example(movie[9], dots((40, 40)))], config())


# ------------------------------------------------------------------- validation examples


def test_what_validation_examples_know_is_not_learned_from() -> None:
    stack = numbered((6, 40, 40))
    mask = np.zeros((6, 1, 1), bool)
    mask[4] = True
    given = Example(stack, dots(stack.shape), mask, axes="ZYX")
    painted = np.zeros(stack.shape, int)
    painted[0] = dots((40, 40))
    began = prepare([Example(stack, painted, "planes", axes="ZYX")], [given])
    everywhere = Example(stack, dots(stack.shape), axes="ZYX")
    renewed = update_data(began, [everywhere, everywhere], config())
    assert held(renewed) == held(began) == set(stack[4].ravel().tolist())
    assert learned(renewed) == set(stack.ravel().tolist()) - held(began)
    with pytest.raises(TrainingError, match="overlaps what is held out"):
        update_data(began, [everywhere, Example(stack[4], dots((40, 40)))], config())


# --------------------------------------------------------------------------------- refused


def semantic(*values: int, image: NDArray[Any] | None = None) -> Example:
    labels = np.zeros((48, 96), int)
    for i, value in enumerate(values):
        labels[i :: len(values) + 1] = value
    return Example(numbered((48, 96)) if image is None else image, labels)


@pytest.mark.parametrize(
    ("examples", "said"),
    [
        ([semantic(1, 2)], "value 2, which is none of the classes of this training"),
        ([], r"began with 1 examples, but there are 0"),
        (semantic(1), r"must be a list"),
        ([np.zeros(3)], r"must be a list"),
        ([semantic(1, image=numbered((48, 96), 1))], "Example 1: its image is not the one"),
        ([Example(numbered((48, 90)), np.ones((48, 90), int))], "Example 1: its image is not"),
        ([Example(numbered((96, 48)).T, semantic(1).labels.T, axes="XY")], "Example 1: "),
        ([Example(numbered((48, 96)) + 0.0, semantic(1).labels)], "the dtype of its image"),
        ([Example(numbered((48, 96)), np.ones((48, 90), int))], "Example 1: labels have shape"),
        ([semantic(1), Example(np.zeros((2, 9, 9)), np.zeros((9, 9), int), axes="CYX")], "channel"),
        ([Example(numbered((48, 96)), np.zeros((48, 96), int), "painted")], "No pixel"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(examples: Any, said: str) -> None:
    began = prepare([semantic(1)], task="semantic")
    with pytest.raises(TrainingError, match=said):
        update_data(began, examples, config(task="semantic"))


def test_named_classes_take_labels_that_were_not_there_at_first() -> None:
    classes = tuple(ClassInfo(value=v, name=f"class {v}") for v in (0, 1, 2))
    began = prepare([semantic(1)], task="semantic", classes=classes)
    renewed = update_data(began, [semantic(1, 2)], config(task="semantic", classes=classes))
    assert any(2 in frame.statistics.places for frame in renewed.frames)


def test_the_last_held_out_label_cannot_be_taken_away() -> None:
    image = numbered((48, 96))
    labels = np.where(grid((48, 96)) > 0, grid((48, 96)), 999)
    began = prepare([Example(image, labels, "painted", 999)])
    assert began.validation
    labels = np.where(np.isin(image, list(held(began))), 0, labels)
    with pytest.raises(TrainingError, match="No label is left in what is held out"):
        update_data(began, [Example(image, labels, "painted", 999)], config())


def test_targets_must_keep_their_channels_and_be_finite() -> None:
    image = np.random.default_rng(0).random((48, 96))
    began = prepare([Example(image, image * 2)], task="regression")
    values = {"task": "regression"}
    with pytest.raises(TrainingError, match="2 channels now, but 1 when"):
        update_data(began, [Example(image, np.stack([image, image]), axes="YX")], config(**values))
    broken = image.copy()
    broken[3, 3] = np.nan
    with pytest.raises(UNetError, match="NaN"):
        update_data(began, [Example(image, broken)], config(**values))
    renewed = update_data(began, [Example(image, image * 5)], config(**values))
    assert renewed.target_spec == began.target_spec


# ------------------------------------------------------------------------------ what is read


def test_only_what_changed_is_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = numbered((8, 40, 40))
    labels = dots(stack.shape)
    example = Example(stack, labels, axes="ZYX")
    began = prepare([example])
    calls: list[int] = []
    encode = frames.encode_target
    monkeypatch.setattr(frames, "encode_target", lambda *a: calls.append(1) or encode(*a))
    monkeypatch.setattr(additions, "measure_sample", None)  # the image is known
    labels = labels.copy()
    labels[2, 20:23, 20:23] = 99
    renewed = update_data(began, [Example(stack, labels, axes="ZYX")], config())
    assert len(calls) == 1
    fresh = prepare([Example(stack, labels, axes="ZYX")])
    for mine, new in zip(renewed.frames, fresh.frames, strict=True):
        assert mine.cached is not None
        assert new.cached is not None
        assert all((a == b).all() for a, b in zip(mine.cached, new.cached, strict=True))
