"""A training goes on after a crash, with what was painted meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_unet.dataset.example import Example
from napari_unet.errors import FileError, InputError
from napari_unet.recovery import examples as stored_examples
from napari_unet.recovery.arrays import read_array, write_array
from napari_unet.recovery.labels import LabelStore
from napari_unet.recovery.training import (
    CHECKPOINT,
    INDEX,
    TrainingSession,
    begin_session,
    find_interrupted_sessions,
    sessions_folder,
)
from napari_unet.settings import TrainConfig

CONFIG = TrainConfig(steps=5, features=(4, 8), seed=3)
SETTINGS = {
    "features": [4, 8],
    "patch": [32, 32],
    "batch_size": 2,
    "steps": 100_000,
    "validation_every": 3,
    "device": "cpu",
    "precision": "float32",
}

# trains, adds labels, and goes on until it is killed
CHILD = """
import json, os, sys
import numpy as np
from napari_unet.dataset.example import Example
from napari_unet.settings import TrainConfig
from napari_unet.samples import load_sample
from napari_unet.training.train import iter_train
from napari_unet.recovery.training import begin_session
from napari_unet.training.steps import MoreLabels

sample = load_sample("nuclei_2d")
image, labels = sample.image[:96, :96], np.asarray(sample.truth)[:96, :96].copy()
labels[:, 48:] = 0
known = np.zeros((96, 96), bool)
known[:, :48] = True
examples = [Example(image, labels, region=known, axes="YX")]
config = TrainConfig(**json.loads(sys.argv[1]))
values = {"examples": [{"image": "nuclei"}]}
session = begin_session(values, examples, None, config)
job = iter_train(session.first, config=config, checkpoint=session.checkpoint)
wish = None
while True:
    step = job.send(wish)
    wish = None
    if step.step == 4:
        more = [Example(image, np.asarray(sample.truth)[:96, :96].copy(), axes="YX")]
        session.add(more)
        wish = MoreLabels(more)
    if step.step == 8:
        print(session.folder.name, flush=True)
