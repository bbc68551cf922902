"""The dock "Segment": before a run, after it, and what may come between."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile

from napari_unet.samples import load_sample
from screenshot_scenes.stage import Stage


def segment(stage: Stage) -> None:
    """Empty, before and after a run; live settings; a region; running; a fault; a preview."""
    viewer, theme = stage.viewer, stage.theme
    dock = stage.open_dock("Segment")
    stage.shoot(f"segment_empty_{theme}")

    stage.sample("nuclei_2d")
    stage.shoot(f"segment_before_{theme}")
    _run(stage, dock)
    stage.shoot(f"segment_{theme}")

    dock.rows["threshold"].editor.value = 0.85
    stage.wait(lambda: not dock.live.running)
    stage.shoot(f"segment_live_{theme}")
    dock.form.defaults.native.click()
    stage.wait(lambda: not dock.live.running)

    corners = [[60, 80], [40, 300], [250, 380], [330, 150]]
    shapes = viewer.add_shapes([corners], shape_type="polygon", name="part", opacity=0.3)
    dock.form.roi_picker.region.value = shapes
    _run(stage, dock)
    stage.shoot(f"segment_region_{theme}")
    viewer.layers.remove(shapes)

    dock.rows["tile"].editor.value = 64
    stage.press(dock.bar.run)
    stage.wait(lambda: dock.bar.progress.value > dock.bar.progress.max // 4 > 0)
    stage.shoot(f"segment_running_{theme}")
    stage.press(dock.bar.cancel)
    stage.finish(dock)
    dock.form.defaults.native.click()

    dock.form.more.native.click()
    dock.form.axes.value = "TZ"
    stage.shoot(f"segment_fault_{theme}")
    dock.form.more.native.click()

    viewer.layers.clear()
    stage.sample("nuclei_3d")
    dock.form.axes.value = "ZYX"
    stage.press(dock.bar.preview)
    stage.finish(dock)
    stage.shoot(f"segment_preview_{theme}")


def hyperstack(stage: Stage) -> None:
    """A time series of two channels in one layer, whose file says so; one that is in doubt."""
    viewer, theme = stage.viewer, stage.theme
    nuclei = load_sample("nuclei_2d").image[:256, :320]
    frames = np.stack([np.roll(nuclei, 60 * t, 1) for t in range(3)])
    channels = np.stack([frames, frames[:, ::-1] // 3], 1)
    dock = stage.open_dock("Segment")
    with TemporaryDirectory() as folder:
        path = Path(folder, "hyperstack.tif")
        tifffile.imwrite(path, channels, imagej=True, metadata={"axes": "TCYX"})
        viewer.open(str(path), plugin="napari")
        _run(stage, dock)
        viewer.dims.set_current_step((0, 1), (1, 0))
        stage.shoot(f"segment_hyperstack_{theme}")
        viewer.dims.set_current_step((0, 1), (2, 1))
        stage.shoot(f"segment_hyperstack_channel_{theme}")
    viewer.layers.clear()
    viewer.add_image(np.stack([frames] * 7, 0), name="unnamed")
    stage.shoot(f"segment_axes_doubt_{theme}")
    viewer.layers.clear()
    viewer.add_image(np.dstack([nuclei] * 2), name="channels last")
    stage.shoot(f"segment_channels_last_{theme}")


def _run(stage: Stage, dock: object) -> None:
    bar = dock.bar  # type: ignore[attr-defined]
    stage.press(bar.run)
    stage.finish(dock)
    stage.wait(lambda: bool(bar.cost.value))


def axes(stage: Stage) -> None:
    """Axes in doubt, with a button for each guess; then channels that one layer holds, split."""
    height, theme = stage.height, stage.theme
    dock = stage.open_dock("Segment")
    cells = load_sample("nuclei_2d").image[:160, :200]
    stage.viewer.add_image(np.stack([cells, cells[::-1], cells[:, ::-1]]), name="series")
    stage.shoot(f"axes_doubt_{theme}_{height}")
    dock.form.fields.choices.buttons["CYX"].click()
    stage.shoot(f"axes_channels_{theme}_{height}")
    dock.form.fields.split.click()
    stage.shoot(f"axes_split_{theme}_{height}")


SCENES = {"segment": segment, "hyperstack": hyperstack, "axes": axes}
