"""What is found wrong with examples, and that nothing is where all is well."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

import napari_unet as nu
from napari_unet.card import ClassInfo, Normalization
from napari_unet.checks.fragments import WHOLE_PIXELS
from napari_unet.checks.sampling import PLANE
from napari_unet.image import normalization
from napari_unet.io import read_image, write_labels
from napari_unet.samples import load_sample, sample_names

WHOLE = load_sample("nuclei_2d")
NUCLEI = replace(WHOLE, image=WHOLE.image[:320, :400], truth=WHOLE.truth[:320, :400])
STACK = load_sample("nuclei_3d")
BINARY = (NUCLEI.truth > 0).astype(np.uint8)
PAINTED = np.where(NUCLEI.truth % 3 == 0, NUCLEI.truth, 0)  # some of the objects
PAINTED[::20][NUCLEI.truth[::20] == 0] = 999  # and strokes of background
BOX = np.zeros(NUCLEI.truth.shape, bool)
BOX[60:240, 60:300] = True


def semantic(**fields: Any) -> nu.TrainConfig:
    return nu.TrainConfig(task="semantic", **fields)


def found(examples: Any, **arguments: Any) -> list[tuple[str, str, int | None, str]]:
    """Severity, code, example and field of each finding, all of which are sentences."""
    findings = nu.check_examples(examples, **arguments)
    for each in findings:
        for text in (each.message, each.remedy):
            assert text.endswith("."), text
            assert not (text[0].islower() and text.split()[0].isalpha())
            assert "\n" not in text
    return [(f.severity, f.code, f.example, f.field) for f in findings]


def only(code: str, examples: Any, **arguments: Any) -> nu.Finding:
    """The one finding that there is."""
    (finding,) = nu.check_examples(examples, **arguments)
    assert finding.code == code
    return finding


def disks(number: int, radius: int, *, seed: int = 0, size: int = 256) -> tuple[Any, Any]:
    """An image of bright disks on a grid, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((size, size), np.uint16)
    y, x = np.mgrid[:size, :size]
    side = int(np.ceil(np.sqrt(number)))
    for i in range(number):
        place = (np.array(divmod(i, side)) + 0.5) * size / side
        place += rng.uniform(-1, 1, 2) * max(0, size / side / 2 - radius - 1)
        labels[(y - place[0]) ** 2 + (x - place[1]) ** 2 <= radius**2] = i + 1
    image = gaussian_filter((labels > 0) * 100.0, 1) + rng.normal(20, 3, labels.shape)
    return image.astype(np.float32), labels


# -------------------------------------------------------------------------------- all is well


@pytest.mark.parametrize("name", sample_names())
@pytest.mark.parametrize("region", ["all", "planes"])
def test_nothing_is_found_in_the_samples(name: str, region: str) -> None:
    sample = load_sample(name)
    assert found([nu.Example(sample.image, sample.truth, region, axes=sample.axes)]) == []


@pytest.mark.parametrize(
    "example",
    [
        nu.Example(NUCLEI.image, PAINTED, "painted", background=999),
        nu.Example(NUCLEI.image, NUCLEI.truth, BOX),
        nu.Example(NUCLEI.image, PAINTED, ("painted", BOX), background=999),
        nu.Example(NUCLEI.image, NUCLEI.truth, pixel_size=0.5),
        nu.Example(STACK.image, STACK.truth, np.arange(31)[:, None, None] < 20, axes="ZYX"),
        nu.Example(STACK.image, STACK.truth * (np.arange(31)[:, None, None] % 9 == 4), "planes",
                   axes="ZYX"),
    ],
)  # fmt: skip
def test_nothing_is_found_in_any_region(example: nu.Example) -> None:
    assert found([example]) == []
    assert found([example], base=None if "Z" in (example.axes or "") else "nuclei") == []


def test_nothing_is_found_for_the_other_tasks() -> None:
    assert found([nu.Example(NUCLEI.image, BINARY)], config=semantic()) == []
    smooth = gaussian_filter(NUCLEI.image.astype(np.float32), 2)
    regression = nu.TrainConfig(task="regression")
    assert found([nu.Example(NUCLEI.image, smooth)], config=regression) == []


