"""The walk of a user with files of their own: opened, segmented from the menu, saved, reopened.

    bash scripts/with_display.sh python scripts/screenshots.py FOLDER --scenes walk \
        --themes dark light --heights 768 1080

It prints a line for each file, and ends where labels do not come back as they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tifffile

from napari_unet.samples import load_sample
from screenshot_scenes.stage import PLUGIN, Stage

MENU_TITLE = "Segment (U-Net)"


@dataclass(frozen=True)
class Own:
    """A file of a user, the reader that opens it, and the model that it is for."""

    name: str
    reader: str
    model: str
    array: np.ndarray
    options: dict[str, Any]


def _files() -> list[Own]:
    nuclei = load_sample("nuclei_2d").image[:256, :320]
    frames = np.stack([np.roll(nuclei, 40 * t, 1) for t in range(3)]).astype(np.uint16) * 16 + 100
    series = np.stack([frames, frames[:, ::-1] // 3], 1)
    stack = load_sample("nuclei_3d").image
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    imagej = {"imagej": True, "resolution": (2, 2)}
    return [
        Own("embryo.ome.tif", PLUGIN, "nuclei", stack, {"metadata": {"axes": "ZYX", **size}}),
        Own(
            "tissue.tif",
            PLUGIN,
            "nuclei-histology",
            load_sample("histology").image,
            {"photometric": "rgb"},
        ),
        Own("series.tif", "napari", "nuclei", series, {**imagej, "metadata": {"axes": "TCYX"}}),
        Own(
            "hyperstack.tif",
            PLUGIN,
            "nuclei",
            np.stack([stack[:8], stack[:8] // 2], 1).astype(np.uint16),
            {**imagej, "metadata": {"axes": "ZCYX", "spacing": 2.0, "unit": "um"}},
        ),
    ]


def walk(stage: Stage) -> None:
    """Four files of a user, from opening to saved labels and back."""
    with TemporaryDirectory() as folder:
        for own in _files():
            path = Path(folder, own.name)
            tifffile.imwrite(path, own.array, **own.options)
            _walk_file(stage, own, path)


def _walk_file(stage: Stage, own: Own, path: Path) -> None:
    viewer = stage.viewer
    about = f"walk_{path.name.split('.')[0]}_{{}}_{stage.theme}_{stage.height}"
    viewer.layers.clear()
    viewer.open(str(path), plugin=own.reader)
    dock = _open_from_menu(stage)
    dock.form.models.choose(own.model)
    stage.rest(0.3)
    stage.shoot(about.format("opened"))
    if dock.form.fault:
        raise SystemExit(f"{own.name}: {dock.bar.message.value}")
    stage.press(dock.bar.run)
    stage.finish(dock)
    stage.wait(lambda: bool(dock.bar.cost.value))
    (labels,) = [layer for layer in viewer.layers if type(layer).__name__ == "Labels"]
    sizes = viewer.dims.nsteps
    for axis, count in enumerate(sizes[: viewer.dims.ndim - 2]):
        if count > 2:  # not that of the channels, of which the first was segmented
            viewer.dims.set_current_step(axis, count // 2)
    stage.shoot(about.format("done"))
    saved = path.with_name(f"{path.name.split('.')[0]}_labels.tif")
    labels.save(str(saved), plugin=PLUGIN)
    before = (np.asarray(labels.data), np.array(labels.translate), np.array(labels.scale))
    message = str(dock.bar.message.value)
    viewer.layers.clear()
    viewer.open(str(path), plugin=own.reader)
    (again,) = viewer.open(str(saved), plugin=PLUGIN)
    stage.shoot(about.format("again"))
    after = (np.asarray(again.data), np.array(again.translate), np.array(again.scale))
    if not all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)):
        raise SystemExit(f"{own.name}: the labels did not come back as they were")
    image = viewer.layers[0]
    print(
        f"{own.name}: image {tuple(image.data.shape)} {''.join(image.axis_labels)}, labels "
        f"{tuple(again.data.shape)} {''.join(again.axis_labels)}; {message}",
        flush=True,
    )


def _open_from_menu(stage: Stage) -> Any:
    """The dock Segment as the menu Plugins opens it; the one there is, where it is open."""
    window = stage.viewer.window
    if MENU_TITLE not in window.dock_widgets:
        actions = list(window.plugins_menu.actions())
        while actions:
            action = actions.pop(0)
            if action.menu() is not None:
                action.menu().aboutToShow.emit()
                actions += action.menu().actions()
            elif action.text().replace("&", "") == MENU_TITLE:
                action.trigger()
                break
    dock = window.dock_widgets[MENU_TITLE]
    stage.wait(lambda: dock.warm)
    return dock


SCENES = {"walk": walk}
