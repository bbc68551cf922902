"""Examples, opened: any order of axes, each kind of region, and what does not fit."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_unet.card import Task
from napari_unet.dataset.example import Example
from napari_unet.dataset.labelled_image import LabelledImage, open_example, slabs
from napari_unet.errors import InputError, TrainingError

CANONICAL = "TZYX"
REGIONS: list[Any] = [
    "all",
    "planes",
    "painted",
    "full mask",
    "plane mask",
    "column mask",
    ("painted", "plane mask"),
    ("planes", "full mask"),
    ("painted", "planes"),
    ("full mask", "column mask"),
    ("all", "painted"),
]
WRAPPERS = {
    "numpy": lambda array: array,
    "dask": lambda array: da.from_array(array, chunks=2),
    "zarr": lambda array: zarr.array(array, chunks=(2,) * array.ndim),
}


def open_it(image: Any, labels: Any, *, task: Task = "instance", **kwargs: Any) -> LabelledImage:
    options = {key: kwargs.pop(key) for key in ("ndim", "in_channels", "named") if key in kwargs}
    return open_example(
        Example(image, labels, **kwargs),
        ndim=options.get("ndim", 2),
        in_channels=options.get("in_channels"),
        task=task,
        named=options.get("named", ()),
    )


def whole(opened: LabelledImage) -> tuple[slice, ...]:
    return tuple(slice(0, n) for n in opened.shape)


def sparse(shape: tuple[int, ...], seed: int) -> NDArray[np.int32]:
    """Labels 0 to 3, with empty planes among them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, 4, shape) * (rng.random(shape) < 0.3)
    labels *= rng.random((*shape[:2], 1, 1)) < 0.6
    return labels.astype(np.int32)


def mask_of(name: str, shape: tuple[int, ...], seed: int) -> NDArray[Any]:
    """A mask, in the order TZYX; not boolean, so that non-zero has to be taken as known."""
    t, z, y, x = shape
    sizes = {"full mask": shape, "plane mask": (t, z, 1, 1), "column mask": (1, 1, y, x)}[name]
    rng = np.random.default_rng([seed, len(name)])
    return ((rng.random(sizes) < 0.5) * rng.integers(1, 200, sizes)).astype(np.uint8)


# ------------------------------------------------------------------- order of axes, regions


