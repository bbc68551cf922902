"""What the dock "Train" copies gives an equal model: the script in a fresh process."""

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
from napari_unet.io.record import encode_record
from napari_unet.replay.kept_arrays import settle

pytestmark = pytest.mark.process

SIZE = 96


def run_script(code: str, folder: Path) -> None:
    """In a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "")},
    )
    assert done.returncode == 0, done.stderr


def test_painted_labels_train_the_same_model_elsewhere(
    viewer: Any,
    open_train: Callable[..., Any],
    tmp_path: Path,
    run_command: Callable[[str, Path], None],
) -> None:
    sample = nu.load_sample("nuclei_2d")
    image, truth = (array[:SIZE, :SIZE] for array in (sample.image, sample.truth))
    shown = viewer.add_image(image, name="cells")
    labels = viewer.add_labels(truth.astype(np.int32), name="painted")
    dock = open_train()
    dock.take(shown, labels)
    dock.run(model="random", settings={"steps": 4, "batch_size": 2})
    script, command = dock.as_python(), dock.as_command()
    content, _ = settle(dock._draft())
    model = dock.wait(240)
    expected = nu.segment(image, model)
    assert "steps=4" in script
    for name, run, told in (("python", run_script, script), ("command", run_command, command)):
        folder = tmp_path / name
        folder.mkdir()
        run(told, folder)
        (path,) = folder.glob("*.safetensors")
        again = nu.Model.load(path)
        weights = again.network.state_dict()
        for key, value in model.network.state_dict().items():
            assert np.array_equal(value.numpy(), weights[key].numpy()), (name, key)
        assert np.array_equal(nu.segment(image, again), expected)
    dock.verdict.discard.native.click()
    # the record fills the form
    (tmp_path / "record.json").write_bytes(encode_record(content))
    dock.settings = {"steps": 9}
    assert dock.settings.steps == 9
    dock.open_record(tmp_path / "record.json")
    assert dock.bar.message.value.startswith("As in record.json"), dock.bar.message.value
    assert (dock.settings.steps, dock.settings.batch_size, dock.model) == (4, 2, "random")
    assert settle(dock._draft())[0]["examples"] == content["examples"]
    assert len(viewer.layers) == 2
