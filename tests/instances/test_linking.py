"""Objects of neighbouring planes get one label through z."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.inference.segmentation import segment
from napari_unet.instances.linking import PlaneLinker, cut_at_waists, shortest_chain
from napari_unet.metrics import evaluate
from napari_unet.samples import load_sample


def spheres(shape: tuple[int, ...], *places: tuple[tuple[float, ...], float]) -> np.ndarray:
    """Spheres (centre, radius) labelled 1, 2, ... in a volume (Z, Y, X)."""
    grid = np.indices(shape)
    volume = np.zeros(shape, np.int32)
    for label, (centre, radius) in enumerate(places, start=1):
        inside = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2
        volume[inside] = label
    return volume


def as_planes(volume: np.ndarray, seed: int = 0) -> list[np.ndarray]:
    """Planes with labels from 1 in an order that says nothing of the plane before."""
    rng = np.random.default_rng(seed)
    planes = []
    for plane in volume:
        ids = np.unique(plane[plane > 0])
        table = np.zeros(volume.max() + 1, np.int32)
        table[ids] = rng.permutation(ids.size) + 1
        planes.append(table[plane])
    return planes


def link(planes: list[np.ndarray], overlap: float | None, count: int = 0) -> np.ndarray:
    linker = PlaneLinker(overlap, count)
    return np.stack([linker.link(plane) for plane in planes])


def assemble(planes: list[np.ndarray], overlap: float = 0.5, count: int = 0) -> np.ndarray:
    """Linked, cut at waists, short chains dropped."""
    linker = PlaneLinker(overlap, count)
    linked = [linker.link(plane) for plane in planes]
    final = linker.finish()
    found = np.stack([final.renumber(z, plane) for z, plane in enumerate(linked)])
    assert found.max(initial=0) in (0, final.count)
    assert final.changes == (not np.array_equal(found, np.stack(linked)))
    return found


TRUTH = spheres(
    (24, 60, 70), ((7.5, 15, 15), 7), ((12.5, 40, 20), 9), ((15.5, 18, 45), 7), ((9.5, 42, 55), 6)
)


@pytest.mark.parametrize("seed", range(5))
def test_spheres_get_one_label_each(seed: int) -> None:
    found = assemble(as_planes(TRUTH, seed))
    scores = evaluate(found, TRUTH)
    assert scores.ap[0.95] == 1
    assert found.max() == 4
    assert found.dtype == np.int32


def test_without_linking_each_plane_has_its_own_labels() -> None:
    planes = as_planes(TRUTH)
    found = link(planes, None)
    seen: set[int] = set()
    for plane, linked in zip(planes, found, strict=True):
        ids = set(np.unique(linked[linked > 0]).tolist())
        assert len(ids) == plane.max()
        assert not ids & seen
        seen |= ids
    assert seen == set(range(1, len(seen) + 1))


def test_spheres_above_each_other_stay_apart() -> None:
    """A gap of one empty plane ends an object."""
    truth = spheres((19, 30, 30), ((4.5, 15, 15), 4), ((14.5, 15, 15), 4))
    found = link(as_planes(truth), 0.01)
    assert [np.unique(plane).tolist() for plane in found][5] == [0, 1]
    assert [np.unique(plane).tolist() for plane in found][14] == [0, 2]
    assert found.max() == 2


def test_too_little_overlap_is_not_linked() -> None:
    planes = [np.array([[1, 1, 1, 1, 0, 0, 0]]), np.array([[0, 0, 0, 1, 1, 1, 1]])]  # 1 of 4
    assert link(planes, 0.26)[1].max() == 2
    assert link(planes, 0.25)[1].max() == 1


def test_a_small_section_inside_a_large_one_is_linked() -> None:
    """At its pole an object shrinks from one plane to the next."""
    planes = [np.array([[0, 1, 1, 1, 1, 1, 1, 1]]), np.array([[0, 0, 0, 1, 0, 0, 0, 0]])]
    assert link(planes, 0.9)[1].max() == 1


def test_a_split_gives_the_label_to_the_better_half() -> None:
    planes = [np.array([[1] * 10]), np.array([[1, 1, 1, 0, 2, 2, 2, 2, 2, 2]])]
    np.testing.assert_array_equal(link(planes, 0.1)[1], [[2, 2, 2, 0, 1, 1, 1, 1, 1, 1]])


def test_two_objects_that_merge_pass_on_one_label() -> None:
    planes = [np.array([[1, 1, 1, 0, 2, 2, 2, 2, 2, 2]]), np.array([[1] * 10])]
    np.testing.assert_array_equal(link(planes, 0.1)[1], [[2] * 10])


def test_labels_go_on_from_the_count() -> None:
    found = link([np.array([[1, 0, 2]]), np.array([[1, 0, 2]])], 0.5, count=40)
    np.testing.assert_array_equal(found, [[[41, 0, 42]]] * 2)


@settings(max_examples=25)
@given(
    st.lists(
        st.lists(st.integers(0, 3), min_size=12, max_size=12).map(np.array), min_size=1, max_size=5
    ),
    st.none() | st.floats(0.01, 1),
)
def test_linking_only_renames(rows: list[np.ndarray], overlap: float | None) -> None:
    """Within a plane objects stay what they are, and labels are numbered without gaps."""
    planes = [np.unique(row, return_inverse=True)[1].reshape(1, 12) for row in rows]
    planes = [p if 0 in row else p + 1 for p, row in zip(planes, rows, strict=True)]
    found = link(planes, overlap)
    for plane, linked in zip(planes, found, strict=True):
        pairs = set(zip(plane.ravel().tolist(), linked.ravel().tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
        assert all((a == 0) == (b == 0) for a, b in pairs)
    assert sorted(set(found[found > 0].tolist())) == list(range(1, found.max() + 1))


def test_spheres_that_touch_in_z_are_cut_where_they_meet() -> None:
    truth = spheres((19, 30, 30), ((4.5, 15, 15), 4.4), ((12.5, 15, 16), 4.4))
    assert evaluate(link(as_planes(truth), 0.5), truth).ap[0.5] < 1
    found = assemble(as_planes(truth))
    assert evaluate(found, truth).ap[0.9] == 1


@pytest.mark.parametrize("seed", range(3))
def test_perfect_planes_of_a_real_stack_become_its_nuclei(seed: int) -> None:
    truth = load_sample("nuclei_3d").truth
    scores = evaluate(assemble(as_planes(truth, seed), count=7), truth)
    assert scores.ap[0.5] > 0.95
    assert scores.ap[0.7] > 0.85


def test_a_real_stack_is_segmented_better_than_by_chance() -> None:
    """The 2D model's own planes; most faults are theirs."""
    sample = load_sample("nuclei_3d")
    found = segment(sample.image, "nuclei", axes="ZYX", device="cpu", precision="float32")
    assert evaluate(found, sample.truth).ap[0.5] > 0.3
    assert sorted(np.unique(found).tolist()) == list(range(found.max() + 1))


def test_a_smooth_profile_is_not_cut() -> None:
    assert cut_at_waists([4, 30, 70, 90, 91, 88, 40, 9]) == [slice(0, 8)]
    assert cut_at_waists([5]) == [slice(0, 1)]
    assert cut_at_waists([5, 9]) == [slice(0, 2)]


@given(st.lists(st.integers(1, 500), min_size=1, max_size=30))
def test_the_pieces_of_a_chain_follow_each_other(areas: list[int]) -> None:
    pieces = cut_at_waists(areas)
    assert [z for piece in pieces for z in range(piece.start, piece.stop)] == list(
        range(len(areas))
    )


def test_noise_is_dropped_but_not_where_every_object_is_flat() -> None:
    assert shortest_chain(np.array([9] * 5 + [1] * 20)) == 4
    assert shortest_chain(np.array([1] * 9)) == 1
    assert shortest_chain(np.array([], int)) == 1
    truth = spheres((12, 40, 40), ((5.5, 20, 20), 5))
    planes = as_planes(truth)
    planes[2] = np.where(np.indices((40, 40)).sum(0) < 3, planes[2].max() + 1, planes[2])
    found = assemble(planes)
    assert found[2, 0, 0] == 0
    assert found.max() == 1
