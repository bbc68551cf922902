"""Batches of many files: finished ones, broken ones, equal names, kills, what is written."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import napari_unet as nu
from napari_unet.batch import FileDone, file_job, iter_segment_files
from napari_unet.cli import main
from napari_unet.errors import FileError, InputError, SettingsError
from napari_unet.io import read_image, write_image, write_labels


def squares(count: int = 2, planes: int | None = None) -> np.ndarray:
    """Bright squares of 7 x 7 pixels in a row."""
    image = np.full((20, 12 * count + 4), 20, np.uint8)
    for i in range(count):
        image[5:12, 4 + 12 * i : 11 + 12 * i] = 200
    return image if planes is None else np.stack([image] * planes)


@pytest.fixture(scope="module")
def model_file(
    bright_model: Callable[..., nu.Model], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    return bright_model().save(tmp_path_factory.mktemp("model") / "bright")


@pytest.fixture(scope="module")
def model(model_file: Path) -> nu.Model:
    return nu.Model.load(model_file)


def make_mixed(folder: Path) -> None:
    """50 files of all kinds, five of them broken."""
    folder.mkdir()
    for n in range(15):
        write_image(folder / f"a{n:02}.tif", squares(1 + n % 3), axes="YX", pixel_size=(0.5, 0.5))
    for n in range(10):
        write_image(folder / f"b{n:02}.ome.tif", squares(2, planes=2), axes="ZYX")
    for n in range(8):
        Image.fromarray(squares(3)).save(folder / f"c{n:02}.png")
    for n in range(6):
        np.save(folder / f"d{n:02}.npy", squares(2).astype(np.float32))
    for n in range(6):
        zarr.create_array(folder / f"e{n}.zarr", data=squares(1), dimension_names=["y", "x"])
    whole = (folder / "a00.tif").read_bytes()
    (folder / "x1_cut.tif").write_bytes(whole[: len(whole) // 2])
    (folder / "x2_empty.tif").write_bytes(b"")
    (folder / "x3_text.png").write_text("no picture")
    with (folder / "x4_archive.npy").open("wb") as file:
        np.savez(file, image=squares())
    tifffile.imwrite(folder / "x5_channels.tif", np.full((20, 30, 5), 50, np.uint8))
    assert len(list(folder.iterdir())) == 50


def test_fifty_mixed_files_with_five_broken_ones(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    make_mixed(tmp_path / "in")
    out = tmp_path / "out"
    words = ["segment", str(tmp_path / "in"), "-m", str(model_file), "-o", str(out)]
    assert main(words) == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 45
    reasons = [line for line in printed.err.splitlines() if " error: " in line]
    assert len(reasons) == 5
    for line, name in zip(reasons, ("x1", "x2", "x3", "x4", "x5"), strict=True):
        assert name in line
        assert "Traceback" not in line
        assert line.endswith(".")
    labels = sorted(path.name for path in out.glob("*_labels.tif"))
    assert len(labels) == 45
    with (out / "batch.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 50
    assert sum(row["state"] == "done" for row in rows) == 45
    assert all(bool(row["reason"]) == (row["state"] == "failed") for row in rows)
    record = json.loads((out / "batch.json").read_text())
    assert record["operation"] == "batch"
    assert record["counts"] == {"done": 45, "skipped": 0, "failed": 5, "not run": 0}
    before = {path: path.stat().st_mtime_ns for path in out.glob("*_labels.*")}

    def predict(*_: Any, **__: Any) -> Any:
        raise AssertionError("work was done again")

    monkeypatch.setattr(file_job, "iter_run", predict)
    assert main(words) == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 45
    assert all("finished before" in line for line in printed.out.splitlines())
    assert {path: path.stat().st_mtime_ns for path in out.glob("*_labels.*")} == before


def states(results: list[nu.FileResult]) -> list[str]:
    return [result.state for result in results]


def test_what_makes_a_finished_file_be_run_again(model: nu.Model, tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", squares(2), axes="YX", pixel_size=(0.5, 0.5))
    out = tmp_path / "out"

    def run(**options: Any) -> str:
        (result,) = nu.segment_files([path], model, out, **options)
        assert result.error is None
        return result.state

    def same_size_and_time(pixel_size: tuple[float, float]) -> None:
        stat = path.stat()
        write_image(path, squares(2), axes="YX", pixel_size=pixel_size)
        assert path.stat().st_size == stat.st_size
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert (run(), run()) == ("done", "skipped")
    assert (run(min_size=3), run(min_size=3)) == ("done", "skipped")
    assert run(channels=None, axes="YX", min_size=3) == "done"
    assert (run(), run()) == ("done", "skipped")
    same_size_and_time((0.6, 0.6))  # its metadata alone are other ones
    assert (run(), run()) == ("done", "skipped")
    os.utime(path, ns=(0, 0))  # as of a copy
    assert run() == "done"
    assert (run(check="hash"), run(check="hash")) == ("done", "skipped")
    os.utime(path, ns=(10**9, 10**9))
    assert run(check="hash") == "skipped"
    same = path.stat()
    write_image(path, squares(2) // 2, axes="YX", pixel_size=(0.6, 0.6))
    os.utime(path, ns=(same.st_atime_ns, same.st_mtime_ns))
    assert run(check="hash") == "done"
    assert run(overwrite=True) == "done"
    (out / "a_labels.tif").unlink()
    assert (run(), run()) == ("done", "skipped")
    assert run(write=["labels", "measurements"]) == "done"  # one of them is not there
    assert run(write=["labels", "measurements"]) == "skipped"
    other = nu.Model(model.card.model_copy(update={"name": "other"}), model.network)
    assert nu.segment_files([path], other, out)[0].state == "done"


def test_corrections_by_hand_are_not_replaced(model: nu.Model, tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", squares(2), axes="YX")
    truth = write_labels(tmp_path / "b_labels.tif", squares(1) // 100, axes="YX")
    write_image(tmp_path / "b.tif", squares(1), axes="YX")
    kept = truth.read_bytes()
    (done, refused) = nu.segment_files([tmp_path], model)
    assert done.output == tmp_path / "a_labels.tif"
    assert "no run has written it" in str(refused.error)
    assert truth.read_bytes() == kept
    mine = read_image(tmp_path / "a_labels.tif").array.copy()
    mine[0, 0] = 7
    write_labels(tmp_path / "a_labels.tif", mine, axes="YX")
    (result,) = nu.segment_files([path], model, min_size=2)
    assert "was changed since" in str(result.error)
    assert read_image(tmp_path / "a_labels.tif").array[0, 0] == 7
    (result,) = nu.segment_files([path], model, min_size=2, overwrite=True)
    assert result.error is None
    assert read_image(tmp_path / "a_labels.tif").array[0, 0] == 0


def test_equal_names_in_two_folders_are_both_done(model: nu.Model, tmp_path: Path) -> None:
    for folder, count in (("one/day", 1), ("two/day", 2)):
        write_image(tmp_path / folder / "x.tif", squares(count), axes="YX")
    write_image(tmp_path / "one" / "day" / "y.tif", squares(3), axes="YX")
    out = tmp_path / "out"
    results = nu.segment_files([tmp_path / "one/day", tmp_path / "two/day"], model, out)
    found = {r.output.relative_to(out).as_posix(): r.record["objects"] for r in results}
    assert found == {"one/day/x_labels.tif": 1, "y_labels.tif": 3, "two/day/x_labels.tif": 2}
    # a pattern mirrors the folders below it
    results = nu.segment_files([str(tmp_path / "**" / "x.tif")], model, out / "m")
    found = {r.output.relative_to(out / "m").as_posix(): r.record["objects"] for r in results}
    assert found == {"one/day/x_labels.tif": 1, "two/day/x_labels.tif": 2}
    # names by a template
    results = nu.segment_files(
        [str(tmp_path / "*/day/x.tif")], model, out / "t", name="{folder}_{name}-{model}_{kind}"
    )
    names = [r.output.relative_to(out / "t").as_posix() for r in results]
    assert names == ["one/day_x-random_labels.tif", "two/day_x-random_labels.tif"]
    Image.fromarray(squares(1)).save(tmp_path / "one" / "day" / "x.png")
    files = [tmp_path / "one/day/x.tif", tmp_path / "one/day/x.png"]
    results = nu.segment_files(files, model, out / "e")
    assert [r.output.name for r in results] == ["x_tif_labels.tif", "x_png_labels.tif"]
    for template in ("{kind}", "{name", "{nmae}_{kind}", "../{name}"):
        with pytest.raises(SettingsError, match="name"):
            nu.segment_files(files, model, out / "e", name=template)


def test_all_kinds_of_results(model: nu.Model, tmp_path: Path) -> None:
    stack = squares(2, planes=3)
    path = write_image(tmp_path / "a.tif", stack, axes="ZYX", pixel_size=(2.0, 0.5, 0.5))
    kinds = ["labels", "scores", "measurements", "overlay"]
    (result,) = nu.segment_files([path], model, tmp_path, write=kinds)
    assert result.error is None
    assert list(result.outputs) == kinds
    assert {Path(file).name for file in result.outputs.values()} == {
        "a_labels.tif",
        "a_scores.tif",
        "a_measurements.csv",
        "a_overlay.png",
    }
    np.testing.assert_array_equal(
        read_image(tmp_path / "a_labels.tif").array, nu.segment(stack, model, axes="ZYX")
    )
    with (tmp_path / "a_measurements.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["area"]) for row in rows] == [7 * 7 * 3 * 0.5] * 2
    assert float(rows[0]["confidence"]) > 0.9
    with Image.open(tmp_path / "a_overlay.png") as picture:
        assert picture.size == (28, 20)
    # what was made of it is no image of a later run
    assert [r.source.name for r in nu.segment_files([tmp_path], model)] == ["a.tif"]
    out = tmp_path / "export"
    (exported,) = nu.segment_files([path], model, out, export=["zip", "json"])
    assert exported.error is None
    assert {p.name for p in out.iterdir()} >= {"a_labels.zip", "a_coco.json", "a_labels.json"}
    (table,) = nu.segment_files([path], model, tmp_path / "t", write="measurements")
    assert table.output == tmp_path / "t" / "a_measurements.csv"
    assert nu.segment_files([path], model, tmp_path / "t", write="measurements")[0].skipped


def test_labels_in_zarr(model: nu.Model, tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", squares(2), axes="YX")
    for count in (2, 3):
        write_image(path, squares(count), axes="YX")
        (result,) = nu.segment_files([path], model, tmp_path / "out", file_format="zarr")
        assert (result.error, result.state) == (None, "done")
        array = read_image(tmp_path / "out" / "a_labels.zarr")
        assert (array.axes, int(np.asarray(array.array).max())) == ("YX", count)
        (again,) = nu.segment_files([path], model, tmp_path / "out", file_format="zarr")
        assert again.skipped
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a_labels.json",
        "a_labels.zarr",
    ]


def test_urls_in_and_out(model: nu.Model, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    write_image(tmp_path / "a.tif", squares(2), axes="YX", pixel_size=(0.5, 0.25))
    memory.put_file(str(tmp_path / "a.tif"), "/bucket/in/a.tif")
    zarr.create_array(
        "memory://bucket/in/b.zarr", data=squares(3, planes=2), dimension_names=["z", "y", "x"]
    )
    memory.pipe_file("/bucket/in/c.tif", b"nothing")
    out = "memory://bucket/out"
    results = nu.segment_files(["memory://bucket/in"], model, out)
    assert states(results) == ["done", "done", "failed"]
    assert results[0].output == "memory://bucket/out/a_labels.tif"
    memory.get_file("/bucket/out/a_labels.tif", str(tmp_path / "back.tif"))
    back = read_image(tmp_path / "back.tif")
    np.testing.assert_array_equal(back.array, nu.segment(squares(2), model))
    assert back.pixel_size == pytest.approx((0.5, 0.25))
    assert results[1].record["axes"] == "ZYX"
    assert states(nu.segment_files(["memory://bucket/in"], model, out)) == [
        "skipped",
        "skipped",
        "failed",
    ]
    (stored,) = nu.segment_files(
        ["memory://bucket/in/b.zarr"], model, out + "/z", file_format="zarr"
    )
    labels = zarr.open_array(str(stored.output), mode="r")
    np.testing.assert_array_equal(labels[:], nu.segment(squares(3, planes=2), model, axes="ZYX"))
    with pytest.raises(FileError, match="nosuch"):
        nu.segment_files(["nosuch://bucket/a.tif"], model, out)
    memory.store.clear()


SLOW_WORK = """
import sys, time
import napari_unet.batch.file_job as file_job
from napari_unet.cli import main
real = file_job.iter_run
def slow(*args, **options):
    time.sleep(0.2)
    return (yield from real(*args, **options))
