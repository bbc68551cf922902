"""An image that is unlike all that a model learned from is told of, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import napari_unet as nu
from napari_unet.card import IntensityDomain, ModelCard
from napari_unet.image.domain import doubt_domain, measure_domain
from napari_unet.image.normalization import find_limits
from napari_unet.image.source import open_image
from napari_unet.inference.segmentation import iter_run
from napari_unet.network.model import Model
from napari_unet.progress import drain

FLUORESCENCE = IntensityDomain(background=((0.0, 0.05),), median=((0.0, 0.2),))


@pytest.fixture
def model(make_model: Callable[..., Model]) -> Model:
    return make_model(domain=FLUORESCENCE, name="spots")


def draw_spots(size: int = 96) -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    image = rng.normal(100, 3, (size, size))
    for cy, cx in rng.uniform(8, size - 8, (9, 2)):
        image += 900 * (np.hypot(y - cy, x - cx) < 7)
    return image.clip(0, 4095).astype(np.uint16)


def run(image: np.ndarray, model: Model, **settings: Any) -> dict[str, Any]:
    result = drain(iter_run(image, model, **settings))
    assert result.labels is not None
    return dict(result.labels.record)


def test_the_profile_is_that_of_the_normalised_pixels() -> None:
    image = np.arange(1000, dtype=np.uint16).reshape(20, 50)
    limits = find_limits(open_image(image), nu.ModelCard.model_fields["normalization"].default)
    low, high = limits.at()[0]
    (profile,) = limits.profile
    assert profile == pytest.approx(
        [(np.percentile(image, p) - low) / (high - low) for p in (10, 50)]
    )


def test_an_image_of_the_kind_is_not_doubted_and_its_negative_is(model: Model) -> None:
    image = draw_spots()
    plain = run(image, model)
    assert plain["domain_doubt"] == ""
    negative = run(4095 - image, model)
    assert "brighter" in negative["domain_doubt"]
    assert negative["domain_doubt"] in negative["message"]
    again = run(4095 - image, model, invert=True)  # as the sentence proposes
    assert again["domain_doubt"] == ""


def test_a_training_keeps_what_its_images_have_in_common() -> None:
    labels = np.zeros((48, 48), np.uint8)
    labels[8:24, 8:24], labels[30:40, 28:44] = 1, 2
    rng = np.random.default_rng(0)
    images = [labels * 100.0 + rng.normal(20, 2, labels.shape) for _ in range(8)]
    for count, known in ((8, True), (7, False)):
        examples = [nu.Example(image, labels, axes="YX") for image in images[:count]]
        card = nu.train(
            examples, steps=1, patch=(32, 32), batch_size=1, features=(4, 8), validation_fraction=0
        ).card
        assert (card.domain is not None) == known
        if card.domain is not None:
            ((low, high),) = card.domain.median
            assert 0 <= low <= high < 0.3
            assert ModelCard.model_validate_json(card.model_dump_json()) == card


def test_a_card_without_a_domain_is_written_as_before(make_model: Callable[..., Model]) -> None:
    card = make_model().card
    assert "domain" not in card.model_dump(mode="json")
    assert doubt_domain(((0.9, 0.9),), card) == ""


def test_images_of_other_channels_do_not_count_into_a_domain() -> None:
    profiles = [((0.0, 0.01 * i),) for i in range(8)] + [((0.5, 0.5), (0.5, 0.5))]
    assert measure_domain(profiles) == IntensityDomain(
        background=((0.0, 0.0),), median=((0.0, 0.07),)
    )
