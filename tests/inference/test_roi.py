"""A part of an image is predicted and decoded as it is in the whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_unet.errors import InputError
from napari_unet.image.roi import Roi, unpack_mask
from napari_unet.inference.prediction import predict
from napari_unet.inference.roi import RoiPrediction, decode_plane, iter_decode_roi
from napari_unet.inference.segmentation import iter_run, segment
from napari_unet.network.model import Model
from napari_unet.progress import drain
from napari_unet.samples import load_sample

MakeModel = Callable[..., Model]
FIXED: dict[str, Any] = {"device": "cpu", "precision": "float32"}
SIZES = {"T": 2, "Z": 5, "C": 2, "Y": 43, "X": 38}


def predict_roi(image: Any, model: Any, roi: Roi, **options: Any) -> RoiPrediction:
    found = drain(iter_run(image, model, roi=roi, labels=False, scores=True, **options)).scores
    assert found is not None
    return found


def image_of(axes: str) -> np.ndarray:
    shape = tuple(SIZES[axis] for axis in axes)
    return np.random.default_rng(3).gamma(2, 100, shape).astype(np.uint16)


def some_range(size: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(0, size - 1), st.integers(1, size)).map(
        lambda pair: (min(pair[0], pair[1] - 1), max(pair[0] + 1, pair[1]))
    )


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    axes=st.sampled_from(["YX", "XY", "TYX", "ZYX", "YXC", "XTZY"]),
    t=some_range(2),
    z=some_range(5),
    y=some_range(43),
    x=some_range(38),
    tile=st.sampled_from([8, 16, 999]),
    zoom=st.sampled_from([1.0, 0.6, 1.7]),
)
def test_scores_of_a_part_equal_the_whole(
    make_model: MakeModel, axes: str, t: Any, z: Any, y: Any, x: Any, tile: int, zoom: float
) -> None:
    channels = 2 if "C" in axes else 1
    model = make_model(in_channels=channels, features=(4, 8), object_diameter=10.0)
    image = image_of(axes)
    run = {"axes": axes, "tile": tile, "object_diameter": 10 / zoom, **FIXED}
    whole = predict(image, model, **run)
    part = predict_roi(image, model, Roi(t=t, z=z, y=y, x=x), **run)
    ranges = {"T": t, "Z": z, "Y": y, "X": x}
    index = tuple(slice(*ranges[a]) if a != "C" else slice(None) for a in whole.axes)
    assert part.prediction.axes == whole.axes
    assert part.corner == tuple(ranges[a][0] for a in axes if a != "C")
    np.testing.assert_allclose(part.scores, whole.scores[index], atol=1e-4)


def test_scores_of_a_part_of_a_volume_equal_the_whole(make_model: MakeModel) -> None:
    model = make_model(ndim=3, features=(4, 8), strides=((1, 2, 2),))
    image = np.random.default_rng(5).gamma(2, 100, (9, 40, 44)).astype(np.float32)
    whole = predict(image, model, axes="ZYX", tile=16, **FIXED)
    roi = Roi(z=(3, 8), y=(7, 29), x=(30, 44))
    part = predict_roi(image, model, roi, axes="ZYX", **FIXED)
    np.testing.assert_allclose(part.scores, whole.scores[:, 3:8, 7:29, 30:44], atol=1e-4)


def test_blended_parts_have_no_dark_border(make_model: MakeModel) -> None:
    """The ramps of a part end at its edge; they do not fade into nothing."""
    model = make_model(norm="instance", features=(4, 8))
    image = image_of("YX")
    roi = Roi(y=(10, 30), x=(8, 30))
    one = predict_roi(image, model, roi, axes="YX", tile=999, **FIXED)
    many = predict_roi(image, model, roi, axes="YX", tile=8, **FIXED)
    assert np.abs(one.scores - many.scores).mean() < 0.1
    edge = np.abs(one.scores - many.scores)[:, 0]
    assert edge.mean() < 0.1


def test_objects_at_the_edge_of_a_part_are_those_of_the_whole() -> None:
    image = load_sample("nuclei_2d").image[:256, :256]
    whole = segment(image, "nuclei", **FIXED)
    roi = Roi(y=(60, 200), x=(40, 250))
    found = predict_roi(image, "nuclei", roi, **FIXED)
    result = drain(iter_decode_roi(found))
    expected = whole[60:200, 40:250]
    assert result.labels.shape == expected.shape
    pairs = np.unique(np.stack([expected.ravel(), result.labels.ravel()]), axis=1)
    same = (expected > 0) == (result.labels > 0)
    assert same.mean() > 0.999
    ids = np.unique(result.labels)
    assert ids.tolist() == list(range(ids.size))
    assert result.record["objects"] == ids.size - 1
    assert result.record["extent"] == {"Y": [60, 200], "X": [40, 250]}
    # every object of the whole has one partner, but for stray pixels
    counts = {
        tuple(p): np.count_nonzero((expected == p[0]) & (result.labels == p[1])) for p in pairs.T
    }
    large = [pair for pair, count in counts.items() if count > 20]
    assert len({a for a, _ in large}) == len(large) == len({b for _, b in large})


def test_nothing_lies_outside_the_outline() -> None:
    image = load_sample("nuclei_2d").image[:128, :160]
    y, x = np.mgrid[:100, :120]
    inside = (y - 50) ** 2 + (x - 60) ** 2 < 40**2
    roi = Roi(y=(10, 110), x=(20, 140), inside=inside)
    found = predict_roi(image, "nuclei", roi, **FIXED)
    labels = drain(iter_decode_roi(found)).labels
    assert labels.shape == (100, 120)
    assert not labels[~inside].any()
    assert labels[inside].any()
    turned = predict_roi(image.T, "nuclei", roi, axes="XY", **FIXED)
    labels = drain(iter_decode_roi(turned)).labels
    assert labels.shape == (120, 100)
    assert not labels[~inside.T].any()
    assert labels[inside.T].any()


def test_a_part_without_objects_says_so(make_model: MakeModel) -> None:
    image = np.zeros((200, 200), np.uint8)
    y, x = np.mgrid[:200, :200]
    image[(y - 160) ** 2 + (x - 160) ** 2 < 100] = 200
    found = predict_roi(image, "nuclei", Roi(y=(0, 60), x=(0, 60)), **FIXED)
    record = drain(iter_decode_roi(found)).record
    assert record["empty"]
    assert record["message"].startswith("No objects were found")


def test_classes_are_counted_inside_the_outline(make_model: MakeModel) -> None:
    inside = np.zeros((20, 30), bool)
    inside[3:6, 4:8] = True
    roi = Roi(y=(5, 25), x=(2, 32), inside=inside)
    model = make_model(task="semantic")
    found = predict_roi(image_of("YX"), model, roi, axes="YX", **FIXED)
    record = drain(iter_decode_roi(found)).record
    assert sum(record["pixels"].values()) == 12
    np.testing.assert_array_equal(unpack_mask(record["outline"]), inside)


@pytest.mark.parametrize("axes", ["TZYX", "XZTY"])
def test_one_plane_is_decoded_as_in_the_whole(axes: str) -> None:
    sample = load_sample("nuclei_3d").image
    image = np.stack([sample, sample[::-1]])[:, 8:16]
    image = image.transpose(["TZYX".index(axis) for axis in axes])
    run = {"axes": axes, "volume_mode": "slices", **FIXED}
    roi = Roi(t=(1, 2), z=(2, 7))
    found = predict_roi(image, "nuclei", roi, **run)
    result = drain(iter_decode_roi(found))
    planes = result.labels.transpose([axes.index(axis) for axis in "TZYX"])
    assert planes.shape[:2] == (1, 5)
    for z in range(5):
        plane = decode_plane(found, 0, z)
        plane = plane if axes == "TZYX" else plane.T
        assert (plane > 0).any()
        np.testing.assert_array_equal(plane > 0, planes[0, z] > 0)
        assert plane.max() == np.unique(planes[0, z]).size - 1


def test_ranges_beyond_the_image_are_told() -> None:
    image = np.zeros((40, 50), np.uint8)
    for roi in (Roi(y=(30, 41)), Roi(x=(5, 5)), Roi(y=(-1, 3))):
        with pytest.raises(InputError, match="choose a region that lies on the image"):
            predict_roi(image, "nuclei", roi)
    with pytest.raises(InputError, match="outline"):
        predict_roi(image, "nuclei", Roi(inside=np.ones((3, 3), bool)))
    # a range of an axis that the image has not does not matter
    assert predict_roi(image, "nuclei", Roi(z=(7, 9))).corner == (0, 0)


@pytest.mark.parametrize("task", ["instance", "semantic"])
@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("tile", [16, 999])
def test_labels_are_the_same_whether_scores_are_kept_or_not(
    make_model: MakeModel, tmp_path: Path, task: str, norm: str, tile: int
) -> None:
    """One run to labels, one that keeps the scores too, on disk or not, and decoding them later."""
    model = make_model(task=task, norm=norm, features=(4, 8))
    run = {"axes": "ZYX", "tile": tile, "threshold": 0.4, **FIXED}
    roi = Roi(z=(1, 4), y=(5, 40), x=(3, 30), inside=np.tri(35, 27, 4, dtype=bool))
    for part in (None, roi):
        alone = drain(iter_run(image_of("ZYX"), model, roi=part, **run))
        assert alone.scores is None
        assert alone.labels is not None
        assert alone.labels.labels.any()
        for number, scores in enumerate((True, tmp_path / f"{part is None}.zarr")):
            both = drain(iter_run(image_of("ZYX"), model, roi=part, scores=scores, **run))
            assert both.scores is not None
            assert both.labels is not None
            later = drain(iter_decode_roi(both.scores))
            for other in (both.labels, later):
                np.testing.assert_array_equal(other.labels, alone.labels.labels)
                assert without_times(other.record) == without_times(alone.labels.record)
            assert isinstance(both.scores.prediction.scores, np.ndarray) == (number == 0)


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in record if key not in ("started", "seconds")}


def test_labels_of_a_part_are_not_written() -> None:
    with pytest.raises(InputError, match="part of an image"):
        drain(iter_run(image_of("YX"), "nuclei", roi=Roi(), output="labels.zarr"))
