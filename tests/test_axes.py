"""Axes as letters: what is refused, what is guessed, what follows for labels and scores."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.axes import (
    AXES,
    check_axes,
    guess_axes,
    label_axes,
    score_axes,
    spatial_axes,
)
from napari_unet.errors import InputError

any_order = (
    st.sets(st.sampled_from("TCZ"))
    .map(lambda extra: sorted({"Y", "X", *extra}))
    .flatmap(st.permutations)
    .map("".join)
)


@given(any_order, st.booleans())
def test_every_order_of_known_letters_is_taken(axes: str, lower: bool) -> None:
    given_axes = axes.lower() if lower else axes
    assert check_axes(given_axes, (3,) * len(axes)) == axes


@pytest.mark.parametrize(
    ("axes", "shape", "says"),
    [
        ("YXQ", (4, 4, 4), "'YXQ'"),
        ("YXX", (4, 4, 4), "at most once"),
        ("YX", (4, 4, 4), "one letter per axis"),
        ("ZYX", (4, 4), "name 3 axes but the image has 2"),
        ("ZX", (4, 4), "must contain Y and X"),
        ("YX", (4, 0), "axis X of shape (4, 0) is empty"),
        ("TYX", (0, 4, 4), "axis T"),
    ],
)
def test_wrong_axes_are_named(axes: str, shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        check_axes(axes, shape)


@pytest.mark.parametrize(
    ("shape", "ndim", "channels", "axes", "doubtful"),
    [
        ((50, 60), 2, 1, "YX", False),
        ((50, 60, 3), 2, 3, "YXC", False),
        ((50, 60, 4), 2, 1, "YXC", False),
        ((2, 50, 60), 2, 2, "CYX", False),
        ((50, 60, 2), 2, 2, "YXC", False),
        ((20, 50, 60), 2, 1, "ZYX", True),
        ((20, 50, 60), 3, 1, "ZYX", False),
        ((2, 50, 60), 3, 2, "ZYX", False),
        ((20, 50, 60, 3), 2, 3, "ZYXC", True),
        ((20, 2, 50, 60), 2, 2, "ZCYX", True),
        ((2, 20, 50, 60), 3, 2, "CZYX", False),
        ((7, 20, 50, 60), 3, 1, "TZYX", True),
        ((2, 3, 20, 50, 60), 3, 3, "TCZYX", True),
        ((5, 50, 60), 2, None, "CYX", False),
        ((50, 60, 3), 2, None, "YXC", False),
        ((128, 192, 2), 2, 1, "YXC", True),
        ((128, 192, 5), 2, 1, "YXC", True),
        ((128, 192, 1), 2, 1, "YXC", True),
        ((128, 192, 16), 3, 1, "YXC", True),
        ((9, 128, 192, 2), 2, 1, "ZYXC", True),
        ((4, 9, 128, 192, 3), 2, 1, "TZYXC", False),
        ((20, 30, 9), 2, 1, "ZYX", True),
        ((3, 9, 2, 50, 60), 2, 1, "TZCYX", True),
        ((9, 2, 50, 60), 2, None, "ZCYX", True),
        ((2, 9, 50, 60), 2, None, "CZYX", False),
    ],
)
def test_guesses(
    shape: tuple[int, ...], ndim: int, channels: int | None, axes: str, doubtful: bool
) -> None:
    guessed, doubt = guess_axes(shape, ndim=ndim, channels=channels)
    assert guessed == axes
    assert bool(doubt) == doubtful


@pytest.mark.parametrize(
    ("shape", "ndim", "axes", "offered"),
    [
        ((3, 50, 60), 2, "ZYX", ["TYX", "CYX"]),
        ((9, 50, 60), 2, "ZYX", ["TYX"]),
        ((9, 2, 50, 60), 2, "TZYX", ["TCYX"]),
        ((9, 3, 50, 60), 3, "TZYX", ["ZCYX"]),
        ((2, 9, 50, 60), 2, "TZYX", ["CZYX"]),
        ((3, 2, 50, 60), 2, "TZYX", ["TCYX", "CZYX"]),
        ((128, 192, 5), 2, "YXC", ["ZYX"]),
    ],
)
def test_two_to_five_beside_time_or_depth_may_be_channels(
    shape: tuple[int, ...], ndim: int, axes: str, offered: list[str]
) -> None:
    guessed, doubt = guess_axes(shape, ndim=ndim)
    assert guessed == axes
    assert doubt is not None
    assert re.findall(r"axes='(\w+)'", doubt.remedy) == offered


@given(
    st.lists(st.integers(1, 70), min_size=2, max_size=5),
    st.sampled_from([2, 3]),
    st.sampled_from([None, 1, 2, 3, 4]),
)
def test_a_guess_always_fits_the_array(shape: list[int], ndim: int, channels: int | None) -> None:
    axes, doubt = guess_axes(shape, ndim=ndim, channels=channels)
    assert check_axes(axes, shape) == axes
    assert doubt is None or (doubt.code == "axes-guessed" and "axes=" in doubt.remedy)


@pytest.mark.parametrize("shape", [(), (9,), (2, 2, 2, 2, 2, 2)])
def test_too_few_or_too_many_axes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="2 to 5 axes"):
        guess_axes(shape)


@given(any_order)
def test_axes_of_labels_and_scores(axes: str) -> None:
    labels, scores, spatial = label_axes(axes), score_axes(axes), spatial_axes(axes)
    assert spatial == "".join(letter for letter in AXES if letter in axes and letter in "ZYX")
    assert labels == "".join(letter for letter in axes if letter != "C")
    assert scores.replace("C", "") == labels
    assert all(scores.index("C") < scores.index(letter) for letter in spatial)
    if axes.startswith("T"):
        assert scores.startswith("T")
