"""What a base carries of its own images is learned again, where it is to be kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import napari_unet as nu
from napari_unet.dataset.targets import TargetSpec
from napari_unet.errors import ModelError, TrainingError
from napari_unet.samples import load_sample
from napari_unet.settings import TrainConfig
from napari_unet.training.patch_sampling import BatchSampler
from napari_unet.training.replay import (
    MAX_REPLAY_BYTES,
    make_replay_frames,
    pack_patches,
    unpack_patches,
)
from napari_unet.training.setup import prepare_training
from napari_unet.training.state import LoopState

SAMPLE = load_sample("nuclei_2d")
TRUTH = SAMPLE.truth[:64, :64].astype(np.int32)
EXAMPLE = nu.Example(SAMPLE.image[:64, :64], TRUTH, axes="YX")
MARK = 1.2  # brighter than any pixel of the examples: tells whence a patch comes
PATCH = np.where(TRUTH > 0, MARK, 0.0).astype(np.float32)[None]
SETTINGS: dict[str, Any] = {
    "patch": (32, 32),
    "batch_size": 8,
    "steps": 2,
    "augmentation": "none",
    "validation_fraction": 0.0,
    "device": "cpu",
    "precision": "float32",
}


@pytest.fixture(scope="module")
def base() -> nu.Model:
    return replace(nu.Model.load("nuclei"), replay=pack_patches([PATCH] * 2, [TRUTH] * 2))


def test_patches_come_back_and_damaged_ones_are_refused(base: nu.Model) -> None:
    images, labels = unpack_patches(base.replay)
    np.testing.assert_allclose(images, np.stack([PATCH] * 2), atol=0.003)
    assert ((labels > 0) == (TRUTH > 0)).all()
    assert [len(np.unique(each)) for each in labels] == [len(np.unique(TRUTH))] * 2
    for damaged in (base.replay[:-40], b"no patches", base.replay[:40] + b"\0" * 40):
        with pytest.raises(ModelError, match="sample of training images in the model is damaged"):
            unpack_patches(damaged)
    noise = np.random.default_rng(0).random((1, 1200, 1200), np.float32)
    with pytest.raises(ValueError, match="more than"):
        pack_patches([noise], [np.zeros((1200, 1200), np.int32)])
    # the first layer of an adapted network sees the mean in each channel
    frames = make_replay_frames(base.replay, 3, TargetSpec("instance"))
    assert [frame.cached[0].shape for frame in frames if frame.cached] == [(3, 64, 64)] * 2


def test_the_sample_is_part_of_the_file_and_of_its_copies(base: nu.Model, tmp_path: Path) -> None:
    file = base.save(tmp_path / "carrying")
    again = nu.Model.load(file)
    again.verify()
    assert again.replay == base.replay
    assert again.save(tmp_path / "copy").read_bytes() == file.read_bytes()
    without = replace(again, replay=b"").to_bytes()
    assert 0 < file.stat().st_size - len(without) < len(base.replay) + 200


def test_a_share_of_each_batch_comes_from_it(base: nu.Model) -> None:
    config = TrainConfig(**SETTINGS, keep_base=True)
    setup = prepare_training([EXAMPLE], base=base, config=config, validation=None)
    state = LoopState.initialize(setup, torch.device("cpu"))
    batches = BatchSampler(setup, state.device)
    images = torch.cat([batches.draw(state).image for _ in range(25)])
    replayed = (images.flatten(1) > 1.19).float().mean(1) > 0.02
    assert 0.4 < float(replayed.float().mean()) < 0.6
    assert setup.statistics == "frozen"
    without = prepare_training(
        [EXAMPLE], base=base, config=TrainConfig(**SETTINGS), validation=None
    )
    assert without.replay == ()


def test_all_of_a_base_that_is_kept_learns_at_a_share_of_the_rate(
    base: nu.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit as with a lower rate."""

    def train(rate: float, *, keep: bool = True) -> tuple[list[float], list[torch.Tensor]]:
        settings = SETTINGS | {"learning_rate": rate, "threads": 1}
        job = nu.iter_train([EXAMPLE], base=base, keep_base=keep, **settings)
        rates = []
        while True:
            try:
                rates.append(next(job).learning_rate)
            except StopIteration as end:
                return rates, list(end.value.network.state_dict().values())

    rates, _ = train(1e-3)
    plain, _ = train(1e-3, keep=False)
    assert rates == pytest.approx([0.3 * rate for rate in plain])
    monkeypatch.setattr("napari_unet.training.loop.KEEPING_FACTOR", 0.5)
    halved, weights = train(1e-3)
    monkeypatch.setattr("napari_unet.training.loop.KEEPING_FACTOR", 1.0)
    whole, others = train(1e-3 / 2)
    assert halved == whole
    assert all(map(torch.equal, weights, others))


def test_who_keeps_the_base_carries_it_on(base: nu.Model, tmp_path: Path) -> None:
    model = nu.train([EXAMPLE], base=base, keep_base=True, **SETTINGS)
    assert nu.Model.load(model.save(tmp_path / "kept")).replay == base.replay
    assert nu.train([EXAMPLE], base=base, **SETTINGS).replay == b""


def test_a_base_without_a_sample_cannot_be_kept(base: nu.Model) -> None:
    bare = replace(base, replay=b"")
    with pytest.raises(TrainingError, match=r"carries no sample.*leave out keep_base") as caught:
        nu.train([EXAMPLE], base=bare, keep_base=True, **SETTINGS)
    assert (caught.value.parameter, caught.value.code) == ("keep_base", "no-replay")
    with pytest.raises(TrainingError, match="asks for a new network; leave out one of them"):
        nu.train([EXAMPLE], base=base, keep_base=True, start="scratch", **SETTINGS)


@pytest.mark.parametrize(
    ("name", "patches", "digest"),
    [
        ("nuclei", (64, 1, 128, 128), "3d92190d7b85d917"),
        ("nuclei-histology", (24, 3, 128, 128), "f92b4d60d93ed37a"),
    ],
)
def test_bundled_models_carry_a_sample(name: str, patches: tuple[int, ...], digest: str) -> None:
    packed = nu.Model.load(name).replay
    assert len(packed) < MAX_REPLAY_BYTES
    assert hashlib.sha256(packed).hexdigest()[:16] == digest
    images, labels = unpack_patches(packed)
    assert images.shape == patches
    assert (labels.max((1, 2)) > 0).all()
