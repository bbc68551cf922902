"""The folder of models changes while docks that watch it come and go."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

# A change that was reported for a watch that was just let go once called freed code.
COMING_AND_GOING = """
import gc, os, sys
from pathlib import Path

from qtpy.QtWidgets import QApplication, QWidget

from napari_unet.widgets.models.picker import FolderWatch

application = QApplication([])
folder = Path(os.environ["NAPARI_UNET_MODELS"])
for number in range(200):
    parent = QWidget()
    watch = FolderWatch(parent, lambda: None)
    for i in range(3):
        (folder / f"{number}-{i}").touch()
        if i == 1:
            application.processEvents()
    if number % 3 == 0:
        del watch
    if number % 2:
        parent.deleteLater()
    del parent
    gc.collect()
    (folder / "again").touch()
    (folder / "again").unlink()
    application.processEvents()
"""


@pytest.mark.slow
def test_a_watch_that_goes_while_its_folder_changes_crashes_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMING_AND_GOING],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={
            **os.environ,
            "NAPARI_UNET_MODELS": str(tmp_path),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "QT_QPA_PLATFORM": "offscreen",
        },
    )
    assert done.returncode == 0, done.stderr