@settings(max_examples=25)
@given(
    order=st.permutations("TCZYX"),
    left_out=st.sampled_from(["", "C", "T", "Z", "TC", "ZC", "TZC"]),
    shape=st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(1, 6)] * 2),
    region=st.sampled_from(REGIONS),
    background=st.sampled_from([None, 2, 7]),
    wrapper=st.sampled_from(sorted(WRAPPERS)),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_parts_are_those_of_the_whole_in_canonical_order(
    order: list[str],
    left_out: str,
    shape: tuple[int, ...],
    region: Any,
    background: int | None,
    wrapper: str,
    seed: int,
    data: st.DataObject,
) -> None:
    """Against the definition, written out for the whole array at once."""
    shape = tuple(1 if a in left_out else n for a, n in zip(CANONICAL, shape, strict=True))
    labels = sparse(shape, seed)
    image = np.random.default_rng(seed).integers(0, 255, (shape[0], 3, *shape[1:]), np.uint8)
    if "C" in left_out:
        image = image[:, :1]
    names = region if isinstance(region, tuple) else (region,)
    if "all" in names:
        background = None
    masks = {name: mask_of(name, shape, seed) for name in names if "mask" in name}

    known = np.zeros(shape, bool)
    for name in names:
        if name == "all":
            known[:] = True
        elif name == "planes":
            known |= (labels != 0).any((2, 3), keepdims=True)
        else:
            known |= (labels if name == "painted" else masks[name]) != 0
    expected = np.where(known & (labels != (background or 0)), labels, 0)

    axes = "".join(a for a in order if a not in left_out)

    def arrange(array: NDArray[Any], given: str) -> Any:
        """From canonical order to that of the user, in the kind of array of the user."""
        kept = [a for a in axes if a in given]
        dropped = tuple(i for i, a in enumerate(given) if a not in kept)
        rest = [a for a in given if a in kept]
        moved = array.squeeze(dropped).transpose([rest.index(a) for a in kept])
        return WRAPPERS[wrapper](np.ascontiguousarray(moved))

    regions = tuple(arrange(masks[n], CANONICAL) if n in masks else n for n in names)
    opened = open_it(
        arrange(image, "TCZYX"),
        arrange(labels, CANONICAL),
        axes=axes,
        region=regions if isinstance(region, tuple) else regions[0],
        background=background,
    )
    assert opened.known_everywhere == ("all" in names)
    time = data.draw(st.integers(0, shape[0] - 1))
    drawn = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in shape[1:]]
    box = [
        slice(a, max(a + 1, b)) if a < n else slice(n - 1, n)
        for (a, b), n in zip(drawn, shape[1:], strict=True)
    ]
    place = (time, *box)
    part = tuple(box[1:] if "Z" in left_out else box)

    def spatial(array: NDArray[Any]) -> NDArray[Any]:
        return array[..., 0, :, :] if "Z" in left_out else array

    found, trusted = opened.read_labels(time, part)
    np.testing.assert_array_equal(trusted, spatial(known[place]))
    np.testing.assert_array_equal(found[0], spatial(expected[place]))
    assert len(found) == 1
    pixels = opened.read_image(time, part)
    np.testing.assert_array_equal(pixels, spatial(image[(time, slice(None), *box)]))

    # a piece of it, counted from its own corner
    piece = opened.within(range(time, time + 1), part)
    assert piece.shape == tuple(p.stop - p.start for p in part)
    again, trusted_again = piece.read_labels(time, whole(piece))
    np.testing.assert_array_equal(again, found)
    np.testing.assert_array_equal(trusted_again, trusted)
    np.testing.assert_array_equal(piece.read_image(time, whole(piece)), pixels)
    inner = tuple(slice(n // 2, n) for n in piece.shape)
    np.testing.assert_array_equal(
        piece.read_labels(time, inner)[0], found[:, *(slice(n // 2, n) for n in piece.shape)]
    )


def test_rgb_images_and_one_array_per_channel() -> None:
    image = np.random.default_rng(0).integers(0, 255, (6, 7, 3), np.uint8)
    labels = np.ones((6, 7), int)
    opened = open_it(image, labels)
    np.testing.assert_array_equal(opened.read_image(0, whole(opened)), image.transpose(2, 0, 1))
    opened = open_it(image, labels, channels=(2, 0))
    expected = image.transpose(2, 0, 1)[[2, 0]]
    np.testing.assert_array_equal(opened.read_image(0, whole(opened)), expected)
    lazy = [image[..., 2], da.from_array(image[..., 0], chunks=4)]
    opened = open_it(lazy, labels)
    np.testing.assert_array_equal(opened.read_image(0, whole(opened)), expected)


def test_planes_are_those_of_each_time_point() -> None:
    labels = np.zeros((2, 3, 4, 5), int)
    labels[0, 1, 2, 2] = 4
    labels[1, 2, 0, 0] = 9  # background counts as a label: the plane was painted
    opened = open_it(labels * 1.0, labels, axes="TZYX", region="planes", background=9)
    for time, plane in ((0, 1), (1, 2)):
        _, known = opened.read_labels(time, whole(opened))
        expected = np.zeros((3, 4, 5), bool)
        expected[plane] = True
        np.testing.assert_array_equal(known, expected)
    assert opened.read_labels(1, whole(opened))[0].max() == 0


def test_a_background_label_that_is_a_class_keeps_its_value() -> None:
    labels = np.array([[0, 1, 2, 3]])
    image = np.zeros((1, 4))
    kept = open_it(image, labels, task="semantic", background=2, named=(1, 2, 3), region="painted")
    assert kept.read_labels(0, whole(kept))[0].tolist() == [[[0, 1, 2, 3]]]
    changed = open_it(image, labels, task="semantic", background=2, named=(0, 1), region="painted")
    assert changed.read_labels(0, whole(changed))[0].tolist() == [[[0, 1, 0, 3]]]
    assert changed.read_labels(0, whole(changed))[1].tolist() == [[False, True, True, True]]


def test_targets_with_channels_and_unknown_pixels() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((5, 4, 2))
    target = rng.random((5, 4, 3))
    target[0, 0, 1] = np.nan  # where nothing is known, nothing is looked at
    mask = np.ones((5, 1), bool)
    mask[0] = False
    opened = open_it(image, target, task="regression", axes="YXC", region=mask)
    found, known = opened.read_labels(0, whole(opened))
    np.testing.assert_array_equal(known, np.broadcast_to(mask, (5, 4)))
    np.testing.assert_array_equal(found[:, 1:], target.transpose(2, 0, 1)[:, 1:])
    assert (found[:, 0] == 0).all()


def test_labels_are_not_changed() -> None:
    labels = np.array([[0, 1, 2, 3]])
    opened = open_it(np.zeros((1, 4)), labels, region="painted", background=2)
    opened.read_labels(0, whole(opened))
    assert labels.tolist() == [[0, 1, 2, 3]]


# ------------------------------------------------------------------------------------ slabs


@given(
    shape=st.lists(st.integers(1, 12), min_size=2, max_size=3),
    pixels=st.integers(1, 500),
    depth=st.integers(1, 20),
)
def test_slabs_cover_everything_once_and_are_small(
    shape: list[int], pixels: int, depth: int
) -> None:
    seen = np.zeros(shape, int)
    for part in slabs(shape, pixels, depth):
        seen[part] += 1
        size = [p.stop - p.start for p in part]
        one_row = shape[-1] * (min(depth, shape[0]) if len(shape) == 3 else 1)
        assert np.prod(size) <= max(pixels, one_row)
        assert min(size) > 0
    assert (seen == 1).all()


class Counting:
    """An array that notes what was read of it."""

    def __init__(self, array: NDArray[Any], chunks: tuple[int, ...] | None = None) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.reads: list[int] = []
        if chunks is not None:
            self.chunks = chunks

    def __getitem__(self, index: Any) -> NDArray[Any]:
        found = self.array[index]
        self.reads.append(found.size)
        return found


def test_the_labels_of_a_large_array_are_never_held_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unet.dataset.labelled_image.SLAB_PIXELS", 1000)
    labels = Counting(np.ones((40, 20, 20), np.uint8), (2, 20, 20))
    opened = open_it(np.zeros((40, 20, 20)), labels, axes="ZYX", region="planes")
    assert opened.planes is not None
    assert opened.planes.all()
    assert sum(labels.reads) == labels.array.size
    assert max(labels.reads) <= 1000
    labels.reads.clear()
    for part in opened.slabs():
        opened.read_labels(0, part)
    assert sum(labels.reads) == labels.array.size
    assert max(labels.reads) <= 1000
    assert all(part[0].start % 2 == 0 for part in opened.slabs())  # each chunk is read once


# -------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("labels", "task", "words"),
    [
        (np.zeros((5, 6), int), "instance", r"shape \(5, 6\).*needs \(5, 7\)"),
        (np.zeros((5, 7, 2), int), "semantic", "needs"),
        (np.zeros((5, 7), bool), "instance", "mask of one bit"),
        (np.zeros((5, 7), complex), "regression", "must be real, not complex128"),
        ([[1, 2], [3, 4]], "instance", "list; give an array"),
        (None, "instance", "NoneType; give an array"),
    ],
)
def test_labels_that_do_not_fit(labels: Any, task: Task, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_it(np.ones((5, 7)), labels, task=task)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"region": "scribbles"}, TrainingError, "'scribbles' is unknown"),
        ({"region": ("all", "some")}, TrainingError, "'some' is unknown"),
        ({"region": ()}, TrainingError, "region is empty"),
        ({"region": 3}, TrainingError, "region holds a int"),
        ({"region": ("painted", None)}, TrainingError, "region holds a NoneType"),
        ({"region": [[1, 0], [0, 1]]}, TrainingError, "region holds a list"),
        ({"region": np.ones((5, 6))}, InputError, r"mask of shape \(5, 6\).*\(5, 7\)"),
        ({"region": np.ones((1, 5, 7))}, InputError, "mask of shape"),
        ({"region": np.ones((5, 7), complex)}, InputError, "mask of shape"),
        ({"region": "painted", "background": 0}, TrainingError, "background=0"),
        ({"region": ("painted", "planes"), "background": 0}, TrainingError, "background=0"),
        ({"background": -1}, TrainingError, "background=-1"),
        ({"background": 1.5}, TrainingError, "background=1.5"),
        ({"background": True}, TrainingError, "background=True"),
        ({"background": 9999}, TrainingError, "background=9999.*region='painted', or a mask"),
        ({"background": 2, "region": ("painted", "all")}, TrainingError, "every 0 for background"),
    ],
)
def test_regions_that_do_not_fit(changes: dict[str, Any], kind: type, words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        open_it(np.ones((5, 7)), np.ones((5, 7), int), **changes)
    assert len(str(caught.value)) < 250


def test_painted_is_no_region_of_a_regression() -> None:
    with pytest.raises(TrainingError, match="'painted' is for painted labels"):
        open_it(np.ones((5, 7)), np.ones((5, 7)), task="regression", region="painted")


@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_where_0_is_not_labelled_a_region_says_so(task: Task) -> None:
    """Else all that nobody labelled would be learned as background."""
    labels = np.array([[0, 1, 2, 3]])
    image = np.zeros((1, 4))
    for named in ((), (0, 1, 2, 3)):
        with pytest.raises(TrainingError, match="every 0 for background"):
            open_it(image, labels, task=task, background=3, named=named)
    for region in ("painted", "planes", labels > 1, ("painted", labels > 1)):
        open_it(image, labels, task=task, background=3, region=region)
    open_it(image, labels, task=task, background=0)  # as it is
    open_it(image, labels * 0.5, task="regression", background=3)


@pytest.mark.parametrize("axes", ["YX", "TYX", "XYC"])
def test_targets_may_have_channels_before_the_axes_of_the_image(axes: str) -> None:
    rng = np.random.default_rng(0)
    shape = tuple({"T": 2, "Y": 5, "X": 7, "C": 3}[a] for a in axes)
    target = rng.random((2, *(n for n, a in zip(shape, axes, strict=True) if a != "C")))
    mask = rng.random(target.shape[1:]) < 0.5
    for wrap in WRAPPERS.values():
        opened = open_it(rng.random(shape), wrap(target), task="regression", axes=axes, region=mask)
        found, known = opened.read_labels(0, whole(opened))
        first = target[:, 0] if "T" in axes else target
        trusted = mask[0] if "T" in axes else mask
        expected = np.where(trusted, first, 0)
        np.testing.assert_array_equal(
            found, expected.transpose(0, 2, 1) if "C" in axes else expected
        )
        np.testing.assert_array_equal(known, trusted.T if "C" in axes else trusted)
    with pytest.raises(InputError, match=r"needs \(5, 7\) or, with .*\(channels, 5, 7\)"):
        open_it(np.zeros((5, 7)), np.zeros((5, 7, 2)), task="regression")
    with pytest.raises(InputError, match=r"needs \(5, 7\)\."):
        open_it(np.zeros((5, 7)), np.zeros((2, 5, 7), int))


def test_a_3d_network_needs_a_stack() -> None:
    with pytest.raises(InputError, match="needs a Z axis"):
        open_it(np.ones((5, 7)), np.ones((5, 7), int), ndim=3)


@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_whole_numbers_in_a_float_file_are_labels(task: Any) -> None:
    image = np.zeros((6, 7))
    labels = np.arange(42).reshape(6, 7) % 3
    opened = [
        open_example(Example(image, each), ndim=2, in_channels=1, task=task)
        for each in (labels, labels.astype(np.float32))
    ]
    part = (slice(1, 5), slice(2, 7))
    found = [each.read_labels(0, part) for each in opened]
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[1][0].dtype.kind == "i"


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_fractions_are_no_labels(value: float) -> None:
    labels = np.ones((6, 7))
    labels[3, 4] = value
    opened = open_example(Example(np.zeros((6, 7)), labels), ndim=2, in_channels=1, task="instance")
    with pytest.raises(InputError, match="no whole number"):
        opened.read_labels(0, (slice(0, 6), slice(0, 7)))
