"""What is said of a new model beside its base."""

from __future__ import annotations

import re
from typing import Any

import pytest

from napari_unet.card import (
    ClassInfo,
    InstanceRepresentation,
    ModelCard,
    ScoreRecord,
    TrainingRecord,
)
from napari_unet.training.verdict import (
    FEW_HELD_OUT,
    compare_with_base,
    describe_held_out,
    describe_scores,
)
from napari_unet.unet_config import UNetConfig


def card(task: str = "instance", base: str | None = "old", *records: ScoreRecord) -> ModelCard:
    values: dict[str, Any] = {}
    if task == "semantic":
        names = ("background", "vessel")
        values["classes"] = tuple(ClassInfo(value=v, name=n) for v, n in enumerate(names))
    if task == "instance":
        values["instances"] = InstanceRepresentation()
    outputs = 1 if task == "regression" else 2
    return ModelCard(
        name="new",
        task=task,
        axes="CYX",
        channels=("channel 0",),
        architecture=UNetConfig(
            ndim=2, in_channels=1, out_channels=outputs, features=(4, 8), strides=((2, 2),)
        ),
        training=TrainingRecord(
            base=base,
            examples=2,
            labelled_pixels=100,
            data_sha256="",
            steps=3,
            seconds=1,
            seed=0,
            versions={},
        ),
        scores=records,
        **values,
    )


def score(model: str | None = None, images: int = 3, **values: float) -> ScoreRecord:
    named = {name.replace("_", " "): value for name, value in values.items()}
    named = {n.replace("05", "0.5").replace("09", "0.9"): v for n, v in named.items()}
    return ScoreRecord(data="held out", images=images, values=named, model=model)


def test_scores_stand_side_by_side() -> None:
    new, old = score(AP_at_IoU_05=0.8125, AP_at_IoU_09=0.25), score("old", AP_at_IoU_05=0.5)
    lines = describe_scores(card("instance", "old", new, old))
    assert [re.split(r"  +", line) for line in lines[:3]] == [
        ["held-out part, 3 images", "new", "old"],
        ["AP at IoU 0.5", "0.812", "0.500"],
        ["AP at IoU 0.9", "0.250", "-"],
    ]
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[3] == (
        "The new model is better than its base on the held-out part: its AP at IoU 0.5 is 0.812, "
        "that of old 0.500."
    )


@pytest.mark.parametrize(
    ("task", "new", "old", "said"),
    [
        ("instance", {"AP_at_IoU_05": 0.4}, {"AP_at_IoU_05": 0.5}, "The base is better"),
        ("instance", {"AP_at_IoU_05": 0.40004}, {"AP_at_IoU_05": 0.4}, "Neither is better"),
        (
            "instance",
            {"AP_at_IoU_05": 1.0, "AP_at_IoU_09": 0.4},
            {"AP_at_IoU_05": 1.0, "AP_at_IoU_09": 0.7},
            "base is better than the new model on the held-out part: the new model's AP at IoU 0.9",
        ),
        ("semantic", {"Dice": 0.9}, {"Dice": 0.8}, "The new model is better"),
        ("regression", {"MAE": 2.0, "PSNR": 30.0}, {"MAE": 1.0, "PSNR": 29.0}, "The new model is"),
        # where there is no error there is no PSNR
        ("regression", {"MAE": 2.0, "PSNR": 30.0}, {"MAE": 0.0}, "The base is better"),
        ("regression", {"MAE": 0.5}, {"MAE": 1.0}, "The new model is better"),
        ("semantic", {"Dice": 0.9}, {"other": 0.8}, "no score in common"),
    ],
)
def test_which_is_better(
    task: str, new: dict[str, float], old: dict[str, float], said: str
) -> None:
    last = describe_scores(card(task, "old", score(**new), score("old", **old)))[-1]
    assert said in last
    assert ("Keep using old" in last) == ("base is better" in said)


def test_a_base_that_answers_something_else() -> None:
    last = describe_scores(card("semantic", "old", score(Dice=0.9)))[-1]
    assert "base old was not scored" in last


def test_a_new_network_has_a_table_alone() -> None:
    lines = describe_scores(card("semantic", None, score(images=1, Dice=0.9, Dice_of_1=0.7)))
    assert [re.split(r"  +", line) for line in lines] == [
        ["held-out part, 1 image", "new"],
        ["Dice", "0.900"],
        ["Dice of vessel", "0.700"],
    ]


@pytest.mark.parametrize(
    ("count", "thing", "said"),
    [
        (3, "object", "on only 3 objects"),
        (1, "object", "on only 1 object"),
        (900, "pixel", "on only 900 pixels"),
        (FEW_HELD_OUT["object"], "object", ""),
        (FEW_HELD_OUT["pixel"], "pixel", ""),
    ],
)
@pytest.mark.parametrize("base", ["old", None])
def test_few_held_out_objects_are_told(count: int, thing: str, said: str, base: str | None) -> None:
    data = describe_held_out(count, thing) + ", on which the decoding was calibrated"
    held = {"data": data, "count": count, "unit": thing}
    records = [score(AP_at_IoU_05=1.0).model_copy(update=held)]
    if base is not None:
        records.append(score(base, AP_at_IoU_05=0.5).model_copy(update=held))
    told = card("instance", base, *records)
    verdict = compare_with_base(told)
    shown = (verdict.sentence, " ".join(describe_scores(told)))
    for text in shown:
        assert said.removeprefix("on ") in text
        assert ("only" in text) == bool(said)
        assert ("the held-out part of only" in text) == bool(said and base)


def test_nothing_held_out() -> None:
    (line,) = describe_scores(card())
    assert "Nothing was held out" in line


@pytest.mark.parametrize(
    ("new", "old", "better"), [(0.9, 0.8, True), (0.7, 0.8, False), (0.8, 0.80001, None)]
)
def test_a_verdict_in_figures(new: float, old: float, better: bool | None) -> None:
    told = card("semantic", "old", score(Dice=new, Dice_of_1=0.7), score("old", Dice=old))
    verdict = compare_with_base(told)
    assert verdict.better is better
    assert verdict.rows == (("Dice", new, old), ("Dice of vessel", 0.7, None))
    assert (verdict.base, verdict.images) == ("old", 3)
    assert describe_scores(told)[-1] == verdict.sentence


def test_a_verdict_without_anything_to_compare() -> None:
    empty, alone = (
        compare_with_base(card()),
        compare_with_base(card("semantic", None, score(Dice=0.9))),
    )
    assert (empty.better, empty.rows, empty.images) == (None, (), 0)
    assert (alone.better, alone.rows, alone.base) == (None, (("Dice", 0.9, None),), None)
    assert "no base" in alone.sentence
