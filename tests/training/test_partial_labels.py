"""Learning from labels that are known in part: every region, for every task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr

from napari_unet.card import Task
from napari_unet.dataset.example import Example
from napari_unet.errors import TrainingError, UNetError
from napari_unet.image import normalization
from napari_unet.network.files import list_models
from napari_unet.network.model import Model
from napari_unet.samples import load_sample
from napari_unet.training.train import train

SAMPLE = load_sample("nuclei_3d")
STACK, TRUTH = (array[8:24, :48, :48] for array in (SAMPLE.image, SAMPLE.truth))
TASKS: tuple[Task, ...] = ("instance", "semantic", "regression")
TINY: dict[str, Any] = {
    "features": (4, 8),
    "batch_size": 2,
    "steps": 3,
    "validation_fraction": 0,
    "device": "cpu",
    "precision": "float32",
}
PATCH = {2: (32, 32), 3: (8, 24, 24)}
BOX = np.zeros(TRUTH.shape, bool)
BOX[3:12, 10:40, 5:30] = True
PLANES = np.zeros((len(TRUTH), 1, 1), bool)
PLANES[[4, 9]] = True
STROKES = np.zeros(TRUTH.shape, bool)
STROKES[5, 8:11, 4:44] = STROKES[8, 6:42, 20:23] = STROKES[10, 30:33, :] = True


def labels_of(task: Task) -> np.ndarray:
    """Objects; inside, outline and background; or values that are nowhere 0."""
    if task == "instance":
        return TRUTH.astype(np.int32)
    if task == "semantic":
        return np.where(TRUTH > 0, 1 + TRUTH % 2, 0).astype(np.uint8)
    return (STACK / 2 + 1).astype(np.float32)


def learn(task: Task, ndim: int, labels: np.ndarray, **kind: Any) -> Model:
    example = Example(STACK, labels, axes="ZYX", **kind)
    return train([example], task=task, ndim=ndim, patch=PATCH[ndim], **TINY)


def same(first: Model, second: Model) -> bool:
    weights, others = first.network.state_dict(), second.network.state_dict()
    return all(torch.equal(weights[key], others[key]) for key in weights)


def known_pixels(model: Model) -> int:
    assert model.card.training is not None
    return model.card.training.labelled_pixels


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("task", TASKS)
def test_what_lies_outside_a_mask_has_no_say(task: Task, ndim: int) -> None:
    labels = labels_of(task)
    other = np.where(BOX, labels, np.roll(labels, 11, axis=-1) + 1).astype(labels.dtype)
    if task == "semantic":
        other = np.where(BOX, labels, 200).astype(labels.dtype)  # not even a class
    first, second = (learn(task, ndim, each, region=BOX) for each in (labels, other))
    assert same(first, second)
    assert known_pixels(first) == BOX.sum()
    assert not same(first, learn(task, ndim, labels[:, ::-1, ::-1], region=BOX))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("task", TASKS)
def test_planes_are_a_mask_of_whole_planes(task: Task, ndim: int) -> None:
    labels = np.where(PLANES, labels_of(task), 0).astype(labels_of(task).dtype)
    by_name = learn(task, ndim, labels, region="planes")
    assert same(by_name, learn(task, ndim, labels_of(task), region=PLANES))
    assert known_pixels(by_name) == 2 * 48 * 48


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_painted_pixels_are_a_mask_and_the_background_has_a_label(task: Task, ndim: int) -> None:
    labels = labels_of(task)
    background = int(labels.max()) + 1
    painted = np.where(STROKES, np.where(labels == 0, background, labels), 0).astype(np.int32)
    by_name = learn(task, ndim, painted, region="painted", background=background)
    assert same(by_name, learn(task, ndim, labels, region=STROKES))
    assert known_pixels(by_name) == STROKES.sum()
    assert by_name.card.classes[0].value == (1 if task == "instance" else 0)


@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_scribbles_boxes_and_planes_mix_in_one_image(task: Task) -> None:
    labels = labels_of(task)
    background = int(labels.max()) + 1
    painted = np.where(STROKES, np.where(labels == 0, background, labels), 0)
    mixed = np.where(BOX | PLANES, labels, painted).astype(np.int32)
    by_parts = learn(task, 2, mixed, region=("painted", BOX, PLANES), background=background)
    assert same(by_parts, learn(task, 2, labels, region=BOX | PLANES | STROKES))


@pytest.mark.parametrize("axes", ["TYX", "CYX", "YXC", "TZYX", "ZCYX"])
@pytest.mark.parametrize("region", ["all", "planes", "painted", "mask"])
def test_regions_hold_with_time_and_channels(axes: str, region: str) -> None:
    sizes = {"T": 3, "Z": 2, "C": 3, "Y": 40, "X": 36}
    rng = np.random.default_rng(0)
    image = rng.random([sizes[a] for a in axes]).astype(np.float32)
    shape = tuple(sizes[a] for a in axes if a != "C")
    labels = np.zeros(shape, np.int32)
    labels[..., 5:15, 6:20], labels[..., 20:33, 4:30] = 1, 2
    kind: dict[str, Any] = {"region": region}
    if region == "painted":
        labels[..., 35:38, :] = 9
        kind["background"] = 9
    if region == "mask":
        kind["region"] = np.zeros((1,) * (len(shape) - 2) + shape[-2:], bool)
        kind["region"][..., 2:30, 3:25] = True
    example = Example(image, labels, axes=axes, **kind)
    model = train([example], ndim=2, patch=(32, 32), **TINY)
    assert model.card.architecture.in_channels == (3 if "C" in axes else 1)
    planes = int(np.prod(shape[:-2]))
    expected = {
        "all": planes * 40 * 36,
        "planes": planes * 40 * 36,
        "painted": planes * (10 * 14 + 13 * 26 + 3 * 36),
        "mask": planes * 28 * 22,
    }
    assert known_pixels(model) == expected[region]


def test_examples_of_other_sizes_and_regions_are_learned_together() -> None:
    parts = [
        Example(STACK, TRUTH, region=BOX),
        Example(STACK[0, :30, :41], TRUTH[0, :30, :41]),
        Example(STACK[:, :20, :20], TRUTH[:, :20, :20], region="planes"),
    ]
    model = train(parts, ndim=2, patch=(32, 32), **TINY)
    assert model.card.training is not None
    assert model.card.training.examples == 3


def test_painted_objects_without_background_are_refused() -> None:
    painted = np.where(STROKES, TRUTH, 0)
    with pytest.raises(TrainingError, match=r"no background.*background="):
        learn("instance", 2, painted, region="painted")
    # another example supplies it
    plane = Example(STACK[0], TRUTH[0])
    train([Example(STACK, painted, region="painted"), plane], ndim=2, patch=(32, 32), **TINY)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({"region": "everywhere"}, "'everywhere' is unknown"),
        ({"region": np.ones((3, 3))}, r"mask of shape \(3, 3\)"),
        ({"region": 7}, "region holds a int"),
        ({"region": ()}, "region is empty"),
        ({"region": np.zeros((16, 48, 48))}, "No pixel of the examples is known"),
        ({"region": "painted", "background": 0}, "background=0 cannot be painted"),
        ({"background": -1}, "background=-1"),
        ({"background": True}, "background=True"),
    ],
    ids=str,
)
def test_regions_that_cannot_be(kind: dict[str, Any], words: str) -> None:
    with pytest.raises(UNetError, match=words):
        learn("instance", 2, TRUTH, **kind)


def test_one_painted_class_is_not_enough() -> None:
    painted = np.where(STROKES, 3, 0)
    with pytest.raises(TrainingError, match="only the value 3"):
        learn("semantic", 2, painted, region="painted")


def test_a_painted_target_is_refused() -> None:
    with pytest.raises(TrainingError, match="by a mask"):
        learn("regression", 2, labels_of("regression"), region="painted")


def test_a_model_of_painted_labels_stands_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path))
    painted = np.where(STROKES, np.where(TRUTH == 0, 99, TRUTH), 0)
    example = Example(STACK, painted, region="painted", background=99)
    config = TINY | {"validation_fraction": 0.3, "steps": 4}
    model = train([example], ndim=2, patch=(32, 32), name="from strokes", **config)
    path = model.save(tmp_path / "from strokes.safetensors")
    loaded = Model.load(path)
    loaded.verify()
    assert loaded.card == model.card
    assert same(loaded, model)
    assert "from strokes" in [card.name for card in list_models()]


def test_planes_of_a_large_stack_and_the_sample_are_all_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(normalization, "SAMPLE_PIXELS", 5 * 64 * 64)
    store = zarr.create_array(
        tmp_path / "stack.zarr", shape=(400, 64, 64), chunks=(1, 64, 64), dtype="u1"
    )
    store[:] = np.random.default_rng(0).integers(0, 255, store.shape, np.uint8)
    labels = np.zeros(store.shape, np.uint8)
    labels[[20, 150, 333], 10:30, 12:40] = 1
    counted = Counted(store)
    train([Example(counted, labels, axes="ZYX", region="planes")], patch=(32, 32), **TINY)
    planes = set(counted.planes)
    assert {20, 150, 333} <= planes
    assert len(planes) <= 3 + 5
    # the labelled planes were kept, not read again for each patch
    assert counted.planes.count(150) <= 3


class Counted:
    """An array that remembers the planes that were read."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape, self.dtype, self.chunks = array.shape, array.dtype, array.chunks
        self.planes: list[int] = []

    def __getitem__(self, index: Any) -> Any:
        self.planes += range(*index[0].indices(self.shape[0]))
        return self.array[index]
