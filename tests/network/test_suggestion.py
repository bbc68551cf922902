"""Which model is proposed for an image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import napari_unet as nu
from napari_unet.network.model import Model
from napari_unet.network.suggestion import ImageKind, rank_models, suggest_model

COLOURS = ("red", "green", "blue")


@pytest.fixture
def models(make_model: Callable[..., Model]) -> dict[str, nu.ModelCard]:
    return {
        "grey": make_model(name="grey").card,
        "colour": make_model(name="colour", in_channels=3, channels=COLOURS).card,
        "volume": make_model(name="volume", ndim=3).card,
        "classes": make_model(name="classes", task="semantic").card,
    }


def test_the_first_model_is_one_that_suits_the_image(models: dict[str, nu.ModelCard]) -> None:
    stack = ImageKind(planes=20, spacing_known=True)
    for kind, first in (
        (ImageKind(), "grey"),
        (ImageKind(colours=True), "colour"),
        (stack, "volume"),
        (ImageKind(planes=20), "grey"),  # how thick the planes are is not known
        (ImageKind(planes=3, spacing_known=True), "grey"),
    ):
        ranked = [card.name for card in rank_models(models.values(), kind)]
        assert ranked[0] == first
        assert sorted(ranked) == sorted(models)


def test_a_suggestion_has_the_task_of_the_chosen_model(models: dict[str, nu.ModelCard]) -> None:
    colour = ImageKind(colours=True)
    found = suggest_model(models.values(), models["grey"], colour)
    assert found is not None
    assert found.name == "colour"
    assert suggest_model(models.values(), models["colour"], colour) is None
    assert suggest_model(models.values(), models["classes"], colour) is None


def test_a_grey_image_is_each_colour_of_a_model_of_colours(
    make_model: Callable[..., Model],
) -> None:
    model = make_model(in_channels=3, channels=COLOURS)
    grey = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    found = nu.predict(grey, model)
    assert found.record["channels"] == [0, 0, 0]
    stacked = nu.predict(np.stack([grey] * 3, -1), model, axes="YXC")
    np.testing.assert_array_equal(found.scores, stacked.scores)
    other = make_model(in_channels=3)  # three stains: which of them is it?
    with pytest.raises(nu.UNetError, match="3 channels"):
        nu.predict(grey, other)
