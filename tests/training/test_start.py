"""From a base or from scratch: decided before the first step, told, and kept on resuming."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import napari_unet as nu
from napari_unet.errors import TrainingError
from napari_unet.network.unet import UNet
from napari_unet.samples import load_sample
from napari_unet.training import setup as preparation
from napari_unet.training.checkpoint import read_choice
from napari_unet.training.setup import TrainingSetup, prepare_training
from napari_unet.training.verdict import describe_scores, describe_training

SAMPLE = load_sample("nuclei_2d")
IMAGE, TRUTH = SAMPLE.image[:128, :128], SAMPLE.truth[:128, :128].astype(np.int32)
EXAMPLE = nu.Example(IMAGE, TRUTH, axes="YX")
SETTINGS: dict[str, Any] = {
    "threads": 1,
    "features": (4, 8),
    "patch": (32, 32),
    "batch_size": 2,
    "steps": 6,
    "validation_every": 2,
    "device": "cpu",
    "precision": "float32",
}


@pytest.fixture(scope="module")
def nuclei() -> nu.Model:
    return nu.Model.load("nuclei")


@pytest.fixture(scope="module")
def blind(nuclei: nu.Model) -> nu.Model:
    """A base that finds nothing: the bundled one with a last layer that answers "background"."""
    network = UNet(nuclei.card.architecture)
    network.load_state_dict(nuclei.network.state_dict())
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.fill_(-9.0)
    return nu.Model(nuclei.card.model_copy(update={"name": "blind"}), network.eval())


def prepare(base: nu.Model | None, *examples: nu.Example, **settings: Any) -> TrainingSetup:
    config = nu.TrainConfig(**(SETTINGS | settings))
    return prepare_training(examples or (EXAMPLE,), base=base, config=config, validation=None)


def told(setup: TrainingSetup) -> dict[str, str]:
    return {note.code: str(note) for note in setup.notes}


def finish(job: Generator[Any, Any, nu.Model]) -> tuple[list[Any], nu.Model]:
    steps = []
    while True:
        try:
            steps.append(next(job))
        except StopIteration as end:
            return steps, end.value


def test_a_base_that_finds_the_objects_is_where_training_starts(nuclei: nu.Model) -> None:
    setup = prepare(nuclei)
    assert setup.base is nuclei
    assert setup.network.config == nuclei.card.architecture
    assert "Training goes on from the base nuclei" in told(setup)["start-base"]
    assert "start='scratch' takes a new network" in told(setup)["start-base"]
    # the objects at four times their size: found once they are brought to the base's
    large = nu.Example(np.kron(IMAGE, np.ones((4, 4))), np.kron(TRUTH, np.ones((4, 4), int)))
    setup = prepare(nuclei, large)
    assert setup.base is nuclei


def test_a_base_that_finds_next_to_nothing_is_not(blind: nu.Model) -> None:
    setup = prepare(blind)
    assert setup.base is None
    assert setup.network.config.features == (4, 8)
    assert "new-network" in told(setup)
    said = told(setup)["start-scratch"]
    assert said.startswith("Training starts from a new network, as the base blind finds next to")
    assert "AP 0.00" in said
    assert "start='base' takes the base whatever comes" in said
    card = setup.make_card(0, 0.0)
    assert card.training is not None
    assert (card.training.base, card.training.start) == (None, said.split(";")[0] + ".")
    assert any("a new network. Training starts" in line for line in describe_training(card))
    again = nu.ModelCard.model_validate_json(card.model_dump_json())
    assert again == card


def test_who_wants_the_base_or_a_new_network_gets_it(nuclei: nu.Model, blind: nu.Model) -> None:
    assert prepare(blind, start="base").base is blind
    assert prepare(blind, statistics="frozen").base is blind
    setup = prepare(nuclei, start="scratch")
    assert (setup.base, setup.declined) == (None, nuclei)
    assert not {"start-base", "start-scratch"} & told(setup).keys()
    assert prepare(None, start="base").base is None


def test_strokes_say_nothing_against_a_base(nuclei: nu.Model, blind: nu.Model) -> None:
    """A stroke overlaps no object by half."""
    painted = np.zeros_like(TRUTH)
    painted[::6] = TRUTH[::6]
    painted[3::6] = np.where(TRUTH[3::6] == 0, 9999, 0)
    strokes = nu.Example(IMAGE, painted, region="painted", background=9999, axes="YX")
    for base in (nuclei, blind):
        setup = prepare(base, strokes)
        assert not setup.data.distance_known
        assert setup.base is base
        assert not {"start-base", "start-scratch"} & told(setup).keys()


def test_other_tasks_and_maps_keep_the_base(blind: nu.Model) -> None:
    setup = prepare(blind, representation="boundary")
    assert setup.base is blind
    assert setup.renewed


def test_both_are_scored_and_a_resumed_training_does_not_choose_anew(
    blind: nu.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, whole = finish(nu.iter_train([EXAMPLE], base=blind, **SETTINGS))
    assert "start-scratch" in [note.code for note in steps[0].notes]
    assert [record.model for record in whole.card.scores] == [None, "blind"]
    assert describe_scores(whole.card)[-1].startswith(("The new model", "Neither"))
    file = tmp_path / "checkpoint"
    job = nu.iter_train([EXAMPLE], base=blind, checkpoint=file, **SETTINGS)
    list(itertools.islice(job, 3))
    job.close()
    choice = read_choice(file)
    assert choice is not None
    assert choice.start == "scratch"
    monkeypatch.setattr(preparation, "choose_start", lambda *_, **__: pytest.fail("asked again"))
    with pytest.raises(TrainingError, match="other examples or settings"):
        next(nu.iter_train([EXAMPLE], base=blind, start="base", checkpoint=file, **SETTINGS))
    _, resumed = finish(nu.iter_train([EXAMPLE], base=blind, checkpoint=file, **SETTINGS))
    weights = whole.network.state_dict()
    assert all(torch.equal(v, weights[k]) for k, v in resumed.network.state_dict().items())
    assert resumed.card.training is not None
    assert resumed.card.training.start == whole.card.training.start  # type: ignore[union-attr]


def test_a_checkpoint_of_before_the_choice_goes_on_from_the_base(
    blind: nu.Model, tmp_path: Path
) -> None:
    file = tmp_path / "checkpoint"
    job = nu.iter_train([EXAMPLE], base=blind, start="base", checkpoint=file, **SETTINGS)
    list(itertools.islice(job, 3))
    job.close()
    stored = torch.load(file, weights_only=True)
    del stored["choice"]
    torch.save(stored, file)
    steps, model = finish(nu.iter_train([EXAMPLE], base=blind, checkpoint=file, **SETTINGS))
    assert steps[0].step > 1
    assert model.card.training is not None
    assert model.card.training.base == "blind"
