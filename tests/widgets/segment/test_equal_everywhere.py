"""One record gives equal labels from the API, the dock, the command line and a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_unet as nu
from napari_unet.inference.cluster import open_client
from napari_unet.io import read_image, write_image
from napari_unet.replay.records import read_run

pytestmark = [pytest.mark.windowless, pytest.mark.process]


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize(
    "with_cluster",
    [
        pytest.param(True, marks=pytest.mark.slow),  # as tests/inference/test_cluster.py shows too
        False,
    ],
    ids=["and cluster", "no cluster"],
)
def test_api_dock_and_command_line(
    open_dock: Callable[[], Any],
    tmp_path: Path,
    run_command: Callable[[str, Path], None],
    with_cluster: bool,
) -> None:
    image = nu.load_sample("nuclei_2d").image[:130, :150]
    path = write_image(tmp_path / "cells.tif", image, axes="YX", pixel_size=(0.5, 0.5))
    (first,) = nu.segment_files([path], "nuclei", tmp_path / "out", threshold=0.55, tile=64)
    assert first.output is not None
    record = first.output.with_suffix(".json")
    found = {"api": nu.run(record)}

    dock = open_dock()
    dock.open_record(record)
    dock.run()
    found["dock"] = dock.wait(120).data

    run_command(f"napari-unet run {record} -o again.tif", tmp_path)
    found["command"] = read_image(tmp_path / "again.tif").array

    if with_cluster:
        run = read_run(record)
        with open_client("local:1") as client:
            found["cluster"] = nu.segment(
                read_image(path), "nuclei", settings=run.settings, client=client
            )
    expected = read_image(first.output).array
    assert expected.any()
    for name, labels in found.items():
        assert np.array_equal(labels, expected), name


def test_a_batch_is_repeated(tmp_path: Path) -> None:
    image = nu.load_sample("nuclei_2d").image[:96, :96]
    write_image(tmp_path / "in/a.tif", image, axes="YX")
    (tmp_path / "in/broken.tif").write_bytes(b"II*\0")
    results = nu.segment_files([tmp_path / "in"], "nuclei", tmp_path / "out", summary=True)
    assert [each.error is None for each in results] == [True, False]
    run = read_run(tmp_path / "out/batch.csv")
    again = nu.run(tmp_path / "out/batch.json", output=tmp_path / "other")
    assert [each.error is None for each in again] == [True, False]
    labels = [read_image(each[0].output).array for each in (results, again)]
    assert np.array_equal(*labels)
    assert "nu.segment_files(" in run.as_python()
