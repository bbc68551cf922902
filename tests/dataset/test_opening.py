"""Examples are prepared side by side, in their order, where they lie in memory."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from napari_unet.dataset.assembly import prepare_data
from napari_unet.dataset.example import Example
from napari_unet.dataset.labelled_image import LabelledImage, open_example
from napari_unet.dataset.opening import map_side_by_side
from napari_unet.errors import InputError
from napari_unet.settings import TrainConfig


class OnDisk:
    """An array that is read when it is asked for."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]


def opened(image: Any, labels: Any) -> LabelledImage:
    example = Example(image, labels, axes="YX")
    return open_example(example, ndim=2, in_channels=1, task="instance", named=())


def plane(value: int) -> Any:
    return np.full((20, 30), value, np.uint16)


@pytest.mark.parametrize("lazy", ["nothing", "image", "labels"])
def test_two_work_side_by_side_only_on_arrays(lazy: str) -> None:
    labelled = [
        opened(
            OnDisk(plane(9)) if lazy == "image" else plane(9),
            OnDisk(plane(1)) if lazy == "labels" else plane(1),
        )
        for _ in range(2)
    ]
    met = threading.Barrier(2)

    def meet(number: int) -> tuple[int, bool]:
        if lazy == "nothing":
            met.wait(60)
        return number, threading.current_thread() is threading.main_thread()

    found = map_side_by_side(meet, [7, 8], labelled, threads=2)
    assert found == [(7, lazy != "nothing"), (8, lazy != "nothing")]


def test_the_first_fault_is_told() -> None:
    def fail(number: int) -> None:
        raise InputError(f"number {number}")

    with pytest.raises(InputError, match="number 1"):
        map_side_by_side(fail, [1, 2, 3], [opened(plane(9), plane(1))] * 3, threads=2)


def test_data_are_the_same_on_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    examples = []
    for _ in range(5):
        labels = np.zeros((48, 64), np.int32)
        labels[4:20, 4:20], labels[24:40, 30:50] = 1, 2
        examples.append(
            Example(rng.normal(labels * 5 + 50, 9).astype(np.float32), labels, axes="YX")
        )
    one, two = (prepare_data(examples, None, None, TrainConfig(steps=1, threads=n)) for n in (1, 2))
    assert (one.sha256, one.validation_sha256) == (two.sha256, two.validation_sha256)
    for first, second in zip(one.frames, two.frames, strict=True):
        assert first.cached is not None
        assert second.cached is not None
        for a, b in zip(first.cached, second.cached, strict=True):
            np.testing.assert_array_equal(a, b)