"""


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_UNET_STATE", str(tmp_path / "state"))


@pytest.fixture
def example() -> Example:
    rng = np.random.default_rng(0)
    labels = np.zeros((4, 30, 40), np.int32)
    labels[1, 5:9, 5:9] = 7
    mask = np.zeros((4, 1, 1), bool)
    mask[2] = True
    return Example(
        rng.integers(0, 99, (4, 30, 40), np.uint16),
        labels,
        region=("planes", mask),
        background=np.int32(9),
        axes="ZYX",
        pixel_size=(2.0, 0.5, None),
    )


def crash(session: TrainingSession) -> None:
    """As if the process had died after the first checkpoint: its lock is gone."""
    session.checkpoint.write_bytes(b"weights")
    session.release()


def begin(*examples: Example, values: dict[str, Any] | None = None) -> TrainingSession:
    return begin_session(values or {}, examples, "nuclei", CONFIG)


def same(a: Example, b: Example) -> None:
    images = [x.image if isinstance(x.image, list) else [x.image] for x in (a, b)]
    regions = [x.region if isinstance(x.region, tuple) else (x.region,) for x in (a, b)]
    for one, other in (*zip(*images, strict=True), (a.labels, b.labels)):
        assert np.asarray(one).dtype == np.asarray(other).dtype
        assert np.array_equal(one, other)
    for one, other in zip(*regions, strict=True):
        assert type(one) is type(other)
        assert np.array_equal(one, other)
    assert (a.background, a.axes) == (b.background, b.axes)
    assert list(a.pixel_size or []) == list(b.pixel_size or [])
    assert list(a.channels or []) == list(b.channels or [])


def test_a_session_comes_back(example: Example) -> None:
    session = begin(example, values={"examples": [{"image": "stack"}], "own": [1, "a"]})
    assert find_interrupted_sessions() == []  # it is ours
    crash(session)
    (found,) = find_interrupted_sessions()
    assert (found.base, found.config, found.missing) == ("nuclei", CONFIG, [])
    assert found.values["own"] == [1, "a"]
    resumed = found.resume()
    same(resumed.first[0], example)
    assert resumed.added is None
    assert resumed.checkpoint == session.checkpoint
    assert find_interrupted_sessions() == []
    with pytest.raises(FileError, match="another window"):
        found.resume()
    resumed.remove()
    assert not session.folder.exists()


def test_several_kinds_of_examples(example: Example) -> None:
    channels = [np.ones((8, 9), np.uint8), np.zeros((8, 9), np.float32)]
    two = Example(channels, np.ones((8, 9), np.uint8), axes="YX")
    target = Example(channels[0], np.random.default_rng(0).random((8, 9)), channels=[0])
    session = begin(example, two, target)
    crash(session)
    resumed = find_interrupted_sessions()[0].resume()
    for found, wanted in zip(resumed.first, (example, two, target), strict=True):
        same(found, wanted)
    assert resumed.first[1].image[0] is resumed.first[2].image
    assert len(list(session.folder.glob("image-*"))) == 3  # each once


def test_what_was_added_comes_back(example: Example) -> None:
    session = begin(example)
    for value in (3, 4):
        labels = np.full_like(example.labels, value)
        more = [Example(example.image, labels, axes="ZYX"), Example(example.image, labels + 1)]
        assert session.add(more) is None
    crash(session)
    resumed = find_interrupted_sessions()[0].resume()
    same(resumed.first[0], example)
    assert [int(each.labels.max()) for each in resumed.added] == [4, 5]
    assert resumed.added[0].image is resumed.first[0].image
    assert len(list(session.folder.glob("added-*-labels"))) == 2  # the newest alone
    resumed.add([example])
    crash(resumed)
    again = find_interrupted_sessions()[0].resume()
    same(again.added[0], example)


def test_large_images_are_asked_for(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_examples, "IMAGES_BYTES", 10)
    session = begin(example, values={"examples": [{"image": "stack", "image_file": "gone.tif"}]})
    crash(session)
    (found,) = find_interrupted_sessions()
    assert found.missing == ["stack"]
    with pytest.raises(InputError, match=r"‘stack’ .gone.tif. of shape .4, 30, 40. is needed"):
        found.resume()
    with pytest.raises(InputError, match=r"has shape .3, 3. .float64., but training began with"):
        found.resume({"stack": np.zeros((3, 3))})
    same(found.resume({"stack": example.image}).first[0], example)  # nobody has it still


def test_large_images_are_read_from_their_file(
    example: Example, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from napari_unet.io import write_image

    monkeypatch.setattr(stored_examples, "IMAGES_BYTES", 10)
    file = write_image(tmp_path / "stack.tif", example.image, axes="ZYX")
    session = begin(example, values={"examples": [{"image": "s", "image_file": str(file)}]})
    crash(session)
    (found,) = find_interrupted_sessions()
    assert found.missing == []
    same(found.resume().first[0], example)


def test_a_training_that_learned_nothing_is_removed(example: Example) -> None:
    session = begin(example)
    crash(session)
    session.checkpoint.unlink()
    assert find_interrupted_sessions() == []
    assert not session.folder.exists()


def test_a_model_is_kept_until_it_has_a_name(example: Example, make_model: Any) -> None:
    session = begin(example)
    assert session.model is None
    session.keep(make_model())
    crash(session)
    session.checkpoint.unlink()
    (found,) = find_interrupted_sessions()
    assert found.model is not None
    from napari_unet.network.model import Model

    assert Model.load(found.model).card.task == "instance"


def test_a_damaged_session_is_passed_over(example: Example) -> None:
    session = begin(example)
    crash(session)
    path = session.folder / INDEX
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"config": {"steps": -1}}))
    assert find_interrupted_sessions() == []
    path.write_text(json.dumps(values))
    next((session.folder / "first-0-labels").glob("c.*")).write_bytes(b"rubbish")
    with pytest.raises(FileError, match="damaged"):
        find_interrupted_sessions()[0].resume()


def test_a_model_needs_no_settings_that_this_version_knows(
    example: Example, make_model: Any
) -> None:
    session = begin(example, values={"examples": [{"image": "stack"}]})
    session.keep(make_model())
    crash(session)
    path = session.folder / INDEX
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"config": {"of a later version": 1}}))
    (found,) = find_interrupted_sessions()
    assert found.model is not None
    assert (found.images, found.missing) == (["stack"], [])
    found.remove()
    assert find_interrupted_sessions() == []


def test_a_place_that_cannot_be_written_to_leaves_nothing(
    example: Example, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    session = begin(example)
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    monkeypatch.setenv("NAPARI_UNET_STATE", str(in_the_way))
    with pytest.raises(FileError):
        begin(example)
    session.folder.joinpath(INDEX).unlink()
    session.folder.joinpath(INDEX).mkdir()
    assert "would be lost in a crash" in str(session.add([example]))
    assert session.added == [example]


def test_labels_that_are_on_disk_already_take_no_room(example: Example) -> None:
    store = LabelStore()
    labels = np.zeros((4, 30, 40), np.int32)
    labels[0], labels[1, 5:9] = 3, 7
    store.save("painted", "ZYX", labels.shape, labels.dtype, {})
    for z in range(4):
        store.write_plane((0, z), labels[z])
    labels[3, 1] = 5  # is not on disk yet
    labels[0] = 0  # is not learned from
    painted = [{"image": "stack", "label_store": str(store.folder)}]
    session = begin(Example(example.image, labels.copy()), values={"examples": painted})
    links = {x.name: x.stat().st_nlink for x in (session.folder / "first-0-labels").glob("c.*")}
    assert links == {"c.1.0.0": 2, "c.3.0.0": 1}
    labels[1] = 9
    assert store.write_plane((0, 1), labels[1])  # somebody paints on
    store.discard()
    crash(session)
    found = find_interrupted_sessions()[0].resume().first[0].labels
    assert (found[1, 5:9] == 7).all()
    assert np.count_nonzero(found[1]) == 160
    assert np.array_equal(found[2:], labels[2:])
    assert not found[0].any()


@given(
    arrays(
        st.sampled_from([np.uint8, np.int32, np.bool_, np.float32]),
        array_shapes(min_dims=1, max_dims=4, max_side=4),
        elements=st.integers(0, 1),
    )
)
@settings(max_examples=30)
def test_any_array_comes_back(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("array")
    write_array(folder, array)
    found = read_array(folder)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fcntl")
def test_a_training_needs_no_locks(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    """But where there are none, it is offered to nobody."""

    def flock(*_: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", flock)
    session = begin(example)
    assert session.add([example]) is None
    crash(session)
    assert find_interrupted_sessions() == []
    assert session.folder.is_dir()
    session.remove()
    assert not session.folder.exists()


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.slow
def test_a_killed_training_goes_on() -> None:
    from napari_unet.training.steps import MoreLabels
    from napari_unet.training.train import iter_train

    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(SETTINGS)],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert child.stdout is not None
    try:
        name = child.stdout.readline().strip()
        assert (sessions_folder() / name / CHECKPOINT).is_file()
        time.sleep(0.3)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    (found,) = find_interrupted_sessions()
    session = found.resume()
    assert session.added is not None
    job = iter_train(session.first, config=session.config, checkpoint=session.checkpoint)
    first = next(job)
    assert first.step > 1
    second = job.send(MoreLabels(session.added))
    assert "taken in" in second.message
    assert "not taken in" not in second.message
    job.close()


def test_a_training_that_was_released_is_offered_by_the_process_that_had_it(
    example: Example,
) -> None:
    session = begin(example)
    session.checkpoint.write_bytes(b"weights")
    assert not find_interrupted_sessions()
    session.release()
    (found,) = find_interrupted_sessions()
    again = found.resume()
    assert not find_interrupted_sessions()  # it is at work again
    with pytest.raises(FileError, match="another window"):
        found.resume()
    with pytest.raises(FileError, match="another window"):
        found.claim()
    again.remove()
    again.release()
    assert not again.folder.exists()


def test_what_the_form_says_goes_with_what_was_added(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin(example, values={"examples": [{"image": "stack"}]})
    lines = [{"image": "stack"}, {"image": "another"}]
    assert session.add([example, example], {"examples": lines}) is None

    def full(*_: Any) -> None:
        raise FileError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr("napari_unet.recovery.training.write_examples", full)
        assert "disk is full" in str(session.add([example], {"examples": []}))
    crash(session)
    (found,) = find_interrupted_sessions()
    assert found.values["examples"] == lines
    assert len(found.resume().added or []) == 2
