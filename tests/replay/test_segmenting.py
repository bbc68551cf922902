"""Segmentations that are repeated from their records, in this process and in others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_unet as nu
from napari_unet.image.roi import Roi
from napari_unet.inference.segmentation import iter_run, iter_segmentation
from napari_unet.io import read_image, write_image
from napari_unet.progress import drain
from napari_unet.replay.records import read_run

IMAGE = nu.load_sample("nuclei_2d").image[:120, :150]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_image(tmp_path / "cells.tif", IMAGE, axes="YX", pixel_size=(0.5, 0.5))


def run_elsewhere(folder: Path, code: str) -> Any:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def test_a_record_of_files_gives_equal_labels(path: Path, tmp_path: Path) -> None:
    (done,) = nu.segment_files([path], "nuclei", tmp_path / "out", threshold=0.55, tile=64)
    assert done.output is not None
    labels = read_image(done.output).array
    for record in (done.output.with_suffix(".json"), done.output, done.record):
        assert np.array_equal(nu.run(record), labels)
    again = tmp_path / "again.tif"
    nu.run(done.output, output=again)
    assert np.array_equal(read_image(again).array, labels)
    # and the repeated one has a record that can be run too
    assert np.array_equal(nu.run(again), labels)


def test_other_pixels_and_another_model_are_told(path: Path, tmp_path: Path) -> None:
    record = drain(iter_segmentation(nu.read_image(path), "nuclei")).record
    changed = IMAGE.copy()
    changed[7, 9] += 1
    write_image(path, changed, axes="YX", pixel_size=(0.5, 0.5))
    with pytest.raises(nu.UNetError, match=r"cells.tif is not what the record was made of.*values"):
        nu.run(record)
    assert nu.run(record, input=path).shape == IMAGE.shape
    model = {**record["model"], "sha256": "0" * 64}
    with pytest.raises(nu.UNetError, match=r"'nuclei' is another one than that of the record"):
        nu.run({**record, "model": model}, input=path)
    gone = {"name": "gone", "sha256": "1" * 64}
    with pytest.raises(nu.UNetError, match=r"'gone' of the record is not here"):
        nu.run({**record, "model": gone}, input=path)
    # a model is found by what it is, whatever it is called now
    renamed = {**record["model"], "name": "called-otherwise"}
    assert nu.run({**record, "model": renamed}, input=path).any()
    with pytest.raises(nu.UNetError, match="unknown here"):
        nu.run({"operation": "paint"})
    in_memory = drain(iter_segmentation(IMAGE, "nuclei")).record
    with pytest.raises(nu.UNetError, match="in no file"):
        nu.run(in_memory)
    assert np.array_equal(nu.run(in_memory, input=IMAGE), nu.segment(IMAGE, "nuclei"))


def test_a_model_that_is_only_a_file_is_found_again(
    path: Path, tmp_path: Path, bright_model: Any
) -> None:
    # called like a bundled one, which is another
    model = bright_model().save(tmp_path / "own" / "nuclei")
    (done,) = nu.segment_files([path], model, tmp_path / "out", summary=True)
    assert done.output is not None
    assert done.record is not None
    labels = read_image(done.output).array
    assert np.array_equal(nu.run(done.output), labels)
    run = read_run(done.output)
    assert repr(str(model)) in run.as_python()
    assert str(model) in run.as_command()
    batch = read_run(tmp_path / "out" / "batch.json")
    assert str(model) in batch.as_python()


def test_a_part_is_repeated_as_a_part(path: Path) -> None:
    roi = Roi(y=(20, 90), x=(10, 80), inside=np.tri(70, 70, dtype=bool))
    job = iter_run(nu.read_image(path), "nuclei", roi=roi, scores=True, min_size=4)
    result = drain(job)
    assert result.labels is not None
    assert result.labels.labels.shape == (70, 70)
    assert np.array_equal(nu.run(result.labels.record), result.labels.labels)
    found = nu.run({**result.labels.record, "operation": "predict"})
    assert found.axes == "CYX"


@pytest.mark.process
@pytest.mark.parametrize(
    "part", [pytest.param(None, marks=pytest.mark.slow), Roi(y=(20, 90), x=(10, 80))]
)
def test_the_script_runs_in_a_fresh_process_and_the_command_does_the_same(
    path: Path, tmp_path: Path, part: Roi | None, run_command: Callable[[str, Path], None]
) -> None:
    job = iter_run(nu.read_image(path), "nuclei", roi=part, threshold=0.55, flips=True, tile=64)
    result = drain(job).labels
    assert result is not None
    run = read_run(json.loads(json.dumps(result.record)))
    script = run_elsewhere(tmp_path, run.as_python())
    assert script.returncode == 0, script.stderr
    assert np.array_equal(read_image(tmp_path / "cells_labels.tif").array, result.labels)
    (tmp_path / "cells_labels.tif").unlink()
    run_command(run.as_command(), tmp_path)
    (written,) = tmp_path.rglob("*_labels.tif")
    assert np.array_equal(read_image(written).array, result.labels)
