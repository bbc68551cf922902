"""From images to labels: instances, classes, stacks, and results that are empty."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.card import InstanceRepresentation
from napari_unet.errors import FileError, ModelError, SettingsError
from napari_unet.inference.decoding import decode, iter_decode
from napari_unet.inference.frames import ScoreBuffer, frame_reader
from napari_unet.inference.prediction import predict
from napari_unet.inference.segmentation import iter_segment, iter_segmentation, segment
from napari_unet.metrics import evaluate
from napari_unet.network.model import Model
from napari_unet.progress import Progress, drain

MakeModel = Callable[..., Model]
FIXED = {"device": "cpu", "precision": "float32"}
NOISE = np.random.default_rng(6).gamma(2, 100, (2, 3, 25, 32)).astype(np.uint16)  # TZYX


def spheres(shape: tuple[int, ...], *places: tuple[tuple[float, ...], float]) -> np.ndarray:
    """Spheres (or disks), labelled 1, 2, ...."""
    grid = np.indices(shape)
    labels = np.zeros(shape, np.int32)
    for label, (centre, radius) in enumerate(places, start=1):
        labels[sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2] = label
    return labels


DISKS = spheres((50, 60), ((12, 14), 8), ((33, 20), 9), ((20, 44), 10))
VOLUME = spheres((18, 50, 60), ((6.5, 12, 14), 6), ((9.5, 33, 20), 7), ((8.5, 20, 44), 8))


def image_of(labels: np.ndarray) -> np.ndarray:
    return np.where(labels > 0, 900, 100).astype(np.uint16)


# ------------------------------------------------------------------------------ instances


@pytest.mark.parametrize("tile", ["auto", 16])
def test_disks_are_found(bright_model: MakeModel, tile: Any) -> None:
    found = segment(image_of(DISKS), bright_model(), tile=tile, **FIXED)
    assert found.dtype == np.int32
    assert evaluate(found, DISKS).ap[0.95] == 1
    assert found.max() == 3


def test_min_size_removes_objects(bright_model: MakeModel) -> None:
    sizes = np.sort(np.bincount(DISKS.ravel())[1:])
    found = segment(image_of(DISKS), bright_model(), min_size=int(sizes[0]) + 1, **FIXED)
    assert np.sort(np.bincount(found.ravel())[1:]).tolist() == sizes[1:].tolist()
    assert np.unique(found).tolist() == [0, 1, 2]


def test_a_2d_model_links_a_stack_through_z(bright_model: MakeModel) -> None:
    for mode in ("auto", "linked"):
        found = segment(image_of(VOLUME), bright_model(), axes="ZYX", volume_mode=mode, **FIXED)
        assert evaluate(found, VOLUME).ap[0.95] == 1
    found_3d = segment(image_of(VOLUME), bright_model(ndim=3), axes="ZYX", **FIXED)
    assert evaluate(found_3d, found).ap[0.95] == 1


def test_slices_have_labels_of_their_own(bright_model: MakeModel) -> None:
    found = segment(image_of(VOLUME), bright_model(), axes="ZYX", volume_mode="slices", **FIXED)
    np.testing.assert_array_equal(found > 0, VOLUME > 0)
    assert_unique_labels(found)
    assert found.max() == sum(len(np.unique(plane)) - 1 for plane in VOLUME)


def assert_unique_labels(frames: np.ndarray) -> None:
    """No label occurs in two frames, and the labels have no gap."""
    ids = [set(np.unique(frame[frame > 0]).tolist()) for frame in frames]
    assert sum(map(len, ids)) == len(set().union(*ids)) == frames.max()


@pytest.mark.parametrize("ndim", [2, 3])
def test_time_points_are_never_linked(bright_model: MakeModel, ndim: int) -> None:
    core = VOLUME[6:11]  # the objects reach the first and the last plane
    image = np.stack([image_of(core)] * 3)
    found = segment(image, bright_model(ndim=ndim), axes="TZYX", **FIXED)
    assert_unique_labels(found)
    assert found.max() == 9
    for frame in found:
        assert evaluate(frame, core).ap[0.95] == 1


def test_a_time_series_of_planes_is_not_linked(bright_model: MakeModel) -> None:
    found = segment(np.stack([image_of(DISKS)] * 3), bright_model(), axes="TYX", **FIXED)
    assert_unique_labels(found)
    assert found.max() == 9


@pytest.mark.parametrize("axes", ["XY", "YXC", "CYX"])
def test_labels_have_the_axes_of_the_image_less_c(bright_model: MakeModel, axes: str) -> None:
    image, expected = image_of(DISKS), segment(image_of(DISKS), bright_model(), **FIXED)
    if axes == "XY":
        found = segment(image.T, bright_model(), axes=axes, **FIXED).T
    else:
        found = segment(np.expand_dims(image, axes.index("C")), bright_model(), axes=axes, **FIXED)
    assert found.shape == expected.shape
    assert evaluate(found, expected).ap[0.95] == 1


def test_a_resampled_image_gets_labels_on_its_own_grid(bright_model: MakeModel) -> None:
    model = bright_model(pixel_size=(2.0, 2.0))
    found = segment(image_of(DISKS), model, axes="YX", pixel_size=1.0, **FIXED)
    assert found.shape == DISKS.shape
    assert evaluate(found, DISKS).ap[0.85] == 1


# ------------------------------------------------------------------------------ empty results


@pytest.mark.parametrize(
    "image",
    [np.full((20, 30), 7, np.uint8), np.full((1, 1), 9, np.uint16), np.zeros((3, 20, 30))],
    ids=["constant", "one pixel", "black stack"],
)
def test_a_constant_image_has_no_objects_and_says_so(
    make_model: MakeModel, caplog: pytest.LogCaptureFixture, image: np.ndarray
) -> None:
    found = segment(image, make_model(), **FIXED)
    assert found.shape == image.shape
    assert found.dtype == np.int32
    assert not found.any()
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("napari_unet.inference.segmentation", logging.WARNING)
    assert "No objects were found: the image is constant" in record.message
    assert "lower" not in record.message  # no threshold can help


def test_an_empty_result_names_the_range_of_the_scores(
    make_model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    image = NOISE[0, 0]
    scores = predict(image, make_model(), **FIXED)
    low, high = float(scores.scores[0].min()), float(scores.scores[0].max())
    threshold = (high + 1) / 2
    assert not segment(image, make_model(), tile=8, threshold=threshold, **FIXED).any()
    assert not decode(scores, threshold=threshold).any()
    assert len(caplog.messages) == 2
    for message in caplog.messages:
        said = re.search(r"between ([\d.]+) and ([\d.]+);", message)
        assert said is not None
        assert [float(s) for s in said.groups()] == pytest.approx([low, high], abs=2e-3)
        assert "lower threshold" in message


def test_a_result_with_objects_is_not_commented(
    bright_model: MakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    segment(image_of(DISKS), bright_model(), **FIXED)
    assert not caplog.records


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1)])
@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_one_pixel_axes_are_segmented(make_model: MakeModel, shape: Any, task: str) -> None:
    image = np.random.default_rng(0).random(shape)
    assert segment(image, make_model(task=task), axes="YX", tile=8, **FIXED).shape == shape
    volume = image[None]
    model = make_model(ndim=3, task=task)
    assert segment(volume, model, axes="ZYX", **FIXED).shape == (1, *shape)


# ------------------------------------------------------------------------------ semantic


@pytest.mark.parametrize(
    ("values", "dtype"), [((0, 1, 2), np.uint8), ((7, 0, 255), np.uint8), ((0, 300), np.uint16)]
)
@pytest.mark.parametrize("tile", [8, 999])
def test_classes_are_the_values_of_the_card(
    make_model: MakeModel, values: tuple[int, ...], dtype: type, tile: int
) -> None:
    model = make_model(task="semantic", values=values)
    found = segment(NOISE, model, axes="TZYX", tile=tile, **FIXED)
    assert found.dtype == dtype
    scores = predict(NOISE, model, axes="TZYX", **FIXED).scores  # TCZYX
    np.testing.assert_array_equal(found, np.array(values)[scores.argmax(1)])
    assert len(np.unique(found)) > 1


# ------------------------------------------------------------------------------ decode


@settings(max_examples=12)
@given(
    st.sampled_from(["instance", "semantic"]),
    st.sampled_from(["YX", "ZYX", "TZYX", "XYZT", "TYX"]),
    st.sampled_from([2, 3]),
    st.sampled_from([8, 16, 999]),
    st.booleans(),
)
def test_decoding_a_prediction_is_segmenting(
    make_model: MakeModel, task: str, axes: str, ndim: int, tile: int, flips: bool
) -> None:
    ndim = ndim if "Z" in axes else 2
    index = tuple(slice(None) if letter in axes else 0 for letter in "TZYX")
    kept = [letter for letter in "TZYX" if letter in axes]
    image = NOISE[index].transpose([kept.index(letter) for letter in axes])
    model = make_model(ndim=ndim, task=task)
    arguments = {"axes": axes, "tile": tile, "flips": flips, **FIXED}
    labels = segment(image, model, **arguments)
    prediction = predict(image, model, **arguments)
    found = decode(prediction)
    assert found.dtype == labels.dtype
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize(
    "how",
    [
        {"threshold": 0.3},
        {"split_depth": 0.8},
        {"min_size": 12},
        {"volume_mode": "slices"},
        {"link_overlap": 0.95},
    ],
)
def test_decoding_takes_the_settings_of_the_segmentation(
    make_model: MakeModel, how: dict[str, Any]
) -> None:
    model = make_model()
    prediction = predict(NOISE, model, axes="TZYX", **FIXED)
    found = decode(prediction, **how)
    np.testing.assert_array_equal(found, segment(NOISE, model, axes="TZYX", **how, **FIXED))
    assert not np.array_equal(found, decode(prediction))


def test_scores_on_disk_are_decoded_too(make_model: MakeModel, tmp_path: Path) -> None:
    model = make_model()
    disk = predict(NOISE, model, axes="TZYX", output=tmp_path / "scores.zarr", **FIXED)
    memory = predict(NOISE, model, axes="TZYX", **FIXED)
    np.testing.assert_array_equal(decode(disk), decode(memory))


# ------------------------------------------------------------------------------ the job


def test_the_generators_yield_progress_and_return_the_result(bright_model: MakeModel) -> None:
    image = np.stack([image_of(DISKS)] * 2)
    steps, results = [], []
    for job in (
        iter_segment(image, bright_model(), axes="TYX", tile=32, **FIXED),
        iter_segmentation(image, bright_model(), axes="TYX", tile=32, **FIXED),
    ):
        while True:
            try:
                steps.append(next(job))
            except StopIteration as end:
                results.append(end.value)
                break
    assert all(isinstance(step, Progress) for step in steps)
    assert (steps[-1].done, steps[-1].total) == (8, 8)
    labels, segmentation = results
    np.testing.assert_array_equal(segmentation.labels, labels)
    assert segmentation.axes == "TYX"
    assert segmentation.record["objects"] == 6
    assert segmentation.record["message"] == "6 objects"
    assert segmentation.record["empty"] is False


@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_a_cancelled_segmentation_leaves_nothing(
    make_model: MakeModel, tmp_path: Path, task: str
) -> None:
    target = tmp_path / "labels.zarr"
    model = make_model(task=task)
    job = iter_segment(NOISE, model, axes="TZYX", tile=8, output=target, **FIXED)
    while next(job).done < 15:
        pass
    assert list(tmp_path.iterdir())
    job.close()
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------ refusals


def test_a_regression_model_is_referred_to_predict(make_model: MakeModel) -> None:
    model = make_model(task="regression")
    prediction = predict(NOISE[0, 0], model, **FIXED)
    for refused in (lambda: segment(NOISE[0, 0], model), lambda: decode(prediction)):
        with pytest.raises(ModelError, match="use predict instead of segment"):
            refused()


def test_unknown_instance_maps_are_refused(make_model: MakeModel) -> None:
    future = make_model(instances=InstanceRepresentation(name="flows", version=3))
    with pytest.raises(ModelError, match="update napari-unet-torch"):
        segment(NOISE[0, 0], future, **FIXED)


@pytest.mark.parametrize(
    ("field", "value"), [("threshold", 1.5), ("min_size", -1), ("link_overlap", 0), ("thresh", 0.5)]
)
def test_faulty_settings_are_named(make_model: MakeModel, field: str, value: float) -> None:
    with pytest.raises(SettingsError, match=field):
        segment(NOISE[0, 0], make_model(), **{field: value}, **FIXED)
    with pytest.raises(SettingsError, match=field):
        decode(predict(NOISE[0, 0], make_model(), **FIXED), **{field: value})


def test_decode_keeps_the_settings_of_its_prediction(make_model: MakeModel) -> None:
    how = {"threshold": 0.7, "min_size": 30}
    image = NOISE[0, 0]
    prediction = predict(image, make_model(), **how, **FIXED)
    labels = segment(image, make_model(), **how, **FIXED)
    np.testing.assert_array_equal(decode(prediction), labels)
    other = segment(image, make_model(), **(how | {"min_size": 0}), **FIXED)
    np.testing.assert_array_equal(decode(prediction, min_size=0), other)
    assert other.max() > labels.max()


@pytest.mark.parametrize(
    ("task", "ndim", "axes"),
    [
        *(("instance", ndim, axes) for ndim in (2, 3) for axes in ("ZYX", "TZYX", "XZTY")),
        ("semantic", 2, "XZTY"),
        ("semantic", 3, "ZYX"),
    ],
)
def test_frames_too_large_for_memory_give_the_same_labels(
    make_model: MakeModel,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    axes: str,
    ndim: int,
    task: str,
) -> None:
    """On disk meanwhile, and decoded block by block: from an image and from kept scores."""
    model = make_model(ndim=ndim, task=task)
    noise = NOISE if "T" in axes else NOISE[0]
    image = noise.transpose(["TZYX"[-noise.ndim :].index(axis) for axis in axes])
    expected = segment(image, model, axes=axes, min_size=3, **FIXED)
    prediction = predict(image, model, axes=axes, output=tmp_path / "scores.zarr", **FIXED)
    monkeypatch.setattr("napari_unet.inference.frames.LARGEST_FRAME_BYTES", 100)
    monkeypatch.setattr("napari_unet.inference.frames.BLOCK", {2: (16, 9), 3: (3, 16, 9)})
    out = tmp_path / "out"
    out.mkdir()
    labels = segment(image, model, axes=axes, min_size=3, output=out / "labels.zarr", **FIXED)
    np.testing.assert_array_equal(labels[...], expected)
    assert [path.name for path in out.iterdir()] == ["labels.zarr"]
    np.testing.assert_array_equal(segment(image, model, axes=axes, min_size=3, **FIXED), expected)
    np.testing.assert_array_equal(decode(prediction, min_size=3), expected)
    decoded = decode(prediction, min_size=3, output=out / "decoded.zarr")
    np.testing.assert_array_equal(decoded[...], expected)
    assert decoded.attrs["napari_unet"]["operation"] == "segment"


def test_cancelling_a_large_frame_leaves_nothing_behind(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("napari_unet.inference.frames.LARGEST_FRAME_BYTES", 100)
    monkeypatch.setattr("napari_unet.inference.frames.BLOCK", {2: (16, 16), 3: (3, 16, 16)})
    job = iter_segment(
        NOISE[0], make_model(), axes="ZYX", tile=16, output=tmp_path / "labels.zarr", **FIXED
    )
    for step in job:
        if step.phase == "finding":
            break
    assert len(list(tmp_path.iterdir())) == 2  # scores and labels
    job.close()
    assert list(tmp_path.iterdir()) == []


def test_scores_that_vanished_from_disk_are_not_taken_for_an_empty_result(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    prediction = predict(NOISE[0], make_model(), axes="ZYX", output=tmp_path / "s.zarr", **FIXED)
    assert decode(prediction).max() > 0
    shutil.rmtree(tmp_path / "s.zarr" / "c")
    with pytest.raises(FileError, match="not there any more"):
        decode(prediction)
    monkeypatch.setattr("napari_unet.inference.frames.LARGEST_FRAME_BYTES", 100)
    frame = ScoreBuffer(2, (8, 8), tmp_path)
    region = slice(0, 8), slice(0, 8)
    frame.write(0, region, np.ones((2, 8, 8), np.float32))
    shutil.rmtree(next(tmp_path.glob(".*.partial/**/c")))
    with pytest.raises(FileError, match="run the prediction again"):
        frame_reader(frame, 0, None)(region)
    frame.close()


def test_a_disk_without_room_is_told_in_words(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("napari_unet.inference.frames.LARGEST_FRAME_BYTES", 100)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(FileError, match="segment a part of the image"):
        ScoreBuffer(2, (8, 8), tmp_path / "file")


def test_the_record_says_what_was_resolved(make_model: MakeModel) -> None:
    stack = NOISE[0]
    run = drain(iter_segmentation(stack, make_model(), axes="ZYX", **FIXED))
    assert run.record["settings"]["volume_mode"] == "linked"
    assert run.record["in_blocks"] is False
    assert {"numba", "scipy", "edt", "torch"} <= set(run.record["versions"])
    classes = drain(iter_segmentation(stack, make_model(task="semantic"), axes="ZYX", **FIXED))
    assert classes.record["settings"]["volume_mode"] == "slices"
    assert sum(classes.record["pixels"].values()) == stack.size


def test_one_class_alone_is_said_to_be_empty(make_model: MakeModel) -> None:
    model = make_model(task="semantic")
    scores = np.zeros((3, 8, 8), np.float32)
    scores[0] = 1
    prediction = replace(predict(NOISE[0, 0], model, axes="YX", **FIXED), scores=scores, axes="CYX")
    record = drain(iter_decode(prediction)).record
    assert record["empty"]
    assert "Only class 0 was found" in record["message"]
