"""Labels without background: the boundary between objects is learned, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

import napari_unet as nu
from napari_unet.card import Decoding, InstanceRepresentation, ModelCard
from napari_unet.errors import ModelError, TrainingError
from napari_unet.instances.boundary import find_boundary
from napari_unet.instances.maps import BOUNDARY, DISTANCE
from napari_unet.settings import TrainConfig
from napari_unet.training.setup import prepare_training

TINY: dict[str, Any] = {
    "features": (4, 8), "patch": (32, 32), "batch_size": 2, "steps": 2, "validation_fraction": 0,
    "device": "cpu", "precision": "float32", "start": "base",
}  # fmt: skip


def tissue(side: int = 96, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Walls of cells without gaps, that are thick and thin, long and bent; with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((side, side)).astype(float)
    bent = np.stack([y + 6 * np.sin(x / 9), (x + 6 * np.sin(y / 11)) * 0.35], -1)
    places = rng.random((26, 2)) * (side, side * 0.35)
    labels = ((bent[..., None, :] - places) ** 2).sum(-1).argmin(-1)
    pieces = np.zeros((side, side), np.int32)
    for value in np.unique(labels):
        found, _ = ndimage.label(labels == value)
        pieces[found > 0] = found[found > 0] + pieces.max()
    wall = ndimage.gaussian_filter(find_boundary(pieces).astype(float), 0.7)
    return (wall + rng.normal(0, 0.1, wall.shape)).astype(np.float32), pieces


IMAGE, LABELS = tissue()
SPARSE = np.where(np.isin(LABELS, np.unique(LABELS)[::3]), LABELS, 0)


def prepare(*examples: nu.Example, base: nu.Model | None = None, **settings: Any) -> Any:
    config = TrainConfig(**{**TINY, **settings})
    return prepare_training(examples, base=base, config=config, validation=None)


def chosen(setup: Any) -> tuple[InstanceRepresentation, str]:
    told = [str(note) for note in setup.notes if note.code == "representation"]
    return setup.make_card(0, 0.0).instances, " ".join(told)


def strokes() -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Lines within cells, and the same with one of background."""
    middle = np.zeros_like(LABELS)
    for value in np.unique(LABELS):
        far = ndimage.distance_transform_edt(value == LABELS)
        middle[(far > 4) & (value == LABELS)] = value + 1
    with_background = middle.copy()
    with_background[0, :8] = 1
    return middle, with_background


def test_auto_takes_the_boundary_where_labels_leave_no_background() -> None:
    dense = nu.Example(IMAGE, LABELS, axes="YX")
    maps, told = chosen(prepare(dense))
    assert maps == BOUNDARY
    assert "boundary" in told
    assert "background" in told
    assert chosen(prepare(dense, nu.Example(IMAGE, LABELS, axes="YX", region="all")))[0] == BOUNDARY
    # lines of background, one or two pixels wide, are no gaps, though their share is not small
    first = np.zeros(LABELS.shape, bool)
    first[1:] |= LABELS[1:] != LABELS[:-1]
    first[:, 1:] |= LABELS[:, 1:] != LABELS[:, :-1]
    for line in (first, find_boundary(LABELS)):
        lined = np.where(line, 0, LABELS)
        assert (lined == 0).mean() > 0.1
        maps, told = chosen(prepare(nu.Example(IMAGE, lined, axes="YX")))
        assert maps == BOUNDARY
        assert "thin lines" in told
    # enough background, membranes of several pixels, or one object: as ever, and nothing to tell
    drawn = np.where(ndimage.binary_dilation(first, iterations=2), 0, LABELS)
    for labels in (SPARSE, np.ones_like(LABELS), drawn):
        assert chosen(prepare(nu.Example(IMAGE, labels, axes="YX"))) == (DISTANCE, "")
    # a few sparse images beside a dense one: there is background
    sparse = nu.Example(IMAGE, SPARSE, axes="YX")
    assert chosen(prepare(dense, sparse))[0] == DISTANCE


def test_a_box_in_dense_tissue_is_dense_and_strokes_tell_nothing() -> None:
    box = np.zeros(LABELS.shape, bool)
    box[10:80, 15:85] = True
    assert chosen(prepare(nu.Example(IMAGE, LABELS, region=box, axes="YX")))[0] == BOUNDARY
    _, painted = strokes()
    example = nu.Example(IMAGE, painted, region="painted", background=1, axes="YX")
    setup = prepare(example)
    assert chosen(setup) == (DISTANCE, "")
    assert not setup.distance_known
    planes = np.zeros((12, 1, 1), bool)
    planes[[3, 8]] = True
    stack = nu.Example(np.stack([IMAGE] * 12), np.stack([LABELS] * 12), region=planes, axes="ZYX")
    volumes: dict[str, Any] = {"ndim": 3, "patch": (8, 32, 32)}
    assert chosen(prepare(stack, **volumes)) == (DISTANCE, "")
    with pytest.raises(TrainingError, match="nor do single planes"):
        prepare(stack, representation="boundary", **volumes)
    assert chosen(prepare(stack, ndim=2))[0] == BOUNDARY
    with pytest.raises(TrainingError, match=r"no boundary between objects.*auto") as caught:
        prepare(example, representation="boundary")
    assert caught.value.parameter == "representation"


