"""The study of training: its strokes, its splits, its file of results and its page."""

from __future__ import annotations

import importlib
import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import napari_unet as nu
from napari_unet.errors import TrainingError

STUDIES = Path(__file__).parents[2] / "studies"
EXPERIMENTS = (
    "finetuning",
    "painting",
    "planes",
    "regression",
    "speed",
    "start",
    "batch_norm",
    "patches",
    "configuration",
)
PARTS = ("records", "scribbles", "data", "figures", "page", "base_page", *EXPERIMENTS)


@pytest.fixture(scope="module")
def study():
    """The study's commands and parts, importable for these tests alone."""
    before = set(sys.modules)
    logger, threads = logging.getLogger("napari_unet"), torch.get_num_threads()
    level = logger.level
    sys.path.insert(0, str(STUDIES))
    try:
        parts = {name: importlib.import_module(f"training_study.{name}") for name in PARTS}
        parts["main"] = importlib.import_module("study_training")
        parts["write"] = importlib.import_module("write_training_results")
        yield parts
    finally:
        logger.setLevel(level)  # the studies set these for their process, which is that of tests
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)
        sys.path.remove(str(STUDIES))
        for name in set(sys.modules) - before:
            if name.startswith(("training_study", "study_training", "write_training")):
                del sys.modules[name]


@pytest.fixture(scope="module")
def discs():
    """Discs of radius 9, some of which touch, numbered from 1."""
    y, x = np.mgrid[:160, :200]
    labels = np.zeros((160, 200), np.int32)
    centres = [(20, 20), (20, 38), (60, 50), (60, 120), (110, 30), (110, 100), (140, 180)]
    for number, (cy, cx) in enumerate(centres, 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= 81] = number
    return labels


# --------------------------------------------------------------------------------- strokes
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), share=st.sampled_from([0.01, 0.02, 0.05]))
def test_a_stroke_is_one_piece_inside_one_object(study, discs, seed, share):
    found = study["scribbles"].paint(discs, share, seed, instances=True)
    assert found.background == discs.max() + 1
    for kind, pixels in found.strokes:
        values = np.unique(discs.flat[pixels])
        assert len(values) == 1
        assert (values[0] > 0) == (kind == 1)
        drawn = np.zeros(discs.shape, bool)
        drawn.flat[pixels] = True
        assert ndimage.label(drawn, np.ones((3, 3)))[1] == 1


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), share=st.sampled_from([0.01, 0.02, 0.05]))
def test_what_is_painted_is_true_and_about_as_much_as_asked(study, discs, seed, share):
    found = study["scribbles"].paint(discs, share, seed, instances=True)
    painted = found.labels > 0
    expected = np.where(discs == 0, found.background, discs)
    assert (found.labels[painted] == expected[painted]).all()
    assert found.share == painted.mean()
    assert abs(found.share - share) < 0.3 * share


@pytest.mark.parametrize("instances", [True, False])
def test_every_class_has_as_many_strokes(study, discs, instances):
    truth = discs if instances else np.digitize(np.arange(200), [120, 190]) * np.ones((160, 1), int)
    found = study["scribbles"].paint(truth, 0.03, 1, instances=instances)
    kinds, counts = np.unique([kind for kind, _ in found.strokes], return_counts=True)
    assert len(kinds) == (2 if instances else 3)
    assert counts.min() == counts.max() > 3
    if not instances:
        painted = found.labels > 0
        assert (found.labels[painted] == truth[painted] + 1).all()


def test_objects_take_turns(study, discs):
    found = study["scribbles"].paint(discs, 0.03, 5, instances=True)
    owners = [discs.flat[pixels[0]] for kind, pixels in found.strokes if kind == 1]
    counts = np.bincount(owners, minlength=8)[1:]
    assert counts.max() - counts.min() <= 1


def test_equal_seeds_paint_equal_strokes(study, discs):
    paint = study["scribbles"].paint
    first, again, other = (paint(discs, 0.02, seed, instances=True) for seed in (3, 3, 4))
    assert (first.labels == again.labels).all()
    assert (first.labels != other.labels).any()


