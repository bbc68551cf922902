"""What holds for every edit: exact undo and redo, other objects untouched, unique numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_unet.correction.change import Change
from napari_unet.correction.component import detach_component
from napari_unet.correction.drawing import draw_mask, draw_stroke, erase_mask
from napari_unet.correction.edits import EDITS as NAMED
from napari_unet.correction.edits import Edit as NamedEdit
from napari_unet.correction.edits import Scene, make_change
from napari_unet.correction.free_label import free_label
from napari_unet.correction.interpolation import interpolate_planes
from napari_unet.correction.journal import Entry, repeat_entries
from napari_unet.correction.line_split import split_by_line
from napari_unet.correction.merging import delete_object, merge_objects
from napari_unet.correction.outline import fill_holes, grow_object, shrink_object, smooth_object
from napari_unet.correction.seed_split import split_by_seeds
from napari_unet.errors import UNetError

Edit = Callable[[Any, int, "Case"], Change]


class Case:
    """Random labels, an object among them, and places in it."""

    def __init__(self, seed: int, space: int, lead: bool, dtype: str) -> None:
        rng = np.random.default_rng(seed)
        shape = tuple(int(n) for n in rng.integers(3, 14, space))
        noise = ndimage.gaussian_filter(rng.normal(size=shape), rng.choice([0, 1.0]))
        objects = np.where(noise > np.quantile(noise, 0.3), rng.integers(1, 5, shape), 0)
        blocks = ndimage.zoom(rng.integers(1, 5, (2,) * space), np.array(shape) / 2, order=0)
        plane = np.where(objects > 0, blocks, 0) if seed % 3 else objects
        self.frame: tuple[int, ...] = (1,) if lead else ()
        self.labels = (np.stack([plane[::-1], plane]) if lead else plane).astype(dtype)
        self.present = [int(n) for n in np.unique(self.labels[self.frame]) if n]
        self.rng, self.space = rng, space

    def points(self, label: int, count: int) -> list[tuple[int, ...]]:
        found = np.argwhere(self.labels[self.frame] == label)
        chosen = self.rng.choice(found, min(count, len(found)), replace=False)
        return [(*self.frame, *(int(n) for n in point)) for point in chosen]

    def near(self, label: int) -> Any:
        box = ndimage.find_objects(self.labels[self.frame].astype(int))[label - 1]
        frame = (slice(n, n + 1) for n in self.frame)
        return (*frame, *box) if self.rng.integers(2) else None

    def line(self) -> np.ndarray:
        ends = self.rng.uniform(-2, 15, (int(self.rng.integers(2, 4)), self.space))
        return np.column_stack([*(np.full(len(ends), n) for n in self.frame), ends])


def _with_place(tool: Callable[..., Change], **more: Any) -> Edit:
    return lambda labels, label, case: tool(
        labels, label, frame=case.frame, near=case.near(label), **more
    )


def _merge(labels: Any, label: int, case: Case) -> Change:
    other = int(case.rng.choice(case.present))
    return merge_objects(labels, other, label, near=case.near(label), frame=case.frame)


def _split_seeds(labels: Any, label: int, case: Case) -> Change:
    count = int(case.rng.integers(2, 5))
    return split_by_seeds(labels, label, case.points(label, count), frame=case.frame)


def _split_map(labels: Any, label: int, case: Case) -> Change:
    distance = case.rng.random(size=labels.shape)
    return split_by_seeds(
        labels, label, case.points(label, 2), distance=distance, frame=case.frame, largest=9
    )


def _split_line(labels: Any, label: int, case: Case) -> Change:
    return split_by_line(labels, label, case.line(), frame=case.frame)


def _detach(labels: Any, label: int, case: Case) -> Change:
    return detach_component(labels, case.points(label, 1)[0], frame=case.frame)


def _draw_mask(labels: Any, label: int, case: Case) -> Change:
    mask = case.rng.random(tuple(case.rng.integers(1, 9, case.space))) > 0.5
    corner = tuple(int(n) for n in case.rng.integers(-4, 12, case.space))
    return draw_mask(labels, label, mask, corner, frame=case.frame)


def _erase_mask(labels: Any, label: int, case: Case) -> Change:
    mask = case.rng.random(tuple(case.rng.integers(1, 9, case.space))) > 0.5
    corner = tuple(int(n) for n in case.rng.integers(-4, 12, case.space))
    return erase_mask(labels, mask, corner, label=label, frame=case.frame)


def _draw_stroke(labels: Any, label: int, case: Case) -> Change:
    points = case.rng.uniform(-3, 15, (int(case.rng.integers(1, 4)), case.space))
    radius = float(case.rng.uniform(0, 4))
    return draw_stroke(labels, label, points, radius, frame=case.frame)


def _interpolate(labels: Any, label: int, case: Case) -> Change:
    last = labels.shape[len(case.frame)] - 1
    return interpolate_planes(labels, label, 0, last, frame=case.frame)


KEEPING = {  # no other object changes, and no number is new
    "delete": _with_place(delete_object),
    "fill": _with_place(fill_holes),
    "smooth": _with_place(smooth_object, radius=0.8),
    "grow": _with_place(grow_object, pixels=2),
    "grow by one": _with_place(grow_object),
    "shrink": _with_place(shrink_object),
    "draw a mask": _draw_mask,
    "erase a mask": _erase_mask,
    "draw a stroke": _draw_stroke,
    "interpolate": _interpolate,
}
PARTING = {  # the pixels of the object alone change, to new numbers
    "split by seeds": _split_seeds,
    "split on a map": _split_map,
    "split by a line": _split_line,
    "take off": _detach,
}
EDITS: dict[str, Edit] = {**KEEPING, **PARTING, "merge": _merge}

CASES = st.builds(
    Case,
    st.integers(0, 10_000),
    st.sampled_from([2, 3]),
    st.booleans(),
    st.sampled_from(["uint8", "int32", "int64", "uint16"]),
)


@contextlib.contextmanager
def unchanged(labels: np.ndarray) -> Iterator[None]:
    before = labels.copy()
    yield
    np.testing.assert_array_equal(labels, before)


def _edit(name: str, case: Case, label: int) -> Change | None:
    """A change, or None where the tool says in words that it cannot."""
    with unchanged(case.labels), contextlib.suppress(UNetError):
        return EDITS[name](case.labels, label, case)
    return None


@pytest.mark.parametrize("name", EDITS)
@settings(max_examples=20)
@given(case=CASES, data=st.data())
def test_undo_and_redo_are_exact(name: str, case: Case, data: st.DataObject) -> None:
    steps, states = [], [case.labels.copy()]
    for _ in range(2):
        present = [int(n) for n in np.unique(case.labels[case.frame]) if n]
        if not present:
            break
        case.present = present
        change = _edit(name, case, data.draw(st.sampled_from(present)))
        if change is not None:
            change.apply(case.labels)
            steps.append(change)
            states.append(case.labels.copy())
    for change, state in zip(reversed(steps), reversed(states[:-1]), strict=True):
        change.revert(case.labels)
        np.testing.assert_array_equal(case.labels, state)
    for change, state in zip(steps, states[1:], strict=True):
        change.apply(case.labels)
        np.testing.assert_array_equal(case.labels, state)


@pytest.mark.parametrize("name", EDITS)
@settings(max_examples=20)
@given(case=CASES, data=st.data())
def test_other_objects_and_other_frames_stay(name: str, case: Case, data: st.DataObject) -> None:
    label = data.draw(st.sampled_from(case.present))
    before = case.labels.copy()
    change = _edit(name, case, label)
    if change is None:
        return
    change.apply(case.labels)
    changed = before != case.labels
    assert changed.any() == bool(change)
    assert set(np.unique(before[changed])) <= {0, label}
    if case.frame:
        assert not changed[0].any()
    if name in KEEPING:
        assert set(np.unique(case.labels[changed])) <= {0, label}
    np.testing.assert_array_equal(np.nonzero(changed), change.indices())
    np.testing.assert_array_equal(change.old[change.changed], before[changed])
    np.testing.assert_array_equal(change.new[change.changed], case.labels[changed])
    for part, index in zip(change.window, change.indices(), strict=True):  # no wider than needed
        if change:
            assert (part.start, part.stop) == (index.min(), index.max() + 1)


@pytest.mark.parametrize("name", PARTING)
@settings(max_examples=20)
@given(case=CASES, data=st.data())
def test_parts_get_numbers_of_their_own(name: str, case: Case, data: st.DataObject) -> None:
    label = data.draw(st.sampled_from(case.present))
    before = case.labels.copy()
    change = _edit(name, case, label)
    if change is None:
        return
    change.apply(case.labels)
    assert change.old_ids == [label]
    assert len(change.new_ids) >= 1
    assert not np.isin(change.new_ids, before).any()
    np.testing.assert_array_equal(case.labels == 0, before == 0)
    assert label in case.labels  # one part keeps the number


@settings(max_examples=30)
@given(case=CASES)
def test_a_merge_leaves_one_number_and_all_pixels(case: Case) -> None:
    if len(case.present) < 2:
        return
    kept, absorbed, *others = case.present
    before = case.labels.copy()
    merge_objects(case.labels, kept, absorbed, frame=case.frame).apply(case.labels)
    now, then = case.labels[case.frame], before[case.frame]
    np.testing.assert_array_equal(now == kept, np.isin(then, (kept, absorbed)))
    for label in others:
        np.testing.assert_array_equal(now == label, then == label)


@pytest.mark.parametrize("tool", NAMED)
@settings(max_examples=25)
@given(case=CASES, data=st.data())
def test_what_the_dock_does_is_undone_and_made_again_exactly(
    tool: str, case: Case, data: st.DataObject
) -> None:
    """By the name of the tool and places, in planes, stacks and time points, with a map or not."""
    label = data.draw(st.sampled_from(case.present))
    depth = len(case.frame)
    count = {"cut": 2, "draw": 6, "erase": 6, "merge": 2, "split": 2}.get(tool, 1)
    points = case.points(label, count)
    if tool == "merge":
        points = [points[0], case.points(int(case.rng.choice(case.present)), 1)[0]]
    across = depth if case.space == 3 and data.draw(st.booleans()) else None
    if tool in ("cut", "draw", "erase") and across is not None:  # all in a plane
        points = [(*p[:across], points[0][across], *p[across + 1 :]) for p in points]
    if tool == "interpolate" and case.frame and data.draw(st.booleans()):
        depth, across = 0, 0  # between time points
        points = [tuple(p) for p in points]
    largest = int(case.labels.max())
    distance = case.rng.random(size=case.labels.shape) if data.draw(st.booleans()) else None
    edit = NamedEdit(tool, tuple(points), depth, across)
    before = case.labels.copy()
    try:
        with unchanged(case.labels):
            change = make_change(Scene(case.labels, largest, distance=distance), edit)
    except UNetError:
        return
    change.apply(case.labels)
    after = case.labels.copy()
    changed = before != after
    gone = set(np.unique(before[changed])) - {0}
    target = {int(before[p]) for p in points[:1]} | {int(before[points[-1]])}
    if tool in ("cut", "erase"):
        assert len(gone) <= max(1, len(case.present) * (tool == "erase"))
    elif tool == "draw":
        assert gone == set()
    else:
        assert gone <= target
    assert set(np.unique(after[changed])) <= {0, *case.present, *range(largest + 1, largest + 99)}
    new = set(np.unique(after)) - set(np.unique(before))
    assert all(n > largest for n in new)  # a number of its own
    change.revert(case.labels)
    np.testing.assert_array_equal(case.labels, before)
    if not change:
        return
    # from the journal, where nobody has the map any more
    entry = Entry.model_validate(Entry.of(edit, change).model_dump(mode="json"))
    misfits = repeat_entries(
        [entry],
        lambda: Scene(case.labels, largest),
        lambda again, _: again.apply(case.labels),
        same_numbers=True,
    )
    assert not misfits
    np.testing.assert_array_equal(case.labels, after)


@pytest.mark.parametrize("name", EDITS)
@settings(max_examples=6)
@given(case=CASES, data=st.data())
def test_a_place_and_a_file_make_no_difference(name: str, case: Case, data: st.DataObject) -> None:
    """The same from zarr, and where the whole array is searched."""
    label = data.draw(st.sampled_from(case.present))
    state = case.rng.bit_generator.state
    first = _edit(name, case, label)
    stored = zarr.array(case.labels, chunks=(3,) * case.labels.ndim)
    case.rng.bit_generator.state = state
    try:
        second = EDITS[name](stored, label, case)
    except UNetError:
        assert first is None
        return
    assert first is not None
    first.apply(case.labels)
    second.apply(stored)
    np.testing.assert_array_equal(stored[:], case.labels)
    second.revert(stored)
    first.revert(case.labels)
    np.testing.assert_array_equal(stored[:], case.labels)


@given(case=CASES)
def test_merged_objects_are_two_again_after_a_split_by_their_seeds(case: Case) -> None:
    if len(case.present) < 2:
        return
    kept, absorbed = case.present[:2]
    seeds = [case.points(label, 1)[0] for label in (kept, absorbed)]
    merged = merge_objects(case.labels, kept, absorbed, frame=case.frame)
    area = np.isin(case.labels[case.frame], (kept, absorbed))
    merged.apply(case.labels)
    split_by_seeds(case.labels, kept, seeds, largest=7, frame=case.frame).apply(case.labels)
    assert {int(n) for n in np.unique(case.labels[case.frame][area])} == {kept, 8}
    assert case.labels[seeds[0]] == kept
    assert case.labels[seeds[1]] == 8


def test_two_disks_come_back_as_they_were() -> None:
    y, x = np.ogrid[:40, :60]
    labels = np.zeros((40, 60), np.int32)
    labels[(y - 20) ** 2 + (x - 20) ** 2 <= 100] = 3
    labels[((y - 20) ** 2 + (x - 38) ** 2 <= 100) & (labels == 0)] = 5
    before = labels.copy()
    merge_objects(labels, 3, 5, near=(20, 40)).apply(labels)
    # clicks at the far sides, not on the centres
    split_by_seeds(labels, 3, [(20, 11), (27, 42)], largest=5).apply(labels)
    assert (np.where(labels == 6, 5, labels) != before).mean() < 0.005


@pytest.mark.parametrize("name", PARTING)
def test_full_labels_say_so_and_stay(name: str) -> None:
    case = Case(0, 2, lead=False, dtype="uint8")
    case.labels[:] = 0
    case.labels[0, :] = case.labels[2, :] = 4
    case.labels[1, 0] = 255
    line = [(1, -1), (1, 20)]
    tools: dict[str, Callable[[], Change]] = {
        "split by seeds": lambda: split_by_seeds(case.labels, 4, [(0, 0), (0, 2)]),
        "split on a map": lambda: split_by_seeds(
            case.labels, 4, [(0, 0), (2, 0)], distance=case.labels
        ),
        "split by a line": lambda: (
            split_by_line(np.where(case.labels > 4, 4, case.labels), 4, line)
            and split_by_line(case.labels, 4, [(-1, 1), (5, 1)])
        ),
        "take off": lambda: detach_component(case.labels, (0, 0)),
    }
    with unchanged(case.labels), pytest.raises(UNetError, match=r"uint8 end at 255.*int32"):
        tools[name]()


def test_a_number_is_not_used_again_where_the_largest_is_kept() -> None:
    labels = np.array([[1, 0, 2]], np.uint8)
    largest = free_label(labels)
    assert largest == 3
    delete_object(labels, 2).apply(labels)
    assert free_label(labels, largest) == 4
    with pytest.raises(UNetError, match="255"):
        free_label(labels, 255)
    with pytest.raises(UNetError, match="float64"):
        free_label(labels.astype(float))


def test_an_edit_of_what_changed_since_is_refused() -> None:
    labels = np.array([[1, 1, 0, 2]])
    first = delete_object(labels, 1)
    labels[0, 0] = 2
    with unchanged(labels), pytest.raises(UNetError, match="changed since"):
        first.apply(labels)
    with unchanged(labels), pytest.raises(UNetError, match="changed since"):
        first.apply(labels.astype(np.uint8))
    labels[0, 0] = 1
    labels[0, 2] = 7  # beside it
    first.apply(labels)
    assert labels.tolist() == [[0, 0, 7, 2]]
