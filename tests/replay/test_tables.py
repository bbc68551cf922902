"""Measurements and exports that are repeated from their records."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import napari_unet as nu
from napari_unet.cli.main import main
from napari_unet.io import write_image, write_labels
from napari_unet.replay.records import read_run


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    sample = nu.load_sample("nuclei_2d")
    part = slice(0, 90), slice(0, 110)
    image = write_image(
        tmp_path / "cells.tif", sample.image[part], axes="YX", pixel_size=(0.5, 0.5)
    )
    labels = write_labels(
        tmp_path / "cells_labels.tif", sample.truth[part], axes="YX", pixel_size=(0.5, 0.5)
    )
    return labels, image


def test_a_table_is_measured_again(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    labels, image = files
    monkeypatch.setenv("NAPARI_UNET_STATE", str(tmp_path / "state"))
    words = ["measure", str(labels), "--image", str(image), "-o", str(tmp_path / "cells.csv")]
    assert main([*words, "--properties", "area,intensity_mean"]) == 0
    expected = pd.read_csv(tmp_path / "cells.csv")
    assert not (tmp_path / "state").exists()  # both are files
    pd.testing.assert_frame_equal(nu.run(tmp_path / "cells.csv.json"), expected, check_dtype=False)
    run = read_run(tmp_path / "cells.csv")
    folder = tmp_path / "again"
    folder.mkdir()
    monkeypatch.chdir(folder)
    exec(compile(run.as_python(), "script", "exec"), {})
    pd.testing.assert_frame_equal(pd.read_csv("cells.csv"), expected)
    Path("cells.csv").unlink()
    assert main(shlex.split(run.as_command())[1:]) == 0
    pd.testing.assert_frame_equal(pd.read_csv("cells.csv"), expected)
    assert main(["run", str(tmp_path / "cells.csv.json")]) == 0
    assert "cells-2.csv" in capsys.readouterr().out
    write_labels(labels, nu.read_image(labels).array[::-1], axes="YX")
    assert main(["run", str(tmp_path / "cells.csv.json")]) == 2
    assert "is not what the record was made of" in capsys.readouterr().err


def test_an_export_is_written_again(files: tuple[Path, Path], tmp_path: Path) -> None:
    labels, _ = files
    found = nu.read_image(labels, as_labels=True)
    written = nu.export(found.array, tmp_path / "cells.ome.tif", axes="YX", pixel_size=0.5)
    run = read_run(written)
    assert (run.operation, run.as_record()["format"]) == ("export", "ome.tif")
    again = nu.run(written, input=labels, output=tmp_path / "again.ome.tif")
    assert (nu.read_image(again).array == nu.read_image(written).array).all()