def test_faults_come_first_each_in_the_order_of_the_examples() -> None:
    image, labels = disks(9, 12)
    good = nu.Example(image, labels)
    empty = nu.Example(image + 1, labels * 0)
    bad = nu.Example(image, labels[:-1])
    result = found([good, empty, bad, nu.Example(None, labels)])
    assert result == [
        ("fault", "labels-unusable", 2, "labels"),
        ("fault", "image-unusable", 3, "image"),
        ("doubt", "labels-empty", 1, "labels"),
    ]


# ------------------------------------------------------------------ what keeps it from starting


class Broken:
    """An array whose parts cannot be read."""

    shape, dtype, ndim = (64, 64), np.dtype(np.uint8), 2

    def __getitem__(self, index: Any) -> Any:
        raise RuntimeError("codec failed")


IMAGE, LABELS = disks(9, 12)


@pytest.mark.parametrize(
    ("examples", "code", "field"),
    [
        ([], "no-examples", "image"),
        (nu.Example(IMAGE, LABELS), "no-examples", "image"),
        (None, "no-examples", "image"),
        ([(IMAGE, LABELS)], "no-example", "image"),
        ([nu.Example("cells.tif", LABELS)], "image-unusable", "image"),
        ([nu.Example(IMAGE, LABELS, axes="ZYX")], "image-unusable", "image"),
        ([nu.Example(IMAGE, LABELS, channels=3)], "image-unusable", "image"),  # type: ignore[arg-type]
        ([nu.Example(IMAGE, LABELS, pixel_size=-1)], "image-unusable", "image"),
        ([nu.Example(IMAGE[:0], LABELS[:0])], "image-unusable", "image"),
        ([nu.Example(IMAGE * 1j, LABELS)], "image-unusable", "image"),
        ([nu.Example(Broken(), LABELS[:64, :64])], "image-unusable", "image"),
        ([nu.Example(IMAGE, LABELS[1:])], "labels-unusable", "labels"),
        ([nu.Example(IMAGE, LABELS / 2)], "labels-unusable", "labels"),
        ([nu.Example(IMAGE, "labels.tif")], "labels-unusable", "labels"),
        ([nu.Example(IMAGE[:64, :64], Broken())], "labels-unusable", "labels"),
        ([nu.Example(IMAGE, LABELS, "some")], "region-unusable", "region"),
        ([nu.Example(IMAGE, LABELS, BOX)], "region-unusable", "region"),
        ([nu.Example(IMAGE, LABELS, ())], "region-unusable", "region"),
        ([nu.Example(IMAGE, LABELS, 5)], "region-unusable", "region"),
        ([nu.Example(IMAGE, LABELS, background=9999)], "region-unusable", "region"),
        ([nu.Example(IMAGE, LABELS, ("all", "painted"), 9)], "region-unusable", "region"),
        ([nu.Example(IMAGE, LABELS, "painted", background=0)], "background-unusable", "background"),
        ([nu.Example(IMAGE, LABELS, background=1.5)], "background-unusable", "background"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_bad_input_is_a_fault_of_its_field(examples: Any, code: str, field: str) -> None:
    index = 0 if isinstance(examples, list) and examples else None
    assert found(examples) == [("fault", code, index, field)]


def test_what_is_wrong_and_what_to_do_are_sentences() -> None:
    finding = only("region-unusable", [nu.Example(IMAGE, LABELS, "some")])
    assert finding.message == "Region 'some' is unknown."
    assert finding.remedy == "Choose 'all', 'planes', 'painted' or a mask."


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_no_fault_unless_all_are(value: float) -> None:
    image = IMAGE.astype(float)
    image[3, 4] = value
    assert found([nu.Example(image, LABELS)]) == found([nu.Example(IMAGE.astype(float), LABELS)])
    empty = np.full_like(image, value)
    assert ("fault", "image-unusable", 0, "image") in found([nu.Example(empty, LABELS)])


def test_channels_that_differ_are_a_fault_of_all() -> None:
    colour = nu.Example(np.stack([IMAGE] * 3, -1), LABELS)
    assert found([nu.Example(IMAGE, LABELS), colour]) == [
        ("fault", "channels-differ", None, "image")
    ]


def test_painted_objects_without_a_background_are_a_fault() -> None:
    painted = nu.Example(IMAGE, LABELS, "painted")
    assert found([painted]) == [("fault", "no-background", 0, "background")]
    dense = nu.Example(np.rot90(IMAGE).copy(), np.rot90(LABELS), np.arange(256)[:, None] < 128)
    assert found([painted, dense]) == []


def test_a_background_that_was_not_painted_is_told() -> None:
    named = nu.Example(IMAGE, LABELS, "painted", background=77)
    assert found([named]) == [("fault", "no-background", 0, "background")]
    other, more = disks(16, 9, seed=1)
    assert found([named, nu.Example(other, more)]) == [
        ("doubt", "background-not-painted", 0, "background")
    ]


def test_negative_labels_are_a_fault_for_objects() -> None:
    labels = LABELS.astype(int)
    labels[0, :9] = -1
    assert found([nu.Example(IMAGE, labels)]) == [("fault", "labels-unusable", 0, "labels")]
    assert found([nu.Example(IMAGE, labels, labels >= 0)]) == []


def test_a_base_must_exist_and_have_the_task() -> None:
    example = [nu.Example(IMAGE, LABELS)]
    for base in ("nucleii", "missing.safetensors", 5):
        assert found(example, base=base)[0] == ("fault", "base-unusable", None, "base")
    finding = only("base-unusable", [nu.Example(IMAGE, (LABELS > 0) * 1)], base="nuclei",
                   config=semantic())  # fmt: skip
    assert finding.message == "The base model 'nuclei' is for the task 'instance', not 'semantic'."


def test_settings_that_do_not_fit_are_a_fault(make_model: Callable[..., Any]) -> None:
    example = [nu.Example(IMAGE, LABELS)]
    assert found(example, config="fast")[0] == ("fault", "config-unusable", None, "config")
    three = nu.TrainConfig(ndim=3)
    assert found([nu.Example(STACK.image, STACK.truth)], config=three, base="nuclei") == [
        ("fault", "config-unusable", None, "config")
    ]
    assert found(example, base=make_model(ndim=3)) == [("fault", "image-unusable", 0, "image")]


def test_settings_are_given_one_by_one_as_for_a_training() -> None:
    stack = [nu.Example(STACK.image, STACK.truth)]
    assert found(stack, base="nuclei") == found(stack, base="nuclei", config=nu.TrainConfig())
    unusable = [("fault", "config-unusable", None, "config")]
    assert found(stack, base="nuclei", ndim=3) == unusable
    # a single field goes before the same one of the settings
    assert found(stack, base="nuclei", config=nu.TrainConfig(ndim=2), ndim=3) == unusable
    told = only("config-unusable", [nu.Example(IMAGE, LABELS)], patches=(64, 64))
    assert "no setting 'patches'" in told.message


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (("planes", "painted"), "'planes' makes every plane with a stroke"),
        (("all", "planes"), "'all' holds everywhere"),
        (("all", LABELS > 0), "'all' holds everywhere"),
    ],
)
def test_regions_without_effect_are_told(region: Any, words: str) -> None:
    finding = only("region-without-effect", [nu.Example(IMAGE, LABELS, region)])
    assert (finding.severity, finding.field) == ("doubt", "region")
    assert words in finding.message
    for useful in ("all", ("all",), ("planes", LABELS > 0), (LABELS > 0, LABELS == 0)):
        assert found([nu.Example(IMAGE, LABELS, useful)]) == []


# ------------------------------------------------------------------------------ axes and values


def test_guessed_axes_are_a_doubt_until_they_are_given() -> None:
    finding = only("axes-guessed", [nu.Example(STACK.image, STACK.truth)])
    assert finding.severity == "doubt"
    assert finding.remedy == "Give axes='TYX' for time."
    assert found([nu.Example(STACK.image, STACK.truth, axes="ZYX")]) == []
    assert found([nu.Example(STACK.image, STACK.truth)], config=nu.TrainConfig(ndim=3)) == []


def test_empty_labels_are_a_fault_of_all_and_a_doubt_of_one() -> None:
    image, labels = disks(16, 9, seed=1)
    empty = nu.Example(image, labels * 0)
    assert found([empty]) == [("fault", "labels-empty", 0, "labels")]
    assert found([nu.Example(IMAGE, LABELS), empty]) == [("doubt", "labels-empty", 1, "labels")]


@pytest.mark.parametrize("region", ["planes", "painted", LABELS * 0])
def test_nothing_known_is_a_fault_of_all_and_a_doubt_of_one(region: Any) -> None:
    image, labels = disks(16, 9, seed=1)
    unknown = nu.Example(IMAGE, LABELS * 0, region)
    assert found([unknown]) == [("fault", "nothing-known", 0, "region")]
    assert found([unknown, nu.Example(image, labels)]) == [("doubt", "nothing-known", 0, "region")]


def test_constant_labels_and_a_single_class() -> None:
    full = nu.Example(IMAGE, np.ones_like(LABELS))
    other = nu.Example(np.rot90(IMAGE).copy(), np.rot90(LABELS > 0) * 2)
    assert ("doubt", "labels-constant", 0, "labels") in found([full])
    assert ("fault", "one-class", 0, "labels") in found([full], config=semantic())
    assert found([full, other], config=semantic()) == [("doubt", "labels-constant", 0, "labels")]
    two = (ClassInfo(value=0, name="none"), ClassInfo(value=1, name="cell"))
    assert ("doubt", "one-class", 0, "labels") in found([full], config=semantic(classes=two))


def test_values_without_a_class_are_a_fault() -> None:
    two = (ClassInfo(value=0, name="none"), ClassInfo(value=1, name="cell"))
    mask = (LABELS > 0) * 1
    named = semantic(classes=two)
    assert found([nu.Example(IMAGE, mask)], config=named) == []
    wrong = nu.Example(IMAGE, mask * 3)
    assert found([wrong], config=named) == [("fault", "classes-unusable", 0, "classes")]
    validation = [nu.Example(np.rot90(IMAGE), np.rot90(mask) * 3)]
    result = found([nu.Example(IMAGE, mask)], config=named, validation=validation)
    assert result == [("fault", "classes-unusable", None, "classes")]


@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_labels_that_look_like_intensities_are_told(task: Any) -> None:
    config = nu.TrainConfig(task=task)
    smoothed = gaussian_filter(BINARY * 255.0, 1).astype(np.uint8)
    for labels in (NUCLEI.image, smoothed):
        finding = only("labels-look-like-intensities", [nu.Example(NUCLEI.image, labels)],
                       config=config)  # fmt: skip
        assert (finding.severity, finding.field) == ("doubt", "labels")


def test_small_objects_that_do_not_touch_are_no_intensities() -> None:
    labels = np.zeros((256, 256), np.uint16)
    labels[4::8, 4::8] = np.arange(1, 1025).reshape(32, 32)
    assert found([nu.Example(IMAGE, labels)]) == []


def test_hardly_anything_labelled_is_told_where_the_rest_is_background() -> None:
    image, labels = disks(100, 9, size=512)
    few = np.where(labels <= 3, labels, 0)
    share = 100 * np.count_nonzero(few) / few.size
    assert share < 1
    finding = only("mostly-unlabelled", [nu.Example(image, few)])
    assert (finding.severity, finding.example, finding.field) == ("doubt", 0, "region")
    assert f"Only {share:.2g} % of the image is labelled" in finding.message
    assert "'painted' or 'planes'" in finding.remedy
    few[::20][labels[::20] == 0] = 999
    assert found([nu.Example(image, few, "painted", background=999)]) == []
    assert found([nu.Example(image, few, background=999)]) != []


def test_a_class_that_covers_little_is_told_unless_background_is_a_class() -> None:
    image, labels = disks(100, 9, size=512)
    classes = np.where(labels == 4, 2, (labels > 0) & (labels < 4)).astype(np.uint8)
    small = [nu.Example(image, classes)]
    assert found(small, config=semantic()) == [("doubt", "mostly-unlabelled", 0, "region")]
    infos = [ClassInfo(value=v, name=f"class {v}", colour="#ff0000") for v in (0, 1, 2)]
    assert found(small, config=semantic(classes=infos)) == []


@pytest.mark.parametrize(
    ("planes", "told"),
    [((4,), True), ((2, 9, 20), True), (range(14), True), (range(2, 29), False)],
)
def test_planes_without_labels_are_told(planes: Any, told: bool) -> None:
    labels = STACK.truth * np.isin(np.arange(31), planes)[:, None, None]
    findings = nu.check_examples([nu.Example(STACK.image, labels, axes="ZYX")], ndim=2)
    said = [f.message for f in findings if f.code == "mostly-unlabelled"]
    assert len(said) == told
    if told:
        assert f"Only {len(planes)} of the 31 planes have labels" in said[0]


def test_classes_given_for_objects_are_told() -> None:
    for labels in (BINARY, BINARY * 255, BINARY * (1 + (NUCLEI.truth % 2))):
        finding = only("labels-look-like-classes", [nu.Example(NUCLEI.image, labels)])
        assert finding.severity == "doubt"
    assert found([nu.Example(NUCLEI.image, BINARY)], config=semantic()) == []


def test_several_strokes_in_each_object_are_no_classes() -> None:
    image, labels = disks(4, 40)
    strokes = np.where(np.arange(256)[:, None] % 12 < 2, labels, 0)
    strokes[:, 120:130] = 99
    assert found([nu.Example(image, strokes, "painted", background=99)]) == []
    # where all is labelled, an object is in one piece
    codes = [code for _, code, *_ in found([nu.Example(image, strokes)])]
    assert "labels-look-like-classes" in codes


def test_few_objects_are_no_classes() -> None:
    for number in (1, 2, 5):
        image, labels = disks(number, 20)
        codes = [code for _, code, *_ in found([nu.Example(image, labels)])]
        assert "labels-look-like-classes" not in codes
    image, labels = disks(1, 20)
    planes = nu.Example(np.stack([image] * 8), np.stack([labels] * 8), axes="TYX")
    assert found([planes]) == []  # one object in each frame


def test_objects_given_for_classes_are_told() -> None:
    config = semantic()
    only("labels-look-like-objects", [nu.Example(NUCLEI.image, NUCLEI.truth)], config=config)
    classes = tuple(ClassInfo(value=v, name=f"part {v}") for v in range(124))
    named = semantic(classes=classes)
    codes = [code for _, code, *_ in found([nu.Example(NUCLEI.image, NUCLEI.truth)], config=named)]
    assert "labels-look-like-objects" not in codes
    assert found([nu.Example(NUCLEI.image, NUCLEI.truth % 3)], config=config) == []


def test_targets_that_teach_nothing() -> None:
    config = nu.TrainConfig(task="regression")
    assert found([nu.Example(IMAGE, IMAGE)], config=config) == [
        ("doubt", "target-is-image", 0, "labels")
    ]
    constant = nu.Example(IMAGE, IMAGE * 0 + 2)
    assert found([constant], config=config) == [("fault", "target-constant", None, "labels")]
    good = nu.Example(np.rot90(IMAGE).copy(), np.rot90(IMAGE) / 2)
    assert found([good, constant], config=config) == [("doubt", "target-constant", 1, "labels")]
    holes = IMAGE / 2
    holes[5, 5] = np.nan
    assert found([nu.Example(IMAGE, holes)], config=config) == [
        ("fault", "not-finite", 0, "labels")
    ]
    two = nu.Example(np.stack([IMAGE, IMAGE * 2]), np.stack([LABELS, LABELS]), axes="CYX")
    one = nu.Example(np.stack([IMAGE.T, IMAGE.T]), LABELS.T, axes="CYX")
    assert found([two, one], config=config) == [("fault", "target-channels-differ", None, "labels")]


# ------------------------------------------------------------------------- a prediction as truth


def test_labels_that_carry_a_run_record_are_told(tmp_path: Path) -> None:
    record = {"operation": "segment", "model": {"name": "nuclei"}}
    stored = zarr.create_array(tmp_path / "labels.zarr", shape=LABELS.shape, dtype=LABELS.dtype)
    stored[...] = LABELS
    assert found([nu.Example(IMAGE, stored)]) == []
    stored.attrs["napari_unet"] = record
    for labels in (stored, read_image(tmp_path / "labels.zarr", eager_bytes=0).array):
        finding = only("prediction-as-truth", [nu.Example(IMAGE, labels)])
        assert (finding.severity, finding.field) == ("doubt", "labels")
        assert "'nuclei'" in finding.message


def test_labels_whose_file_has_a_run_record_are_told(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "cells.tif", LABELS, axes="YX")
    opened = read_image(path, eager_bytes=0).array
    assert found([nu.Example(IMAGE, opened)]) == []
    for text, told in (
        ("{", False),
        ('{"some": "notes"}', False),
        ('{"operation": "segment"}', True),
    ):
        path.with_suffix(".json").write_text(text)
        codes = [code for _, code, *_ in found([nu.Example(IMAGE, opened)])]
        assert codes == ["prediction-as-truth"] * told
    np.save(tmp_path / "cells.npy", LABELS)
    mapped = np.load(tmp_path / "cells.npy", mmap_mode="r")
    assert only("prediction-as-truth", [nu.Example(IMAGE, mapped)]).severity == "doubt"


# ---------------------------------------------------------------------- intensities and sizes


def test_a_constant_image_is_told() -> None:
    assert found([nu.Example(LABELS * 0 + 7, LABELS)]) == [("doubt", "image-constant", 0, "image")]
    two = np.stack([IMAGE, IMAGE * 0])
    finding = only("image-constant", [nu.Example(two, LABELS, axes="CYX")])
    assert finding.message.startswith("Channel 1 ")


def with_card(make_model: Callable[..., Any], **fields: Any) -> Any:
    """A base whose network sees enough."""
    return make_model(features=(2, 2, 2, 2), **fields)


@pytest.mark.parametrize(("factor", "far"), [(1, False), (0.01, True), (100, True), (0.5, False)])
def test_intensities_far_from_a_fixed_range_are_told(
    make_model: Callable[..., Any], factor: float, far: bool
) -> None:
    fixed = Normalization(mode="range", limits=((10.0, 130.0),))
    base = with_card(make_model, normalization=fixed)
    example = [nu.Example(IMAGE * factor, LABELS)]
    told = [("doubt", "intensity-range", 0, "image")] * far
    assert found(example, base=base) == told
    assert found(example, config=nu.TrainConfig(normalization=fixed)) == told
    assert found(example) == []  # percentiles suit every range


def test_objects_of_another_size_than_the_base_s_are_told(make_model: Callable[..., Any]) -> None:
    for diameter, told in ((20.0, False), (40.0, False), (9.0, True), (60.0, True)):
        base = with_card(make_model, object_diameter=diameter)
        result = found([nu.Example(IMAGE, LABELS)], base=base)
        assert result == [("doubt", "objects-unlike-base", None, "base")] * told
    # strokes tell no size
    strokes = nu.Example(NUCLEI.image, PAINTED, "painted", background=999)
    base = with_card(make_model, object_diameter=200.0)
    assert found([strokes], base=base) == []


def test_the_base_may_be_named(tmp_path: Path) -> None:
    # its objects were 21 pixels across
    assert found([nu.Example(IMAGE, LABELS)], base="nuclei") == []
    image, labels = disks(2, 60)
    codes = [code for _, code, *_ in found([nu.Example(image, labels)], base="nuclei")]
    assert "objects-unlike-base" in codes


def test_objects_larger_than_what_the_network_sees_are_told(
    make_model: Callable[..., Any],
) -> None:
    small = make_model(features=(2, 2))
    reach = small.card.architecture.receptive_field[0]
    for radius, told in ((reach - 2, False), (reach + 2, True)):
        image, labels = disks(9, radius)
        result = found([nu.Example(image, labels)], base=small)
        assert result == [("doubt", "objects-exceed-view", None, "base")] * told
        few = nu.TrainConfig(features=(2, 2))
        result = found([nu.Example(image, labels)], config=few)
        assert result == [("doubt", "objects-exceed-view", None, "labels")] * told
        assert found([nu.Example(image, labels)]) == []  # more levels are proposed


def test_pixel_sizes_that_differ_are_told(make_model: Callable[..., Any]) -> None:
    image, labels = disks(16, 9, seed=1)
    for size, told in ((0.2, False), (0.29, False), (0.31, True), (0.1, True), (None, False)):
        examples = [
            nu.Example(IMAGE, LABELS, pixel_size=0.2),
            nu.Example(image, labels, pixel_size=size),
        ]
        assert found(examples) == [("doubt", "pixel-sizes-differ", None, "image")] * told
    strokes = nu.Example(NUCLEI.image, PAINTED, "painted", background=999, pixel_size=0.65)
    for size, told in ((0.65, False), (0.2, True)):
        base = with_card(make_model, pixel_size=(size, size))
        result = found([strokes], base=base)
        assert result == [("doubt", "pixel-size-unlike-base", None, "base")] * told


# ------------------------------------------------------------------------------ what is held out


def test_too_few_labels_to_hold_some_out_are_told() -> None:
    image, labels = disks(1, 16)
    assert found([nu.Example(image, labels)]) == [("doubt", "nothing-held-out", None, "labels")]
    assert found([nu.Example(image, labels)], config=nu.TrainConfig(validation_fraction=0)) == []
    validation = [nu.Example(*disks(9, 12, seed=3))]
    assert found([nu.Example(image, labels)], validation=validation) == []


CROPS = [
    lambda a: a.copy(),
    lambda a: a + np.random.default_rng(0).normal(0, 3, a.shape),
    lambda a: a * 2.5 + 100,
    lambda a: np.roll(a, 0, 0)[37:, 21:],
]


@pytest.mark.parametrize("change", CROPS, ids=["equal", "noise", "brighter", "shifted crop"])
def test_the_same_pixels_on_both_sides_are_told(change: Any) -> None:
    image = NUCLEI.image[:256, :256].astype(np.float32)
    truth = NUCLEI.truth[:256, :256]
    other = change(image)
    labels = truth if other.shape == truth.shape else truth[37:, 21:]
    pair = [nu.Example(image, truth), nu.Example(other, labels)]
    finding = only("near-copy", pair)
    assert (finding.severity, finding.example, finding.field) == ("doubt", 1, "image")
    assert "1st example" in finding.message
    assert only("near-copy", pair[:1], validation=pair[1:]).example == 1


def test_other_parts_of_an_image_are_no_copies() -> None:
    halves = [slice(0, 200), slice(200, 400)]
    examples = [nu.Example(NUCLEI.image[:, h], NUCLEI.truth[:, h]) for h in halves]
    assert found(examples) == []
    assert found(examples[:1], validation=examples[1:]) == []


def test_labels_of_one_image_on_both_sides_are_told_where_they_meet() -> None:
    image = NUCLEI.image
    painted = nu.Example(image, PAINTED, "painted", background=999)
    told = [("doubt", "near-copy", 1, "image")]
    assert found([painted], validation=[painted]) == told
    assert found([painted], validation=[nu.Example(image, NUCLEI.truth)]) == told
    same = nu.Example(image[:], PAINTED.copy(), "painted", background=999)
    assert found([painted], validation=[same]) == told
    assert found([painted], validation=[nu.Example(image, NUCLEI.truth, BOX)]) == told
    box = nu.Example(image, NUCLEI.truth, BOX)
    above = np.zeros_like(BOX)
    above[:50] = True
    assert found([box], validation=[nu.Example(image, NUCLEI.truth, above)]) == []


def test_the_same_array_given_twice_stays_on_one_side() -> None:
    left, right = BOX.copy(), BOX.copy()
    left[:, 180:], right[:, :180] = False, False
    examples = [nu.Example(NUCLEI.image, NUCLEI.truth, region) for region in (left, right)]
    assert found(examples) == []
    assert found(examples[:1], validation=examples[1:]) == []  # parts of one image
    dense = [nu.Example(NUCLEI.image, NUCLEI.truth) for _ in range(2)]
    assert found(dense) == []
    only("near-copy", dense[:1], validation=dense[1:])


def test_only_copies_on_different_sides_are_told() -> None:
    image, labels = disks(16, 9, seed=1)
    third = disks(16, 9, seed=2)
    examples = [nu.Example(IMAGE, LABELS), nu.Example(image, labels), nu.Example(IMAGE + 1, LABELS),
                nu.Example(*third)]  # fmt: skip
    told = set()
    for seed in range(8):
        config = nu.TrainConfig(seed=seed, validation_fraction=0.25)
        codes = [(code, index) for _, code, index, _ in found(examples, config=config)]
        assert codes in ([], [("near-copy", 2)])
        told.add(bool(codes))
    assert told == {True, False}


# --------------------------------------------------------------------------------- lazy arrays


class Counting:
    """An array that counts how many of its pixels were read."""

    def __init__(self, array: NDArray[Any], chunks: tuple[int, ...] | None = None) -> None:
        self.array, self.chunks, self.read = array, chunks, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, index: Any) -> Any:
        part = self.array[index]
        self.read += part.size
        self.largest = max(getattr(self, "largest", 0), part.size)
        return part


