"""What the dock "Segment" copies gives equal labels, in a fresh process too; so do records."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication

import napari_unet as nu
from napari_unet.io import read_image, write_image

pytestmark = [pytest.mark.windowless, pytest.mark.process]


def labels_in(folder: Path) -> Any:
    (path,) = folder.rglob("*_labels.tif")
    return read_image(path).array


def written_by(folder: Path, code: str) -> Any:
    """The labels that a fresh process writes into an empty folder."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return labels_in(folder)


def test_the_dock_from_a_script_and_what_it_copies(
    open_dock: Callable[[], Any],
    bare_viewer: Any,
    tmp_path: Path,
    run_command: Callable[[str, Path], None],
) -> None:
    image = nu.load_sample("nuclei_2d").image[:130, :150]
    bare_viewer.add_image(image[::-1], name="other")
    layer = bare_viewer.add_image(image, name="my cells", scale=(0.5, 0.5), units=("um", "um"))
    dock = open_dock()
    with pytest.raises(nu.UNetError, match="no image layer 'none'"):
        dock.image = "none"
    with pytest.raises(nu.UNetError, match="no model 'none'"):
        dock.model = "none"
    dock.run(image="my cells", model="nuclei", settings={"threshold": 0.55, "tile": 64})
    labels = dock.wait(120)
    assert dock.image is layer
    assert dock.settings.threshold == 0.55
    np.testing.assert_allclose(labels.scale, (0.5, 0.5))
    assert labels.data.any()

    dock.scripts.actions["python"].trigger()
    script = QGuiApplication.clipboard().text()
    assert script == dock.as_python()
    assert "saved for it" in dock.bar.message.value  # the image was in no file
    assert np.array_equal(written_by(tmp_path / "python", script), labels.data)
    dock.scripts.actions["command"].trigger()
    run_command(QGuiApplication.clipboard().text(), tmp_path / "command")
    assert np.array_equal(labels_in(tmp_path / "command"), labels.data)

    # the record of the result is shown, saved, run by the API and opened in a dock
    dock.scripts.actions["show"].trigger()
    window = dock.scripts.window
    assert window.windowTitle() == "Record of my cells labels"
    window.save(tmp_path / "record.json")
    window.close()
    with pytest.raises(nu.UNetError, match="in no file"):
        nu.run(tmp_path / "record.json")
    assert np.array_equal(nu.run(tmp_path / "record.json", input=layer), labels.data)


@pytest.mark.usefixtures("plugins")
def test_a_record_is_opened_in_the_dock(
    open_dock: Callable[[], Any],
    bare_viewer: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = nu.load_sample("nuclei_2d").image[:130, :150]
    path = write_image(tmp_path / "cells.tif", image, axes="YX", pixel_size=(0.25, 0.25))
    (done,) = nu.segment_files([path], "nuclei", tmp_path, threshold=0.6, object_diameter=30)
    dock = open_dock()
    dock.open_record(done.output.with_suffix(".json"))
    assert dock.bar.message.value.startswith("As in cells_labels.json."), dock.bar.message.value
    assert dock.model == "nuclei"
    assert dock.image.name == "cells"
    assert (dock.settings.threshold, dock.settings.object_diameter) == (0.6, 30)
    dock.run()
    labels = read_image(done.output).array
    assert np.array_equal(dock.wait(120).data, labels)
    # a region becomes a rectangle, and is told as code too
    dock.form.roi_picker.reset_choices()
    record = dict(done.record, extent={"Y": [20, 100], "X": [30, 120]})
    from napari_unet.io.record import encode_record

    (tmp_path / "part.json").write_bytes(encode_record(record))
    dock.open_record(tmp_path / "part.json")
    dock.run()
    part = dock.wait(120)
    assert part.data.shape == (80, 90)
    assert np.array_equal(nu.run(tmp_path / "part.json"), part.data)
    (tmp_path / "python").mkdir()
    monkeypatch.chdir(tmp_path / "python")
    exec(dock.as_python(), {})
    assert np.array_equal(labels_in(tmp_path / "python"), part.data)
    # what cannot be opened is told in the dock
    changed = dict(done.record, model={"name": "nuclei", "sha256": "0" * 64})
    (tmp_path / "changed.json").write_bytes(encode_record(changed))
    dock.open_record(tmp_path / "changed.json")
    assert "another one than that of the record" in dock.bar.message.value
    (tmp_path / "none.json").write_text("[")
    dock.open_record(tmp_path / "none.json")
    assert "is no JSON" in dock.bar.message.value
