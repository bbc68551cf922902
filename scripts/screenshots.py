"""Make the pictures of the documentation from the real window.

    bash scripts/with_display.sh python scripts/screenshots.py [FOLDER]

Writes PNG files of less than 300 kB to FOLDER, docs/images unless another one is named.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

PLUGIN = "napari-unet-torch"
SIZE = (1280, 768)
LARGEST = 300_000


def shoot(viewer: Any, path: Path) -> None:
    """Write the whole window as a PNG of few colours, which keeps it small."""
    from PIL import Image
    from qtpy.QtWidgets import QApplication  # noqa: TID251

    for _ in range(20):
        QApplication.processEvents()
    picture = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3])
    picture.quantize(200, dither=Image.Dither.NONE).save(path, "PNG", optimize=True)
    size = path.stat().st_size
    print(f"{path}: {size / 1000:.0f} kB")
    if size > LARGEST:
        raise SystemExit(f"{path} is larger than {LARGEST / 1000:.0f} kB")


def wait_until(reached: Callable[[], bool]) -> None:
    """Let the window live until something is so."""
    import time

    from qtpy.QtWidgets import QApplication  # noqa: TID251

    end = time.monotonic() + 120
    while not reached():
        QApplication.processEvents()
        time.sleep(0.01)
        if time.monotonic() > end:
            raise SystemExit("the window did not get ready within two minutes")


def main(folder: Path) -> None:
    """Make all pictures."""
    import napari  # noqa: TID251
    from napari.settings import get_settings  # noqa: TID251

    folder.mkdir(parents=True, exist_ok=True)
    viewer = napari.Viewer(title="napari")
    viewer.window.resize(*SIZE)
    for theme in ("dark", "light"):
        get_settings().appearance.theme = theme
        viewer.layers.clear()
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
        wait_until(lambda dock=dock: dock.warm)
        shoot(viewer, folder / f"segment_empty_{theme}.png")

        viewer.open_sample(PLUGIN, "nuclei_2d")
        shoot(viewer, folder / f"segment_before_{theme}.png")
        dock.bar.run.native.click()
        wait_until(lambda dock=dock: not dock.runner.running)
        wait_until(lambda bar=dock.bar: bool(bar.cost.value))
        shoot(viewer, folder / f"segment_{theme}.png")

        dock.rows["threshold"].editor.value = 0.85
        wait_until(lambda live=dock.live: not live.running)
        shoot(viewer, folder / f"segment_live_{theme}.png")
        dock.form.defaults.native.click()
        wait_until(lambda live=dock.live: not live.running)

        corners = [[60, 80], [40, 300], [250, 380], [330, 150]]
        shapes = viewer.add_shapes([corners], shape_type="polygon", name="part", opacity=0.3)
        dock.form.extents.region.value = shapes
        dock.bar.run.native.click()
        wait_until(lambda dock=dock: not dock.runner.running)
        wait_until(lambda bar=dock.bar: bool(bar.cost.value))
        shoot(viewer, folder / f"segment_region_{theme}.png")
        viewer.layers.remove(shapes)

        dock.rows["tile"].editor.value = 64
        dock.bar.run.native.click()
        wait_until(lambda bar=dock.bar: bar.progress.value > bar.progress.max // 4 > 0)
        shoot(viewer, folder / f"segment_running_{theme}.png")
        dock.bar.cancel.native.click()
        wait_until(lambda dock=dock: not dock.runner.running)
        dock.form.defaults.native.click()

        dock.form.more.native.click()
        dock.form.axes.value = "TZ"
        shoot(viewer, folder / f"segment_fault_{theme}.png")
        dock.form.more.native.click()

        viewer.layers.clear()
        viewer.open_sample(PLUGIN, "nuclei_3d")
        dock.form.axes.value = "ZYX"
        dock.bar.preview.native.click()
        wait_until(lambda dock=dock: not dock.runner.running)
        shoot(viewer, folder / f"segment_preview_{theme}.png")
    viewer.close()


if __name__ == "__main__":
    # neither the user's settings nor the models of this machine belong in a picture
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "settings.yaml")
        os.environ["NAPARI_UNET_CONFIG"] = scratch
        os.environ["NAPARI_UNET_MODELS"] = scratch
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