def test_of_a_lazy_image_samples_are_read_and_the_labels_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(normalization, "SAMPLE_PIXELS", 1 << 17)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 999, (40, 256, 256), np.uint16)
    truth = np.stack([LABELS] * 40)
    image, labels = Counting(pixels, (4, 128, 128)), Counting(truth, (4, 128, 128))
    other = Counting(pixels[::-1].copy(), (4, 128, 128))
    examples = [nu.Example(image, labels, axes="ZYX"), nu.Example(other, truth[::-1], axes="ZYX")]
    assert found(examples) == []
    assert image.read <= (1 << 17) + PLANE[0] * PLANE[1]
    # for the statistics as a whole, and a bounded part for pieces and places
    assert labels.read <= truth.size + WHOLE_PIXELS
    assert image.largest <= 1 << 17


def test_dask_and_zarr_are_checked_as_numpy_is(tmp_path: Path) -> None:
    stored = zarr.create_array(tmp_path / "image.zarr", shape=(2, *IMAGE.shape), chunks=(1, 64, 64),
                               dtype=IMAGE.dtype)  # fmt: skip
    stored[...] = np.stack([IMAGE, np.rot90(IMAGE)])
    truth = np.stack([LABELS, np.rot90(LABELS)])
    lazy = da.from_array(truth, chunks=(1, 100, 100))
    assert found([nu.Example(stored, lazy, "planes", axes="TYX")]) == []
    mask = nu.Example(stored, (lazy > 0).astype(np.uint8), "planes", axes="TYX")
    only("labels-look-like-classes", [mask])