def test_the_settings_and_the_base_decide_before_the_labels(tmp_path: Path) -> None:
    dense, sparse = (nu.Example(IMAGE, each, axes="YX") for each in (LABELS, SPARSE))
    assert chosen(prepare(dense, representation="distance")) == (DISTANCE, "")
    assert chosen(prepare(sparse, representation="boundary"))[0] == BOUNDARY
    by_boundary = nu.train([dense], **TINY)
    card: ModelCard = by_boundary.card
    assert card.instances == BOUNDARY
    assert card.training is not None
    assert card.training.config["representation"] == "boundary"
    again = nu.Model.load(by_boundary.save(tmp_path / "dense.safetensors"))
    again.verify()
    assert again.card == card
    assert card.description.startswith("Objects are parted by the boundary between them")
    assert nu.train([dense], **TINY, description="Walls.").card.description == "Walls."
    # the base's maps are kept, whatever the labels look like
    setup = prepare(sparse, base=again)
    assert chosen(setup)[0] == BOUNDARY
    assert not setup.renewed
    # strokes go on with a base that knows boundaries
    _, painted = strokes()
    few = nu.Example(IMAGE, painted, region="painted", background=1, axes="YX")
    assert prepare(few, base=again, representation="boundary").distance_known
    # other maps: the last layer is new, and that is told
    by_distance = nu.train([sparse], **TINY)
    kept, told = chosen(prepare(dense, base=by_distance))
    assert kept == DISTANCE
    assert "although they touch" in told
    assert "representation='boundary'" in told
    assert chosen(prepare(sparse, base=by_distance)) == (DISTANCE, "")
    for base, wanted, maps in ((again, "distance", DISTANCE), (by_distance, "boundary", BOUNDARY)):
        setup = prepare(dense, base=base, representation=wanted)
        found, told = chosen(setup)
        assert found == maps
        assert "anew" in told
        assert setup.renewed
        assert "layer-renewed" in [note.code for note in setup.notes]
        assert setup.make_card(0, 0.0).decoding == Decoding()
    assert not prepare(few, base=again, representation="distance").distance_known
    newer = InstanceRepresentation(name=BOUNDARY.name, version=2)
    future = nu.Model(again.card.model_copy(update={"instances": newer}), again.network)
    file = future.save(tmp_path / "newer.safetensors")
    with pytest.raises(ModelError, match=r"boundary version 2, made by a newer.*version 1.*update"):
        prepare(dense, base=future)
    with pytest.raises(ModelError, match="foreground-boundary version 2"):
        nu.segment(IMAGE, file, axes="YX", device="cpu")


def test_a_checkpoint_of_other_maps_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    example = nu.Example(IMAGE, LABELS, axes="YX")
    settings = {**TINY, "steps": 50}
    job = nu.iter_train([example], checkpoint=file, representation="distance", **settings)
    next(job)
    job.close()
    with pytest.raises(TrainingError, match="other examples or settings"):
        next(nu.iter_train([example], checkpoint=file, **settings))
    job = nu.iter_train([example], checkpoint=file, representation="distance", **settings)
    assert next(job).step >= 1
    job.close()


def test_cells_of_any_shape_are_found_by_their_boundary(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In so short a training; by their distance fewer are.

    From tiles, and block by block with the scores on disk, the labels are the same.
    """
    test_image, truth = tissue(seed=1)
    run: dict[str, Any] = {"axes": "YX", "device": "cpu", "precision": "float32"}
    scores = {}
    for representation in ("boundary", "distance"):
        longer = {"features": (8, 16), "patch": (48, 48), "batch_size": 4, "steps": 40}
        more = {"learning_rate": 5e-3, "augmentation": "light", "validation_fraction": 0.15}
        example = nu.Example(IMAGE, LABELS, axes="YX")
        model = nu.train([example], representation=representation, **(TINY | longer | more))
        found = nu.segment(test_image, model, **run)
        assert nu.evaluate(nu.segment(test_image, model, tile=48, **run), found).ap[0.9] == 1
        scores[representation] = nu.evaluate(found, truth).ap[0.7]
        with monkeypatch.context() as patch:
            patch.setattr("napari_unet.inference.frames.LARGEST_FRAME_BYTES", 100)
            patch.setattr("napari_unet.inference.frames.BLOCK", {2: (16, 40), 3: (3, 16, 9)})
            out = tmp_path / f"{representation}.zarr"
            blocks = nu.segment(test_image, model, output=out, **run)
        assert blocks.attrs["napari_unet"]["in_blocks"]
        np.testing.assert_array_equal(blocks[...], found)
    assert scores["boundary"] > 0.7, scores
    assert scores["distance"] < scores["boundary"] - 0.1, scores
