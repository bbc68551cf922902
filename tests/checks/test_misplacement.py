"""Labels that are flipped or shifted against their image are doubted, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_unet as nu
from napari_unet.checks import Finding
from napari_unet.dataset.label_placement import LabelPlacement
from napari_unet.samples import load_sample, sample_names

NUCLEI = load_sample("nuclei_2d")
STACK = load_sample("nuclei_3d")


def doubts(image: Any, labels: Any, **more: Any) -> list[Finding]:
    findings = nu.check_examples([nu.Example(image, labels, **more)])
    return [f for f in findings if f.code == "labels-misplaced"]


@pytest.mark.parametrize("name", sample_names())
def test_labels_in_their_place_are_not_doubted(name: str) -> None:
    sample = load_sample(name)
    assert doubts(sample.image, sample.truth, axes=sample.axes) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: y[::-1], "flipped upside down"),
        (lambda y: y[:, ::-1], "flipped left to right"),
        (lambda y: y[::-1, ::-1], "turned by 180 degrees"),
        (lambda y: np.roll(y, (-12, 7), (0, 1)), "moved 12 pixels down and 7 pixels left"),
        (lambda y: np.roll(y, (0, 25), (0, 1)), "moved 25 pixels left"),
    ],
)
def test_labels_in_another_place_are_doubted_with_the_place(change: Any, words: str) -> None:
    (found,) = doubts(NUCLEI.image, change(NUCLEI.truth))
    assert (found.severity, found.field) == ("doubt", "labels")
    assert words in found.problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: y.T, "rows and columns swapped"),
        (np.rot90, "turned by 90 degrees"),
        (lambda y: np.rot90(y, -1), "turned by 90 degrees"),
    ],
)
def test_labels_of_a_square_image_may_be_turned(change: Any, words: str) -> None:
    side = min(NUCLEI.image.shape)
    image, labels = (each[:side, :side] for each in (NUCLEI.image, NUCLEI.truth))
    assert doubts(image, labels) == []
    (found,) = doubts(image, change(labels))
    assert words in found.problem


def test_planes_of_a_stack_in_reverse_order_are_doubted() -> None:
    (found,) = doubts(STACK.image, STACK.truth[::-1], axes="ZYX")
    assert "reverse order of planes" in found.problem


def test_labels_of_a_part_are_flipped_within_it() -> None:
    shape = NUCLEI.image.shape
    part = NUCLEI.truth[20:180, 30:230]
    place = LabelPlacement("YX", "YX", shape, part.shape, (20, 30))
    right = place.place(part)
    region = place.place_region("all", part)
    assert doubts(NUCLEI.image, right, region=region) == []
    (found,) = doubts(NUCLEI.image, place.place(part[:, ::-1]), region=region)
    assert "left to right" in found.problem


def test_of_scribbles_and_of_noise_nothing_is_said() -> None:
    painted = np.zeros_like(NUCLEI.truth, np.int32)
    painted[40:60, 40:44] = 1
    painted[100:104, 40:90] = 9
    assert doubts(NUCLEI.image, painted, region="painted", background=9) == []
    noise = np.random.default_rng(0).normal(size=NUCLEI.image.shape)
    assert doubts(noise, NUCLEI.truth) == []
    assert doubts(np.zeros_like(NUCLEI.image), NUCLEI.truth) == []