file_job.iter_run = slow
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="no kill -9 there")
def test_kill_loses_only_the_file_in_hand(model_file: Path, tmp_path: Path) -> None:
    for n in range(12):
        write_image(tmp_path / "in" / f"a{n:02}.tif", squares(2), axes="YX")
    out = tmp_path / "out"
    words = ["segment", str(tmp_path / "in"), "-m", str(model_file), "-o", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_WORK, *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(5)]
    process.send_signal(signal.SIGKILL)
    told += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    assert 5 <= len(told) < 12
    results = nu.segment_files([tmp_path / "in"], nu.Model.load(model_file), out)
    kept = states(results).count("skipped")
    assert len(told) <= kept <= len(told) + 1  # the last may have been written, and not told
    assert states(results) == ["skipped"] * kept + ["done"] * (12 - kept)
    assert len(list(out.glob("*_labels.tif"))) == 12
    assert not list(out.glob(".*"))


def test_cancel_keeps_what_is_done_and_the_table_says_so(model: nu.Model, tmp_path: Path) -> None:
    for n in range(4):
        write_image(tmp_path / "in" / f"a{n}.tif", squares(2), axes="YX")
    job = iter_segment_files([tmp_path / "in"], model, tmp_path / "out", summary=True)
    for step in job:
        if isinstance(step, FileDone) and step.file == 1:
            break
    job.close()
    with (tmp_path / "out" / "batch.csv").open() as file:
        found = [row["state"] for row in csv.DictReader(file)]
    assert found[:2] == ["done", "done"]
    assert found[3] == "not run"
    assert found.count("done") == len(list((tmp_path / "out").glob("*_labels.tif")))


def test_the_next_file_is_read_while_the_network_works(
    model: nu.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    for n in range(3):
        write_image(tmp_path / "in" / f"a{n}.tif", squares(2), axes="YX")
    read = {f"a{n}.tif": threading.Event() for n in range(3)}
    real_read, real_run = file_job.read_image, file_job.iter_run
    order: list[str] = []

    def reading(path: Path, **options: Any) -> Any:
        file = real_read(path, **options)
        read[path.name].set()
        return file

    def running(*args: Any, **options: Any) -> Any:
        following = f"a{len(order) + 1}.tif"
        order.append(following)
        if following in read:
            assert read[following].wait(60)  # before this one is predicted
        return (yield from real_run(*args, **options))

    monkeypatch.setattr(file_job, "read_image", reading)
    monkeypatch.setattr(file_job, "iter_run", running)
    assert states(nu.segment_files([tmp_path / "in"], model, tmp_path / "out")) == ["done"] * 3


def test_a_pattern_without_images_is_told(model: nu.Model, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"No image matches"):
        nu.segment_files([str(tmp_path / "*.tif")], model)
    with pytest.raises((InputError, SettingsError), match="labels"):
        nu.segment_files([tmp_path / "a.tif"], model, write=["lables"])