@pytest.mark.process
def test_checking_takes_no_torch() -> None:
    code = (
        "import sys, napari_unet as nu\n"
        "from napari_unet.samples import load_sample\n"
        "sample = load_sample('nuclei_2d')\n"
        "assert nu.check_examples([nu.Example(sample.image, sample.truth)], base='nuclei') == []\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240, env=environment)


# ------------------------------------------------------------------------------- never an error


@settings(max_examples=25)
@given(
    image=st.sampled_from(
        [IMAGE, IMAGE[None], IMAGE[:, :0], IMAGE[0], np.zeros((3, 1)), [IMAGE, IMAGE], [], "a", 1,
         np.array(["a"]), np.zeros((1, 1)), IMAGE > 20, np.full((2, 3), np.nan)]
    ),
    labels=st.sampled_from(
        [LABELS, LABELS[None], LABELS[:0], LABELS > 3, np.zeros((3, 1), int), None, 3,
         np.full((1, 1), 2**40), -LABELS.astype(int), LABELS.astype(object)]
    ),
    region=st.sampled_from(["all", "planes", "painted", "x", None, (), BOX, LABELS, ("all", 3)]),
    background=st.sampled_from([None, 0, 1, -1, "b", 2**70]),
    axes=st.sampled_from([None, "YX", "XY", "ZYX", "TYX", "QQ", 5]),
    channels=st.sampled_from([None, [0], [7], 3, "ab"]),
    size=st.sampled_from([None, 0.5, 0, "x", (1, 2), (None, 1)]),
    task=st.sampled_from(["instance", "semantic", "regression"]),
    twice=st.booleans(),
)  # fmt: skip
def test_bad_input_never_raises(
    image: Any, labels: Any, region: Any, background: Any, axes: Any, channels: Any, size: Any,
    task: Any, twice: bool,
) -> None:  # fmt: skip
    example = nu.Example(image, labels, region, background, axes, channels, size)
    config = nu.TrainConfig(task=task)
    validation = [nu.Example(IMAGE, LABELS)] if twice else None
    for each in nu.check_examples([example], config=config, validation=validation):
        assert isinstance(each, nu.Finding)
