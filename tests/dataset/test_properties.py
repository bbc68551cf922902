"""How many spatial axes a new network gets, from the stacks that it is to learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_unet.dataset.example import Example
from napari_unet.dataset.properties import find_ndim
from napari_unet.settings import TrainConfig


@pytest.mark.parametrize(
    ("task", "shape", "ndim"),
    [
        ("semantic", (10, 1024, 1024), 2),  # ten sections: the context lies within them
        ("semantic", (10, 160, 400), 2),
        ("semantic", (10, 96, 400), 3),  # a block cut out of a volume
        ("semantic", (16, 1024, 1024), 3),
        ("semantic", (7, 32, 32), 2),
        ("instance", (10, 1024, 1024), 3),  # objects go on through the planes
        ("regression", (10, 1024, 1024), 3),  # and planes nearby tell noise from signal
    ],
)
def test_a_stack_of_few_wide_planes_is_classified_plane_by_plane(
    task: Any, shape: tuple[int, int, int], ndim: int
) -> None:
    image = np.zeros(shape, np.uint8)
    example = Example(image, image, axes="ZYX")
    assert find_ndim([example], None, TrainConfig(task=task, steps=1)) == ndim
    asked = TrainConfig(task=task, steps=1, ndim=3)
    assert find_ndim([example], None, asked) == 3


def test_one_stack_of_many_planes_makes_all_of_them_volumes() -> None:
    few, many = np.zeros((8, 200, 200), np.uint8), np.zeros((40, 200, 200), np.uint8)
    examples = [Example(each, each, axes="ZYX") for each in (few, many)]
    assert find_ndim(examples, None, TrainConfig(task="semantic", steps=1)) == 3
