"""The dock Batch as a script drives it; what it copies runs elsewhere; records open."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_unet as nu
from napari_unet.io import read_image, write_image

pytestmark = pytest.mark.process

PLUGIN = "napari-unet-torch"


def labels_in(folder: Path) -> list[np.ndarray]:
    return [read_image(path).array for path in sorted(folder.glob("*_labels.ome.tif"))]


def run_script(code: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr


def test_the_dock_from_a_script_and_what_it_copies(
    window_viewer: Any, tmp_path: Path, run_command: Callable[[str, Path], None]
) -> None:
    viewer = window_viewer
    image = nu.load_sample("nuclei_2d").image[:120, :160]
    for name in "ab":
        write_image(tmp_path / "in" / f"{name}.tif", image, axes="YX", pixel_size=(0.5, 0.5))
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Batch")
    with pytest.raises(nu.UNetError, match="no files"):
        dock.run()
    with pytest.raises(nu.UNetError, match="no model 'none'"):
        dock.model = "none"
    with pytest.raises(nu.UNetError, match="no option 'colour'"):
        dock.options = {"colour": "red"}
    with pytest.raises(nu.UNetError, match="nowhere"):  # a pattern of nothing
        dock.image = tmp_path / "nowhere" / "*.tif"
    viewer.add_image(image[::-1], name="in memory")  # is in no file
    dock.image = tmp_path / "in"
    dock.form.add["Layers"].native.click()
    assert len(dock.image) == 2
    dock.output = tmp_path / "out"
    dock.options = {"write": ["labels", "measurements"], "file_format": "ome.tif"}
    dock.run(model="nuclei", settings={"threshold": 0.6, "tile": 64})
    results = dock.wait(240)
    assert [result.error for result in results] == [None] * 3
    assert dock.settings.threshold == 0.6
    expected = labels_in(tmp_path / "out")
    assert len(expected) == 3
    assert all(labels.any() for labels in expected)

    script, command = dock.as_python(), dock.as_command()
    dock.scripts.actions["python"].trigger()
    assert "Python" in dock.scripts.actions["python"].text()
    assert "is on the clipboard" in dock.bar.message.value
    assert (tmp_path / "out" / "batch.csv").is_file()
    (tmp_path / "out").rename(tmp_path / "first")
    for name, run, told in (("python", run_script, script), ("command", run_command, command)):
        run(told, tmp_path)
        again = labels_in(tmp_path / "out")
        assert len(again) == 3, name
        for labels, others in zip(expected, again, strict=True):
            np.testing.assert_array_equal(labels, others, err_msg=name)
        assert len(list((tmp_path / "out").glob("*_measurements.csv"))) == 3
        (tmp_path / "out").rename(tmp_path / name)
    assert {path.name for path in (tmp_path / "python").iterdir()} == {
        path.name for path in (tmp_path / "first").iterdir()
    }

    # the record of the batch fills the dock; that of a selected file is shown
    (tmp_path / "first").rename(tmp_path / "out")
    dock.form.add["Clear"].native.click()
    dock.settings = {"threshold": 0.3}
    dock.options = {"write": ["labels"], "file_format": "tif"}
    dock.open_record(tmp_path / "out" / "batch.json")
    assert dock.bar.message.value.startswith("As in batch.json."), dock.bar.message.value
    assert "Not taken over" not in dock.bar.message.value
    assert (dock.settings.threshold, dock.settings.tile) == (0.6, 64)
    assert dock.options["write"] == ["labels", "measurements"]
    assert dock.output == str(tmp_path / "out")
    dock.run()
    assert [result.state for result in dock.wait(240)][:2] == ["skipped", "skipped"]
    dock.scripts.actions["show"].trigger()
    assert dock.scripts.window.windowTitle() == "Record of batch.csv"
    dock.scripts.window.close()
    dock.table.selectRow(1)
    dock.scripts.actions["show"].trigger()
    assert dock.scripts.window.windowTitle() == "Record of b.tif"
    dock.scripts.window.close()
    dock.open_record(tmp_path / "out" / "a_labels.ome.json")
    assert "another kind of run" in dock.bar.message.value