def test_strokes_reach_the_rim_and_do_not_follow_the_middle(study):
    """A skeleton of a bar is its middle line: strokes are everywhere, and shorter than asked."""
    bar = np.zeros((60, 400), np.int32)
    bar[15:45] = 1
    found = study["scribbles"].paint(bar, 0.2, 0, instances=True, longest=30)
    rows = np.concatenate([p // 400 for kind, p in found.strokes if kind == 1])
    in_thirds = np.histogram(rows, [15, 25, 35, 45])[0] / len(rows)
    assert in_thirds.min() > 0.2
    columns = [np.ptp(p % 400) for kind, p in found.strokes if kind == 1]
    assert max(columns) < 30 + 2 * 6 + 3


def test_painting_ends_where_nothing_is_left_to_paint(study):
    tiny = np.zeros((30, 30), np.int32)
    tiny[10:12, 10:12] = 1
    found = study["scribbles"].paint(tiny + 1, 1.0, 0, instances=False)
    assert found.share > 0.8


# -------------------------------------------------------------------------- images and labels
def test_neighbouring_images_are_one_field(study):
    rng = np.random.default_rng(0)
    field = ndimage.gaussian_filter(rng.random((80, 81)), 3)
    alone = ndimage.gaussian_filter(rng.random((40, 40)), 3)
    images = [field[:40, :40], alone, field[:40, 40:80], alone[::-1, ::-1], field[40:, 40:80]]
    rows = [{"group": group} for group in ("a", "b", "c", "b", "d")]
    joined = study["data"].join(images, rows, 0.9)
    assert sorted(map(sorted, joined)) == [[0, 2, 4], [1, 3]]


def test_scribbled_examples_know_what_was_painted_and_no_more(study, discs):
    image = discs.astype(np.float32)
    scribbled = study["painting"].scribbled
    (cells,), share = scribbled([nu.Example(image, discs)], 0.02, 0, instances=True)
    assert cells.region == "painted"
    assert cells.background == discs.max() + 1
    assert 0 < (cells.labels > 0).mean() == share < 0.03
    classes = (discs > 0) + 1
    (classed,), _ = scribbled([nu.Example(image, classes)], 0.02, 0, instances=False)
    painted = classed.labels > 0
    assert (classed.labels[painted] == classes[painted]).all()
    dense, share = scribbled([cells], 1.0, 0, instances=True)
    assert dense == [cells]
    assert share == 1


def test_labelled_planes_are_whole_and_as_many_as_asked(study):
    labels = np.zeros((20, 5, 5), np.int32)
    labels[4:17, 1:3] = 7
    volume = nu.Example(labels.astype(np.float32), labels, axes="ZYX")
    for count in (1, 3, 6):
        part = study["planes"].in_planes(volume, count)
        known = part.labels.any((1, 2))
        assert part.region == "planes"
        assert known.sum() == count
        assert (part.labels[known] == labels[known]).all()
    assert study["planes"].in_planes(volume, 0) is volume


def test_psnr_does_not_depend_on_gain_and_offset(study):
    rng = np.random.default_rng(1)
    clean = rng.random((64, 64))
    noisy = clean + rng.normal(0, 0.1, clean.shape)
    psnr = study["regression"].psnr
    assert psnr(3 * noisy - 5, clean) == pytest.approx(psnr(noisy, clean))
    assert psnr(noisy, clean) == pytest.approx(20, abs=1)
    assert psnr(clean + 0.01 * (noisy - clean), clean) > psnr(noisy, clean) + 30


def test_the_noise_is_estimated(study):
    y = np.linspace(0, 3, 200, dtype=np.float32)
    noise = np.random.default_rng(2).normal(0, 0.2, (200, 200)).astype(np.float32)
    found = study["regression"].noise_level(np.sin(y)[:, None] + noise)
    assert found == pytest.approx(0.2, rel=0.05)


# ------------------------------------------------------------------------------------ results
@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("quick", [False, True])
def test_the_runs_of_an_experiment_differ_and_survive_the_file(study, name, quick):
    plan = study["records"].Plan(Path("nowhere"), quick=quick)
    runs = list(study[name].iter_runs(plan))
    keys = [json.dumps([r.experiment, r.condition, r.seed, r.steps]) for r in runs]
    assert len(set(keys)) == len(keys) > 1
    for run, key in zip(runs, keys, strict=True):
        assert json.loads(key)[1] == run.condition
        assert study["main"].MODULES[run.experiment] == name


def fake_runs(study, made, fault=None):
    """Three runs that note when they are made; the second may fail."""
    records = study["records"]

    def measure(seed):
        def work():
            made.append(seed)
            if seed == 1 and fault is not None:
                raise fault
            return records.Outcome(0.5 + seed / 10, {"AP 0.5": 0.5}, 2.0, {"painted": 0.02})

        return work

    condition = {"data": "fluorescence", "share": 0.02}
    return [records.Run("scribbles", condition, seed, 7, measure(seed)) for seed in range(3)]


def run_study(study, monkeypatch, path, runs, *options):
    monkeypatch.setattr(study["painting"], "iter_runs", lambda *_: runs)
    for name in ("set_num_threads", "set_flush_denormal"):  # these would last beyond the test
        monkeypatch.setattr(study["main"].torch, name, lambda *_: None)
    monkeypatch.setattr(
        sys, "argv", ["study", "data", str(path), "scribbles", "--threads", "1", *options]
    )
    study["main"].main()


def test_a_study_that_was_stopped_goes_on_where_it_was(study, tmp_path, monkeypatch):
    path, made = tmp_path / "new" / "results.json", []
    with pytest.raises(KeyboardInterrupt):
        run_study(study, monkeypatch, path, fake_runs(study, made, KeyboardInterrupt()))
    assert made == [0, 1]
    (first,) = json.loads(path.read_text())
    run_study(study, monkeypatch, path, fake_runs(study, made))
    assert made == [0, 1, 1, 2]
    entries = json.loads(path.read_text())
    assert entries[0] == first
    assert [e["seed"] for e in entries] == [0, 1, 2]
    assert {"experiment", "condition", "seed", "steps", "seconds", "score", "versions"} <= set(
        first
    )
    run_study(study, monkeypatch, path, fake_runs(study, made))
    assert made == [0, 1, 1, 2]
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


@pytest.mark.parametrize("fault", [TrainingError("No labels."), RuntimeError("No labels.")])
def test_a_failed_run_is_told_and_tried_again(study, tmp_path, monkeypatch, capsys, fault):
    path, made = tmp_path / "results.json", []
    run_study(study, monkeypatch, path, fake_runs(study, made, fault))
    assert made == [0, 1, 2]
    assert "No labels." in capsys.readouterr().out
    assert [e["score"] for e in json.loads(path.read_text())] == [0.5, None, 0.7]
    run_study(study, monkeypatch, path, fake_runs(study, made))
    assert made == [0, 1, 2, 1]
    assert sorted(e["score"] for e in json.loads(path.read_text())) == [0.5, 0.6, 0.7]


def test_a_quick_run_does_not_stand_for_a_real_one(study, tmp_path, monkeypatch):
    path, made = tmp_path / "results.json", []
    run_study(study, monkeypatch, path, fake_runs(study, made), "--quick")
    run_study(study, monkeypatch, path, fake_runs(study, made))
    assert made == [0, 1, 2, 0, 1, 2]
    assert len(study["figures"].usable(json.loads(path.read_text()))) == 3


def test_listing_makes_nothing(study, tmp_path, monkeypatch, capsys):
    path, made = tmp_path / "results.json", []
    run_study(study, monkeypatch, path, fake_runs(study, made), "--list")
    assert not made
    assert not path.exists()
    assert capsys.readouterr().out.count("to do") == 3


def test_what_differs_from_a_proposal_sees_as_many_pixels(study):
    configuration = study["configuration"]
    sample = nu.load_sample("nuclei_2d")
    examples = [nu.Example(sample.image, sample.truth, axes="YX")]
    settings = nu.TrainConfig(steps=1)
    setup = configuration.prepare_training(examples, base=None, config=settings, validation=None)
    proposed = configuration.changed(setup, {}, 200)
    architecture = setup.network.config
    assert (proposed["features"], proposed["strides"]) == (
        architecture.features,
        architecture.strides,
    )
    assert (proposed["patch"], proposed["batch_size"]) == (setup.patch, settings.batch_size)
    pixels = 200 * np.prod(setup.patch) * settings.batch_size
    seen = {}
    for name, change in configuration.CHANGES.items():
        given = configuration.changed(setup, change, 200)
        nu.TrainConfig.model_validate(given)
        seen[name] = str(given)
        spent = given["steps"] * np.prod(given["patch"]) * given["batch_size"]
        assert abs(spent / pixels - 1) < 0.01, name
        stride = np.prod(given["strides"], axis=0)
        assert not any(np.array(given["patch"]) % stride), name
    assert len(set(seen.values())) == len(configuration.CHANGES)


# --------------------------------------------------------------------------------------- page
def entry(experiment, score, seed=0, steps=9, **condition):
    details = {"painted": 0.021, "batch": 4, "patch": [64, 64], "features": [8, 16]}
    if experiment == "speed":
        details |= {
            "step seconds": 0.9,
            "bare seconds": 1.0,
            "drawing share": 0.04,
            "loss share": 0.02,
        }
        details |= {"precision": "float32", "where": "cpu"}
    return {
        "experiment": experiment,
        "condition": condition,
        "seed": seed,
        "steps": steps,
        "quick": False,
        "seconds": 3.0,
        "score": score,
        "scores": {"AP 0.5": score, "Dice": score},
        "training_seconds": 2.0,
        "details": details,
        "device": "cpu",
        "threads": 1,
        "versions": {"torch": "2.0"},
    }


def test_the_page_has_a_place_for_every_table(study):
    text = (STUDIES.parent / "docs" / "results" / "training.md").read_text()
    for name in (*study["page"].TABLES, *study["base_page"].TABLES):
        assert text.count(f"<!-- table: {name} -->") == 1
        assert text.index(f"<!-- table: {name} -->") < text.index(f"<!-- end: {name} -->")


def test_the_page_tells_means_spread_shares_and_aims(study, tmp_path, monkeypatch):
    entries = [
        entry("scribbles", value, seed, data=data, share=share)
        for data in ("fluorescence", "sections")
        for share, values in ((1.0, (0.79, 0.8, 0.81)), (0.02, (0.7, 0.75, 0.8)))
        for seed, value in enumerate(values)
    ]
    entries.append(entry("scribbles", 0.1, 0, 3, data="sections", share=0.02))  # fewer steps
    entries.append(entry("speed", 0.9, 0, 0, network="2D", precision="float32"))
    entries += [entry("start", value, i, 0, images=15) for i, value in enumerate((1.4, 1.6, 9.0))]
    entries.append(entry("finetune", 0.512345, 0, 9, data="histology", start="nuclei", images=1))
    page = tmp_path / "training.md"
    page.write_text((STUDIES.parent / "docs" / "results" / "training.md").read_text())
    results = tmp_path / "made.json"
    results.write_text(json.dumps([*entries, {**entries[0], "quick": True, "score": 9.0}]))
    monkeypatch.setattr(study["write"], "RECORD", tmp_path / "training.json")
    monkeypatch.setattr(study["write"], "PAGES", (page, tmp_path / "absent.md"))
    monkeypatch.setattr(sys, "argv", ["write", str(results)])
    study["write"].main()
    text = page.read_text()
    assert "| 2% | 2.1% | 2.1% | 0.75 ± 0.05 (3) | 94% |" in text
    assert "| 2 % scribbles of dense, fluorescence, 9 steps | 92% or more | 94% | met |" in text
    assert "| step over bare loop, 2D, float32 | 1.00 | 0.90 | met |" in text
    assert "| call to first step, 15 images of 520×696, s | 1.5 or less | 1.6 | not met |" in text
    assert "| 1 | 0.51 | missing | missing | missing |" in text
    assert "None failed." in text
    assert len(json.loads((tmp_path / "training.json").read_text())) == len(entries)
    monkeypatch.setattr(sys, "argv", ["write", str(tmp_path / "training.json")])
    study["write"].main()
    assert page.read_text() == text


def test_a_page_without_results_says_so(study, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Before.\n<!-- table: scribbles -->\nold\n<!-- end: scribbles -->\nBehind.\n")
    study["page"].fill(page, [])
    text = page.read_text()
    assert text.startswith("Before.\n")
    assert text.endswith("Behind.\n")
    assert "missing" in text
    assert "old" not in text
    for tables in (study["page"].TABLES, study["base_page"].TABLES):
        for make in tables.values():
            assert make([])


def test_failed_runs_are_on_the_page(study):
    failed = {**entry("planes", None, network="3D", planes=1), "error": "No objects."}
    failed.pop("details")
    tables = study["page"].TABLES
    assert "No objects." in tables["failures"]([failed])
    assert "missing" in tables["planes"]([failed])
    assert tables["budget"]([failed])
