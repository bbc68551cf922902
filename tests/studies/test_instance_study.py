"""The representations of the study: what is encoded is decoded, turned and cut as it should be."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_unet.metrics import evaluate

STUDIES = Path(__file__).parents[2] / "studies"
KEYS = ("A", "B", "C", "D", "E", "F", "G")


@pytest.fixture(scope="module")
def study():
    """The study's script and its parts, importable for these tests alone."""
    before = set(sys.modules)
    sys.path.insert(0, str(STUDIES))
    try:
        parts = {
            name: importlib.import_module(f"instance_study.{name}")
            for name in ("representation", "synthetic", "properties")
        }
        parts["kinds"] = {
            kind.key: kind for kind in importlib.import_module("study_instances").REPRESENTATIONS
        }
        yield parts
    finally:
        sys.path.remove(str(STUDIES))
        for name in set(sys.modules) - before:
            if name == "study_instances" or name.startswith("instance_study"):
                del sys.modules[name]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("shape", [(64, 70), (24, 40, 44)])
def test_some_decoding_returns_touching_objects(study, key, shape):
    labels = study["synthetic"].discs(shape, 19.0, 11.0)
    representation = study["kinds"][key](len(shape), 8.0)
    maps = np.nan_to_num(representation.encode(labels))
    assert maps.shape == (representation.channels, *shape)
    assert any(
        evaluate(decoder.decode(maps, 0.5, value), labels).ap[0.9] == 1
        for decoder in representation.decoders
        for value in decoder.grid
    )


@pytest.mark.parametrize("key", KEYS)
def test_turned_maps_are_the_maps_of_the_turned_labels(study, key):
    labels = study["synthetic"].branched()[10:110, 10:100]
    representation = study["kinds"][key](2, 8.0)
    turn = study["representation"].turn
    for quarters, flips in ((1, ()), (2, (-1,)), (3, (-2, -1))):
        turned = representation.turned(representation.cached(labels), quarters, flips)
        expected = representation.encode(np.ascontiguousarray(turn(labels, quarters, flips)))
        inside = np.isfinite(expected)
        assert (inside == np.isfinite(turned)).all()
        # equally central pixels may change places
        assert np.mean(np.abs(turned - expected)[inside] > 0.1) < 0.02


@pytest.mark.parametrize("key", KEYS)
def test_what_a_cut_leaves_determined_is_right(study, key):
    properties = study["properties"]
    labels = study["synthetic"].discs((200, 200))
    representation = study["kinds"][key](2, 10.0)
    window = (slice(35, 135), slice(48, 148))
    edge = properties.edge_distance((100, 100), (True, True))
    truth = representation.encode(labels)[(slice(None), *window)]
    count, changed, opened, wrong = properties.compare(representation, labels[window], truth, edge)
    assert wrong == 0
    assert 0 < changed <= opened < count


def test_shapes_are_whole_and_numbered_from_one(study):
    from scipy import ndimage

    for name, labels in study["synthetic"].cases().items():
        values = np.unique(labels[labels > 0])
        assert (values == np.arange(1, values.size + 1)).all(), name
        for value in values[::7]:
            assert ndimage.label(labels == value)[1] == 1, name
