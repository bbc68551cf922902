"""Layers in napari: files that the reader opens, results on their images, labels in Train."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

import napari_unet as nu
from inputs_study.files import ome_zarr
from inputs_study.kinds import KINDS, MODEL, Outcome, agreement, sample
from napari_unet.widgets.viewer.layer_image import RECORD_KEY

PLUGIN = "napari-unet-torch"
WAIT_S = 120.0
READER, DOCKS = "Files opened in napari by the plugin's reader", "Layers in the docks"
KEY = RECORD_KEY


def describe(layers: list[Any]) -> str:
    """Kind, name, axes, scale and units of layers."""
    parts = []
    for layer in layers:
        scale = " × ".join(f"{s:g} {u:~}" for s, u in zip(layer.scale, layer.units, strict=True))
        axes = "".join(layer.axis_labels)
        parts.append(f"{type(layer).__name__} '{layer.name}' {layer.data.shape}, {axes}, {scale}")
    return "; ".join(parts)


def viewer_model() -> Any:
    """A viewer without a window, which knows the plugins."""
    from napari.components import ViewerModel  # noqa: TID251
    from napari.plugins import _initialize_plugins  # noqa: TID251

    _initialize_plugins()
    return ViewerModel()


def opened(path: Path) -> list[Any]:
    """Layers of a file, without a window."""
    return list(viewer_model().open(str(path), plugin=PLUGIN))


def _read(folder: Path, make: Callable[[Path], str], right: Callable[[list[Any]], bool]) -> Outcome:
    layers = opened(folder / make(folder))
    return Outcome(describe(layers), right(layers))


def _ome(folder: Path) -> str:
    image = np.stack([sample()[0]] * 2)
    metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}, "PhysicalSizeX": 0.5,
                "PhysicalSizeY": 0.5}  # fmt: skip
    tifffile.imwrite(folder / "a.ome.tif", image, metadata=metadata, photometric="minisblack")
    return "a.ome.tif"


def _imagej(folder: Path) -> str:
    image = np.stack([np.stack([sample()[0]] * 2)] * 3)
    metadata = {"axes": "TCYX", "unit": "um"}
    tifffile.imwrite(folder / "a.tif", image, imagej=True, resolution=(2, 2), metadata=metadata)
    return "a.tif"


def _rgb(folder: Path) -> str:
    tifffile.imwrite(folder / "a.tif", np.dstack([sample()[0]] * 3), photometric="rgb")
    return "a.tif"


def _zarr(folder: Path) -> str:
    ome_zarr(folder / "a.zarr", sample()[0], scale=0.5)
    return "a.zarr"


def _labels(folder: Path) -> str:
    layer = viewer_model().add_labels(
        sample()[1].astype(np.int32),
        scale=(0.5, 0.5),
        translate=(3, 4),
        units="um",
        axis_labels=("y", "x"),
        metadata={KEY: {"operation": "segment", "axes": "YX", "pixel_size": [0.5, 0.5]}},
    )
    layer.save(str(folder / "a_labels.tif"), plugin=PLUGIN)
    return "a_labels.tif"


def _tiles(folder: Path) -> str:
    with tifffile.TiffWriter(folder / "a.ome.tif", ome=True) as tif:
        for column in range(2):
            place = {"PositionY": 0.25, "PositionX": 0.096 * column}
            units = {"PositionYUnit": "mm", "PositionXUnit": "mm"}
            size = {f"PhysicalSize{axis}": 0.5 for axis in "YX"}
            tif.write(sample()[0], metadata={"axes": "YX", "Plane": {**place, **units}, **size})
    return "a.ome.tif"


def _is_in_place(layers: list[Any]) -> bool:
    (layer,) = layers
    return bool(
        type(layer).__name__ == "Labels"
        and np.array_equal(layer.data, sample()[1])
        and np.allclose(layer.translate, (3, 4))
        and layer.metadata[KEY]["operation"] == "segment"
    )


for name, make, right in (
    (
        "OME-TIFF of two channels",
        _ome,
        lambda x: [y.name for y in x] == ["DAPI", "GFP"] and np.allclose(x[0].scale, 0.5),
    ),
    (
        "ImageJ hyperstack TCYX",
        _imagej,
        lambda x: (
            len(x) == 2 and x[0].data.shape[0] == 3 and np.allclose(x[1].scale, (1, 0.5, 0.5))
        ),
    ),
    ("RGB TIFF", _rgb, lambda x: len(x) == 1 and x[0].rgb),
    (
        "OME-TIFF of two tiles with the places of the stage: they lie there",
        _tiles,
        lambda x: [tuple(y.translate) for y in x] == [(250, 0), (250, 96)],
    ),
    ("OME-Zarr", _zarr, lambda x: np.allclose(x[0].scale, 0.5)),
    ("labels that the plugin saved", _labels, _is_in_place),
):
    KINDS.add(READER, name)(partial(_read, make=make, right=right))


# Docks, in a real window


def wait(until: Callable[[], bool]) -> None:
    """Let the window work until something is so."""
    from qtpy.QtWidgets import QApplication  # noqa: TID251

    end = time.monotonic() + WAIT_S
    while not until():
        if time.monotonic() > end:
            raise TimeoutError
        QApplication.processEvents()
        time.sleep(0.01)


def settle(seconds: float = 1.0) -> None:
    """Let the window work for a while: what a dock does next has no event."""
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end)


class Window:
    """A viewer with one of the docks."""

    def __init__(self, dock: str) -> None:
        import napari  # noqa: TID251

        self.viewer = napari.Viewer()
        _, self.dock = self.viewer.window.add_plugin_dock_widget(PLUGIN, dock)
        settle()

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self.viewer.close()


@KINDS.add(DOCKS, "Segment: a TCYX hyperstack that napari opens as one layer")
def _hyperstack(folder: Path) -> Outcome:
    frames = np.stack([np.roll(sample()[0], 30 * k, 1) for k in range(3)])
    path = folder / "a.tif"
    pair = np.stack([frames, frames * 0], 1)
    tifffile.imwrite(path, pair, imagej=True, metadata={"axes": "TCYX"})
    with Window("Segment") as window:
        window.viewer.open(str(path), plugin="napari")
        settle()
        form = window.dock.form
        axes = form.axes_text
        window.dock.bar.run.native.click()
        settle()
        wait(lambda: not window.dock.runner.running)
        settle()
        found = [
            x for x in window.viewer.layers if KEY in x.metadata and type(x).__name__ == "Labels"
        ]
        if not found:
            return Outcome(f"axes {axes}; {window.dock.bar.message.value}", right=False)
        scores = []
        for t in range(3):
            window.viewer.dims.set_current_step(0, t)
            window.viewer.dims.set_current_step(1, 0)
            settle(0.3)
            shown = np.asarray(found[0]._slice.image.raw).astype(np.int32)
            right = nu.segment(frames[t], MODEL, axes="YX")
            scores.append(agreement(shown, right))
        happens = (
            f"axes {axes}; {window.dock.bar.message.value}; AP of the labels shown at each t: "
        )
        happens += ", ".join(f"{score:.2f}" for score in scores)
        return Outcome(happens, min(scores) > 0.9)


def _train(
    folder: Path, add: Callable[[Any], None], right: Callable[[Any, list[str]], bool]
) -> Outcome:
    del folder
    with Window("Train") as window:
        wait(lambda: window.dock.warm)
        add(window.viewer)
        settle()
        form = window.dock.form
        form.refresh()
        wait(lambda: form.request is None or form.checked)
        settle(0.5)
        line = form.table.lines[0]
        said = [text for each in form.table.lines for text in each.findings.texts]
        happens = f"image {line.image.name}, labels {getattr(line.labels, 'name', None)}"
        return Outcome("; ".join([happens, *said]), right(line, said))


def _tiles(viewer: Any) -> None:
    x, y = sample()
    viewer.add_image(x[:, :96], name="tile 0")
    viewer.add_image(x[:, 96:], name="tile 1", translate=(0, 96))
    viewer.add_labels(y[:, 96:].astype(np.int32), name="mask", translate=(0, 96))


def _crop(viewer: Any) -> None:
    x, y = sample()
    viewer.add_image(x, name="image")
    viewer.add_labels(y[20:110, 30:170].astype(np.int32), name="labels", translate=(20, 30))


def _multiscale(viewer: Any) -> None:
    x, y = sample()
    viewer.add_image([x, x[::2, ::2]], name="image", multiscale=True)
    labels = y.astype(np.int32)
    viewer.add_labels([labels, labels[::2, ::2]], name="labels", multiscale=True)


def _as_image(viewer: Any) -> None:
    x, y = sample()
    viewer.add_image(x, name="image")
    viewer.add_image(y.astype(np.uint16), name="labels")


def _has_labels(line: Any, said: list[str]) -> bool:
    return line.labels is not None and not any("no labels" in text for text in said)


def _is_named(line: Any, said: list[str]) -> bool:
    return line.labels is not None or any("‘labels’" in text for text in said)


for name, add, right in (
    ("labels that lie on the second tile", _tiles, lambda line, _: line.image.name == "tile 1"),
    ("labels of a crop, placed by translate", _crop, _has_labels),
    ("multiscale image and labels", _multiscale, _has_labels),
    ("labels opened as an image: named with the reason", _as_image,
     _is_named),
):  # fmt: skip
    KINDS.add(DOCKS, f"Train: {name}")(partial(_train, add=add, right=right))
