"""Folders of predictions against folders of truth, by Python and by the command line."""

from __future__ import annotations

import csv
import json
import os
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import napari_unet as nu
from napari_unet.cli import main
from napari_unet.errors import FileError, SettingsError
from napari_unet.evaluation import evaluate_files
from napari_unet.evaluation.label_pairs import find_label_pairs
from napari_unet.evaluation.table import POOLED, list_rows
from napari_unet.metrics import evaluate
from napari_unet.replay.records import read_run


def grid(size: int = 48) -> np.ndarray:
    labels = np.zeros((size, size), np.uint16)
    for i, (y, x) in enumerate(np.ndindex(3, 3), 1):
        labels[15 * y + 2 : 15 * y + 12, 15 * x + 2 : 15 * x + 12] = i
    return labels


def spoiled(number: int) -> np.ndarray:
    labels = grid()
    labels[labels == number % 9 + 1] = 0
    return np.roll(labels, number % 3, 1)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Results, better ones, and the truth of six images."""
    results, better, truth = (tmp_path / name for name in ("results", "better", "truth"))
    for folder in (results, better, truth):
        folder.mkdir()
    for i in range(6):
        tifffile.imwrite(results / f"im{i}_labels.tif", spoiled(i))
        tifffile.imwrite(better / f"im{i}_labels.tif", grid())
        tifffile.imwrite(truth / f"im{i}_masks.tif", grid())
    return results, better, truth


def test_folders_give_the_scores_of_the_arrays(folders: tuple[Path, ...]) -> None:
    results, better, truth = folders
    found = evaluate_files(results, truth, second=better)
    arrays = evaluate([spoiled(i) for i in range(6)], [grid()] * 6)
    assert found.scores[0] == arrays
    assert found.candidates == ("results", "better")
    assert found.images == tuple(f"im{i}" for i in range(6))
    assert found.intervals[0] == arrays.intervals()
    assert found.difference is not None
    assert found.difference.value["ap"][0.5] == pytest.approx(1 - arrays.ap[0.5])
    low, high = found.difference.interval["ap"][0.5]
    assert 0 < low <= found.difference.value["ap"][0.5] <= high
    # a paired difference with a constant is as wide as the interval of the other
    own = found.intervals[0]["ap_mean"][0.5]
    paired = found.difference.interval["ap_mean"][0.5]
    assert paired[1] - paired[0] == pytest.approx(own[1] - own[0])


def test_the_record_says_all_that_is_needed_to_do_it_again(folders: tuple[Path, ...]) -> None:
    results, better, truth = folders
    found = evaluate_files(results, truth, second=better, ignore=9, confidence=0.9, seed=3)
    record = json.loads(json.dumps(found.record))
    assert record["operation"] == "evaluate"
    inputs = record["inputs"]
    again = evaluate_files(
        inputs["predictions"],
        inputs["truth"],
        second=inputs["second"],
        axes=inputs["axes"],
        **record["settings"],
    )
    assert again.scores == found.scores
    assert again.intervals == found.intervals
    assert again.record["images"] == found.record["images"]


def test_the_command_line_prints_and_writes(
    folders: tuple[Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, better, truth = (str(folder) for folder in folders)
    table, errors = tmp_path / "new" / "scores.csv", tmp_path / "errors"
    assert main(["evaluate", results, truth, "-o", str(table), "--errors", str(errors)]) == 0
    printed = capsys.readouterr()
    assert "IoU 0.50: AP" in printed.out
    assert "95 % intervals of results" in printed.out
    assert "scores of 6 of 6 images" in printed.out
    assert "6 pairs by the ending _masks" in printed.err
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows[:3]] == [POOLED] * 3
    assert [row["bound"] for row in rows[:3]] == ["", "low", "high"]
    assert [row["image"] for row in rows[-6:]] == [f"im{i}" for i in range(6)]
    assert float(rows[-1]["ap@0.5"]) == evaluate(spoiled(5), grid()).ap[0.5]
    with (errors / "errors.csv").open() as file:
        listed = list(csv.DictReader(file))
    assert {row["kind"] for row in listed} == {"missed", "outline"}
    labels = tifffile.imread(errors / "im0_errors.tif")
    assert labels[int(listed[0]["position-y"]), int(listed[0]["position-x"])] == 1

    assert main(["evaluate", results, truth, "--second", better, "--json"]) == 0
    (told,) = json_results(capsys.readouterr().out)
    assert [each["name"] for each in told["candidates"]] == ["results", "better"]
    assert told["difference"]["of"] == ["better", "results"]
    assert told["candidates"][1]["scores"]["ap"]["0.5"] == 1
    assert len(told["candidates"][0]["per_image"]) == 6
    assert told["record"]["operation"] == "evaluate"


def test_an_evaluation_is_repeated_from_its_record_and_told_as_code(
    folders: tuple[Path, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results, better, truth = (str(folder) for folder in folders)
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", results, truth, "--second", better, "--ignore", "9", "--seed", "4"]
    for name in ("first.csv", "first.json"):
        assert main([*words, "-o", name]) == 0
    expected = Path("first.csv").read_text()
    found = nu.run("first.csv", output="again.csv")
    assert found.candidates == ("results", "better")
    assert Path("again.csv").read_text() == expected
    assert nu.run("first.json").scores == nu.run("again.csv.json").scores == found.scores
    run = read_run("first.json")
    exec(compile(run.as_python(), "script", "exec"), {})
    assert Path("scores.csv").read_text() == expected
    Path("scores.csv").unlink()
    assert main(shlex.split(run.as_command())[1:]) == 0
    assert Path("scores.csv").read_text() == expected
    # other predictions; one that cannot be scored
    Path(better, "im0_labels.tif").write_bytes(b"no image")
    capsys.readouterr()
    assert main(["run", "first.csv.json", "--input", better, "-o", "other.csv"]) == 1
    assert "scores of 5 of 6 images" in capsys.readouterr().out


def test_single_files_and_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    image = rng.random((16, 16)).astype(np.float32)
    for name, array in {"a_scores.tif": image, "a.tif": image + 0.5}.items():
        tifffile.imwrite(tmp_path / name, array)
    pair = [str(tmp_path / name) for name in ("a_scores.tif", "a.tif")]
    assert main(["evaluate", *pair, "--task", "regression"]) == 0
    assert "MAE 0.5" in capsys.readouterr().out
    Image.fromarray((grid() > 0).astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(spoiled(0).astype(np.uint8) // 9).save(tmp_path / "b.png")
    found = evaluate_files(tmp_path / "b.png", tmp_path / "a.png", task="semantic")
    assert found.scores[0] == evaluate(spoiled(0) // 9, grid() > 0, task="semantic")


def test_axes_of_the_files_are_brought_together(tmp_path: Path) -> None:
    frames = np.stack([grid(), grid()[::-1], spoiled(3)])
    tifffile.imwrite(tmp_path / "p.tif", frames, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(
        tmp_path / "t.ome.tif", frames, metadata={"axes": "TYX"}, photometric="minisblack"
    )
    plain = tmp_path / "t.tif"
    truth = np.stack([grid(), grid()[::-1], grid()])
    tifffile.imwrite(plain, truth, photometric="minisblack")
    assert evaluate_files(tmp_path / "p.tif", tmp_path / "t.ome.tif").scores[0].true_objects == 26
    found = evaluate_files(tmp_path / "p.tif", plain).scores[0]
    assert found == evaluate(frames, truth, axes="TYX")
    assert found != evaluate_files(tmp_path / "p.tif", plain, axes="ZYX").scores[0]


# names


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    ("predicted", "true", "pairs"),
    [
        ("a_labels.tif", "a.tif", [("a", "a_labels.tif", ["a.tif"])]),
        ("a.tif", "a.png", [("a", "a.tif", ["a.png"])]),
        ("a_cp_masks.png", "a_seg.npy", [("a", "a_cp_masks.png", ["a_seg.npy"])]),
        (
            "a.tif a_labels.tif a_scores.tif a_overlay.png",
            "a.tif a_masks.tif",
            [("a", "a_labels.tif", ["a_masks.tif"])],
        ),
        ("image_0_labels.tif", "mask_0.tif", [("image_0", "image_0_labels.tif", ["mask_0.tif"])]),
        (
            "mask000.tif mask001.tif",
            "SEG/man_seg001.tif",
            [("t001", "mask001.tif", ["SEG/man_seg001.tif"])],
        ),
        (
            "b_labels.tif",
            "b/images/b.png b/masks/1.png b/masks/2.png",
            [("b", "b_labels.tif", ["b/masks/1.png", "b/masks/2.png"])],
        ),
    ],
)
def test_truth_is_found_by_the_names(
    tmp_path: Path, predicted: str, true: str, pairs: list[tuple[str, str, list[str]]]
) -> None:
    results = touch(tmp_path / "results", *predicted.split())
    truth = touch(tmp_path / "truth", *true.split())
    found = find_label_pairs(results, truth)
    assert [
        (p.name, p.prediction.relative_to(results).as_posix(),
         [t.relative_to(truth).as_posix() for t in p.truth])
        for p in found.pairs
    ] == pairs  # fmt: skip


def test_names_that_do_not_decide(tmp_path: Path) -> None:
    results = touch(tmp_path / "results", "a_labels.tif", "a_labels.png")
    truth = touch(tmp_path / "truth", "a.tif")
    with pytest.raises(FileError, match="same image"):
        find_label_pairs(results, truth)


# bad input


def test_names_without_any_overlap(
    folders: tuple[Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = touch(tmp_path / "other", "x_masks.tif", "y_masks.tif")
    assert main(["evaluate", str(folders[0]), str(other)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "x_masks.tif" in line
    assert "im0_labels.tif" in line
    with pytest.raises(FileError, match="one is a folder"):
        evaluate_files(folders[0], folders[2] / "im0_masks.tif")
    with pytest.raises(FileError, match="does not exist"):
        evaluate_files(folders[0], tmp_path / "none")


def json_results(printed: str, kind: str = "result") -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in printed.splitlines()]
    return [line for line in lines if line["type"] == kind]


def test_images_that_cannot_be_scored_are_told_and_the_others_are_scored(
    folders: tuple[Path, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    results, _, truth = folders
    tifffile.imwrite(results / "im0_labels.tif", spoiled(0)[:-1])
    tifffile.imwrite(results / "im1_labels.tif", spoiled(1) + np.float32(0.5))
    tifffile.imwrite(results / "im2_labels.tif", spoiled(2).astype(np.int16) - 1)
    (results / "im3_labels.tif").write_bytes(b"no image")
    assert main(["evaluate", str(results), str(truth), "--json"]) == 1
    printed = capsys.readouterr().out
    (told,) = json_results(printed)
    assert told["images"] == ["im4", "im5"]
    assert [fault["image"] for fault in told["faults"]] == ["im0", "im1", "im2", "im3"]
    errors = [each["message"] for each in json_results(printed, "error")]
    assert "im0_labels.tif has shape (47, 48) and im0_masks.tif (48, 48)" in errors[0]
    assert "0.5" in errors[1]
    assert "label -1" in errors[2]
    assert "im3_labels.tif" in errors[3]
    for path in results.glob("im[45]*"):
        path.unlink()
    assert main(["evaluate", str(results), str(truth)]) == 2


def test_empty_labels_are_scored_and_said(tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, np.zeros((8, 8), np.uint8))
    assert evaluate_files(tmp_path / "a.tif", tmp_path / "b.tif").scores[0].ap[0.5] == 1
    tifffile.imwrite(tmp_path / "b.tif", grid())
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((48, 48), np.uint8))
    found = evaluate_files(tmp_path / "a.tif", tmp_path / "b.tif").scores[0]
    assert (found.ap[0.5], found.predicted_objects, found.true_objects) == (0, 0, 9)


def test_a_mask_is_no_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = ((grid() > 0) * 255).astype(np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(mask).save(tmp_path / name)
    pair = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert main(["evaluate", *pair]) == 2
    said = capsys.readouterr().err
    assert "255 only, in 9 separate pieces" in said
    assert "--components" in said
    assert main(["evaluate", *pair, "--components"]) == 0
    assert "TP 9 FP 0 FN 0" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(folders: tuple[Path, ...], tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert main(["evaluate", str(folders[0]), str(folders[2]), "-o", str(closed / "a.csv")]) == 2


def test_a_table_that_cannot_be_written(
    folders: tuple[Path, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", str(folders[0]), str(folders[2])]
    assert main([*arguments, "-o", str(tmp_path / "scores.xlsx")]) == 2
    assert capsys.readouterr().out == ""  # said before anything is read
    (tmp_path / "file").touch()
    assert main([*arguments, "-o", str(tmp_path / "file" / "scores.csv")]) == 2
    assert main([*arguments, "--errors", str(tmp_path / "file")]) == 2
    assert (tmp_path / "file").read_bytes() == b""


def test_wrong_settings(folders: tuple[Path, ...]) -> None:
    with pytest.raises(SettingsError, match="confidence"):
        evaluate_files(folders[0], folders[2], confidence=2)
    with pytest.raises(SettingsError, match="taks"):
        evaluate_files(folders[0], folders[2], taks="instance")


def test_rows_have_the_same_columns_for_every_candidate(folders: tuple[Path, ...]) -> None:
    rows = list_rows(evaluate_files(folders[0], folders[2], second=folders[1]))
    assert [row["candidate"] for row in rows if row["image"] == POOLED and not row["bound"]] == [
        "results",
        "better",
        "better - results",
    ]
