"""Scores that the dock keeps on disk go with their process, at the latest when the next begins."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from napari_unet.io import scratch
from napari_unet.progress import drain
from napari_unet.widgets.qt.warm_up import import_torch

OWNER = """
import sys
from napari_unet.widgets.segment.request import _scratch_folder
folder = _scratch_folder()
(folder.path / "scores.zarr").mkdir()
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.mark.process
def test_scores_of_a_killed_process_go_when_the_next_dock_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "_swept", set())
    pipe = subprocess.PIPE
    environment = {**os.environ, "TMPDIR": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-c", OWNER]
    owners = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
        for _ in range(2)
    ]
    try:
        places = [Path(owner.stdout.readline().strip()) for owner in owners if owner.stdout]
        owners[0].kill()
        owners[0].wait()
        assert all((place / "scores.zarr").is_dir() for place in places)
        drain(import_torch())  # what a dock does when it opens
        assert [place.exists() for place in places] == [False, True]
        owners[1].communicate("")  # ends by itself
        assert not places[1].exists()
    finally:
        for owner in owners:
            owner.kill()
            owner.communicate()
