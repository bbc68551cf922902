"""The network proposed from the data: ordinary data, anisotropy, small images, large objects."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from napari_unet.errors import SettingsError
from napari_unet.network.architecture import DataProperties, Proposal, propose_architecture
from napari_unet.unet_config import UNetConfig


def config_of(proposal: Proposal, ndim: int) -> UNetConfig:
    return UNetConfig.model_validate(
        {"ndim": ndim, "features": proposal.features, "strides": proposal.strides}
    )


@st.composite
def all_facts(draw: st.DrawFn) -> DataProperties:
    ndim = draw(st.sampled_from([2, 3]))
    lengths = st.tuples(*[st.integers(1, 7) | st.integers(1, 3000)] * ndim)
    sizes = st.tuples(*[st.none() | st.floats(0.01, 20)] * ndim)
    extents = st.tuples(*[st.floats(1, 2000)] * ndim)
    return DataProperties(
        ndim,
        tuple(draw(st.lists(lengths, min_size=1, max_size=3))),
        draw(st.none() | sizes),
        draw(st.none() | st.floats(0.5, 2000)),
        draw(st.none() | extents),
    )


@settings(max_examples=40, deadline=None)
@given(all_facts())
def test_every_proposal_is_sound(facts: DataProperties) -> None:
    proposal = propose_architecture(facts)
    config = config_of(proposal, facts.ndim)
    longest = [max(n) for n in zip(*facts.shapes, strict=True)]
    bound = {2: 256**2, 3: 32 * 96**2}[facts.ndim]
    assert config.strides == proposal.strides
    left_out = sum(facts.ndim == 3 and step[0] == 1 for step in config.strides)
    assert len(config.features) <= (5 if facts.ndim == 2 or left_out else 4)
    assert math.prod(proposal.patch) <= bound
    for patch, stride, length in zip(proposal.patch, config.stride, longest, strict=True):
        assert patch % stride == 0
        assert 0 < patch < length + stride
        assert stride == 1 or -(-length // stride) >= 4  # four pixels are left at the bottom
    assert len(proposal.reasons) >= 2
    assert all(r.endswith(".") and len(r) > 20 for r in proposal.reasons)
    assert propose_architecture(facts) == proposal


@settings(max_examples=25, deadline=None)
@given(all_facts(), st.integers(1, 5), st.data())
def test_given_values_are_kept(facts: DataProperties, levels: int, data: st.DataObject) -> None:
    features = tuple(data.draw(st.lists(st.integers(1, 99), min_size=levels, max_size=levels)))
    step = st.tuples(*[st.integers(1, 3)] * facts.ndim)
    strides = tuple(data.draw(st.lists(step, min_size=levels - 1, max_size=levels - 1)))
    assume(math.prod(math.prod(step) for step in strides) <= 1 << 16)
    patch = data.draw(st.tuples(*[st.integers(1, 300)] * facts.ndim))

    with_features = propose_architecture(facts, features=features)
    assert with_features.features == features
    config = config_of(with_features, facts.ndim)
    for lengths, pooled in zip(zip(*facts.shapes, strict=True), config.stride, strict=True):
        assert pooled == 1 or max(lengths) > 1

    every = propose_architecture(facts, features=features, strides=strides, patch=patch)
    stride = config_of(every, facts.ndim).stride
    assert every.features == features
    assert not strides or every.strides == strides
    assert every.patch == tuple(-(-n // s) * s for n, s in zip(patch, stride, strict=True))


# Ordinary data


@pytest.mark.parametrize("diameter", [None, 10.0, 25.0, 60.0])
@pytest.mark.parametrize("shape", [(256, 256), (520, 696), (2000, 3000)])
def test_ordinary_planes_get_the_usual_network(shape: Any, diameter: float | None) -> None:
    proposal = propose_architecture(DataProperties(2, (shape, (256, 256)), None, diameter))
    assert proposal.features == (16, 32, 64, 128, 256)
    assert proposal.strides == ((2, 2),) * 4
    assert proposal.patch == (256, 256)
    assert proposal.object_diameter == diameter


@pytest.mark.parametrize("pixel_size", [None, (0.3, 0.2, 0.2), (0.39, 0.2, 0.2)])
@pytest.mark.parametrize("diameter", [None, 10.0, 15.0])
def test_ordinary_stacks_get_the_usual_network(pixel_size: Any, diameter: float | None) -> None:
    proposal = propose_architecture(DataProperties(3, ((40, 512, 512),), pixel_size, diameter))
    assert proposal.features == (16, 32, 64)
    assert proposal.strides == ((2, 2, 2),) * 2
    assert proposal.patch == (32, 96, 96)


# Anisotropy


@pytest.mark.parametrize(
    ("z", "pooled"),
    [
        (0.3, [2, 2]),
        (0.5, [1, 2, 2]),  # one level more for each of the usual steps that leaves z out
        (0.99, [1, 2, 2]),
        (1.0, [1, 1, 2, 2]),
        (3.0, [1, 1, 1, 2]),
    ],
)
def test_z_is_pooled_once_the_other_axes_are_as_coarse(z: float, pooled: list[int]) -> None:
    facts = DataProperties(3, ((60, 400, 400),), (z, 0.25, 0.25))
    proposal = propose_architecture(facts)
    assert [s[0] for s in proposal.strides] == pooled
    assert all(s[1:] == (2, 2) for s in proposal.strides)
    assert any("Axis z" in r for r in proposal.reasons) == (1 in pooled)


def test_few_planes_do_not_limit_what_is_seen_within_a_plane() -> None:
    few = propose_architecture(DataProperties(3, ((10, 1024, 1024),)))
    assert few.strides == ((2, 2, 2), (1, 2, 2), (1, 2, 2))
    many = propose_architecture(DataProperties(3, ((100, 1024, 1024),)))
    in_plane = [config_of(each, 3).receptive_field[1] for each in (few, many)]
    assert in_plane[0] > 2 * in_plane[1]
    # where objects are known, they say how far to look
    small = DataProperties(3, ((10, 1024, 1024),), None, None, (3.0, 8.0, 8.0))
    assert len(propose_architecture(small).features) == 3
    large = DataProperties(3, ((10, 1024, 1024),), None, None, (6.0, 60.0, 60.0))
    assert config_of(propose_architecture(large), 3).receptive_field[1] >= 0.75 * 60


def test_without_a_pixel_size_the_objects_tell_how_coarse_z_is() -> None:
    shapes = ((60, 400, 400),)
    flat = propose_architecture(DataProperties(3, shapes, None, None, (5.0, 20.0, 20.0)))
    assert flat.strides == ((1, 2, 2), (1, 2, 2))
    assert flat.object_diameter == pytest.approx(2000 ** (1 / 3), abs=0.01)
    assert (
        propose_architecture(DataProperties(3, shapes, (None, 0.2, 0.2), None, (5.0, 20.0, 20.0)))
        == flat
    )
    # a pixel size is believed more than the objects, which may be flat themselves
    known = propose_architecture(
        DataProperties(3, shapes, (0.2, 0.2, 0.2), None, (5.0, 20.0, 20.0))
    )
    assert known.strides == ((2, 2, 2),) * 2
    # and fibres along an axis of a plane do not make its pixels unequal
    fibres = propose_architecture(DataProperties(2, ((400, 400),), None, None, (10.0, 60.0)))
    assert fibres.strides == ((2, 2),) * 4


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_pixel_size_counts_as_unknown(bad: float) -> None:
    shapes = ((60, 400, 400),)
    assert propose_architecture(DataProperties(3, shapes, (bad, 0.2, 0.2))) == propose_architecture(
        DataProperties(3, shapes)
    )


def test_what_a_short_or_coarse_axis_saves_goes_to_the_others() -> None:
    short = propose_architecture(DataProperties(3, ((12, 400, 400),))).patch
    coarse = propose_architecture(DataProperties(3, ((60, 400, 400),), (2.0, 0.2, 0.2))).patch
    for patch in (short, coarse):
        assert patch[0] < 32
        assert 96 < patch[1] == patch[2] <= 192
        assert math.prod(patch) > 0.8 * 32 * 96**2


# Depth and patch by the objects


def test_small_objects_need_fewer_levels_and_large_ones_in_3d_a_fourth() -> None:
    plane, stack = ((512, 512),), ((100, 512, 512),)
    levels_2d = [
        len(propose_architecture(DataProperties(2, plane, None, d)).features)
        for d in (3, 7, 12, 200)
    ]
    levels_3d = [
        len(propose_architecture(DataProperties(3, stack, None, d)).features)
        for d in (1.4, 20, 40, 99)
    ]
    assert (levels_2d, levels_3d) == ([3, 4, 5, 5], [2, 3, 4, 4])


@pytest.mark.parametrize("diameter", [20, 30, 40])
def test_a_patch_holds_the_object_and_its_surroundings(diameter: float) -> None:
    patch = propose_architecture(DataProperties(3, ((128, 512, 512),), None, diameter)).patch
    assert min(patch) >= 1.5 * diameter


def test_objects_larger_than_a_patch_are_said_to_be_seen_in_part() -> None:
    large = propose_architecture(DataProperties(3, ((200, 512, 512),), None, 150.0))
    assert max(large.patch) <= 1.5 * min(large.patch)  # as much as possible on each side
    assert "in part" in large.reasons[-1]
    assert (
        "in part"
        not in propose_architecture(DataProperties(3, ((200, 512, 512),), None, 20.0)).reasons[-1]
    )


def test_small_images_get_fewer_levels_and_their_own_size_as_patch() -> None:
    assert propose_architecture(DataProperties(2, ((20, 20),))).strides == ((2, 2), (2, 2))
    assert propose_architecture(DataProperties(2, ((20, 20),))).patch == (20, 20)
    assert propose_architecture(DataProperties(2, ((1, 1),))).features == (16,)
    assert propose_architecture(DataProperties(3, ((1, 300, 300),))).strides == ((1, 2, 2),) * 4
    # levels that are asked for pool as long as there is anything to pool
    deep = propose_architecture(DataProperties(2, ((4, 9),)), features=(4, 8, 16, 32, 64, 128, 256))
    assert config_of(deep, 2).stride == (4, 16)
    assert deep.strides[-1] == (1, 1)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"patch": (64, 64, 64)}, "patch"),
        ({"patch": (0, 64)}, "patch"),
        ({"features": (4, 0)}, "features"),
        ({"features": (4, 8), "strides": ((2, 2), (2, 2))}, "strides"),
        ({"strides": ((2, 2, 2),)}, "stride"),
        ({"strides": ((2, 9),)}, "strides"),
    ],
)
def test_given_values_that_do_not_fit_are_named(given: Any, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        propose_architecture(DataProperties(2, ((64, 64),)), **given)


@pytest.mark.process
def test_a_proposal_needs_no_torch() -> None:
    code = "import sys, napari_unet.network.architecture; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("diameter", [None, 20.0, 60.0, 120.0, 300.0])
def test_small_patches_still_hold_an_object_with_its_surroundings(diameter: float | None) -> None:
    facts = DataProperties(2, ((520, 696),), None, diameter)
    small, usual = propose_architecture(facts, for_cpu=True), propose_architecture(facts)
    assert math.prod(small.patch) <= math.prod(usual.patch)
    assert min(small.patch) >= min(1.4 * (diameter or 0), 256)
    assert (small.features, small.strides) == (usual.features, usual.strides)


def test_small_patches_of_volumes() -> None:
    facts = DataProperties(3, ((40, 300, 300),), (1.0, 0.3, 0.3), 12.0)
    assert math.prod(propose_architecture(facts, for_cpu=True).patch) <= 16 * 64**2
    assert math.prod(propose_architecture(facts).patch) > 2 * 16 * 64**2
