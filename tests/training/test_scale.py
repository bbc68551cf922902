"""Objects of another size than a base knows are learned, and predicted, at its size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import napari_unet as nu
from napari_unet.network.files import read_header
from napari_unet.samples import load_sample
from napari_unet.settings import TrainConfig
from napari_unet.training.patch_sampling import BatchSampler
from napari_unet.training.setup import prepare_training
from napari_unet.training.state import LoopState
from napari_unet.training.steps import MoreLabels

SAMPLE = load_sample("nuclei_2d")
SMALL, SMALL_TRUTH = SAMPLE.image[:96, :96], SAMPLE.truth[:96, :96].astype(np.int32)
FACTOR = 3
IMAGE = np.kron(SMALL, np.ones((FACTOR, FACTOR), SMALL.dtype))
TRUTH = np.kron(SMALL_TRUTH, np.ones((FACTOR, FACTOR), np.int32))
STILL: dict[str, Any] = {
    "patch": (64, 64),
    "batch_size": 2,
    "steps": 2,
    "learning_rate": 1e-9,
    "weight_decay": 0.0,
    "statistics": "frozen",
    "match_size": True,
    "validation_fraction": 0.0,
    "threads": 1,
    "device": "cpu",
    "precision": "float32",
}


@pytest.fixture(scope="module")
def base() -> nu.Model:
    return nu.Model.load("nuclei")


def test_large_objects_are_learned_and_found_at_the_size_of_the_base(
    base: nu.Model, tmp_path: Path
) -> None:
    examples = [nu.Example(IMAGE, TRUTH, axes="YX", pixel_size=0.2)]
    file = nu.train(examples, base=base, **STILL).save(tmp_path / "large")
    model, card = nu.Model.load(file), read_header(file)
    model.verify()
    assert card.object_diameter == base.card.object_diameter
    assert card.image_diameter is not None
    zoom = base.card.object_diameter / card.image_diameter  # type: ignore[operator]
    assert card.pixel_size == pytest.approx((0.2 / zoom,) * 2, rel=1e-3)
    # the weights are the base's: by themselves they see the size at which they find most
    run: dict[str, Any] = {"axes": "YX", "device": "cpu", "precision": "float32"}
    given = {"object_diameter": card.image_diameter}
    decoding = base.card.decoding.model_dump()
    np.testing.assert_array_equal(
        nu.segment(IMAGE, model, **run, **decoding), nu.segment(IMAGE, base, **run, **given)
    )
    assert nu.evaluate(nu.segment(IMAGE, model, **run, **decoding), TRUTH).ap[0.5] > 0.7
    # a pixel size says it as well, and who measured another diameter is believed
    sized = nu.segment(IMAGE, model, pixel_size=0.2, **run, **decoding)
    assert nu.evaluate(sized, TRUTH).ap[0.5] > 0.7
    small = nu.segment(SMALL, model, pixel_size=0.2 * FACTOR, **run, **decoding)
    assert nu.evaluate(small, SMALL_TRUTH).ap[0.5] > 0.7
    told = nu.segment(SMALL, model, object_diameter=card.image_diameter / FACTOR, **run, **decoding)
    assert nu.evaluate(told, SMALL_TRUTH).ap[0.5] > 0.7


def test_patches_show_objects_at_the_size_of_the_base(base: nu.Model) -> None:
    config = TrainConfig(**{**STILL, "augmentation": "none", "batch_size": 8})
    setup = prepare_training([nu.Example(IMAGE, TRUTH)], base=base, config=config, validation=None)
    assert setup.zoom == pytest.approx(
        base.card.object_diameter / setup.data.object_diameter,  # type: ignore[operator]
        rel=1e-3,
    )
    state = LoopState.initialize(setup, torch.device("cpu"))
    batch = BatchSampler(setup, state.device).draw(state)
    assert batch.image.shape == (8, 1, 64, 64)
    assert batch.known.min() == 1
    # image and target are resampled alike
    bright = batch.image > 0.3
    inside = batch.target[:, :1] > 0.5
    assert float((bright == inside).float().mean()) > 0.85
    # as many objects in a patch as the small image has in one
    share = float(inside.float().mean())
    assert share == pytest.approx((SMALL_TRUTH > 0).mean(), abs=0.12)


def test_about_equal_sizes_other_tasks_and_new_networks_are_left_as_they_are(
    base: nu.Model,
) -> None:
    config = TrainConfig(**STILL)
    for example, given, start, match in (
        (nu.Example(SMALL, SMALL_TRUTH), base, "base", True),
        (nu.Example(IMAGE, TRUTH), base, "scratch", True),
        (nu.Example(IMAGE, TRUTH), None, "auto", True),
        (nu.Example(IMAGE, TRUTH), base, "base", False),
    ):
        update = {"start": start, "match_size": match, "statistics": "auto"}
        chosen = config.model_copy(update=update)
        setup = prepare_training([example], base=given, config=chosen, validation=None)
        assert setup.zoom == 1
        assert setup.make_card(0, 0.0).image_diameter is None
        assert "image_diameter" not in setup.make_card(0, 0.0).model_dump_json()


def test_labels_that_come_later_do_not_change_the_size(base: nu.Model) -> None:
    last = int(TRUTH.max())
    few = np.where(last == TRUTH, TRUTH, 0)
    region = np.zeros(TRUTH.shape, bool)
    region[: TRUTH.shape[0] // 2] = True
    first = nu.Example(IMAGE, TRUTH, region=region, axes="YX")
    job = nu.iter_train([first], base=base, **{**STILL, "steps": 9})
    next(job)
    later = nu.Example(IMAGE, np.where(region, TRUTH, few), axes="YX")
    assert job.send(MoreLabels([later])).taken_in
    with pytest.raises(StopIteration) as end:
        job.send("stop")
    config = TrainConfig(**STILL)
    setup = prepare_training([first], base=base, config=config, validation=None)
    assert end.value.value.card.image_diameter == setup.make_card(0, 0.0).image_diameter
