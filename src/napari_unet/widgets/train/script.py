"""A training of the dock as a Python script."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet.axes import label_axes
from napari_unet.widgets.annotation.marks import plane_index

if TYPE_CHECKING:
    from napari_unet.settings import TrainConfig
    from napari_unet.widgets.train.labelled_layers import LabelledLayers


def write_script(
    layers: Sequence[LabelledLayers], base: str | Path | None, config: TrainConfig
) -> str:
    """A training as a script.

    What no file is known of is read from the layers of a viewer, as in its console.
    """
    lines = ["import napari_unet as nu"]
    if any(each.trusted.way in ("planes", "seen", "mask") for each in layers):
        lines.insert(0, "import numpy as np")
    if any(each.image_file or each.labels_file for each in layers):
        lines.append("from napari_unet.io import read_image")
    if any(_is_placed(each) for each in layers):
        lines.append("from napari_unet.dataset.label_placement import LabelPlacement")
    for number, each in enumerate(layers, 1):
        lines += ["", *_read_lines(each, number)]
    fields = {"task": config.task, **config.model_dump(exclude_defaults=True)}
    names = ", ".join(f"example_{number}" for number in range(1, len(layers) + 1))
    lines += ["", "model = nu.train(", f"    [{names}],"]
    source = str(base) if isinstance(base, Path) else base
    lines += [f"    base={source!r},"]
    lines += [f"    {name}={value!r}," for name, value in fields.items()]
    name = config.name
    return "\n".join([*lines, ")", f'model.save("{name}.safetensors")', ""])


def _read_lines(each: LabelledLayers, number: int) -> list[str]:
    """Lines of a script that make one example."""
    levels = each.placement.image_level, each.placement.label_level
    image, labels = (
        (name, level if several else None)
        for name, level, several in zip(
            (each.image.name, each.labels_name), levels, each.multiscale, strict=True
        )
    )
    lines = [
        f"image_{number} = {_source(each.image_file, *image)}",
        f"labels_{number} = {_source(each.labels_file, *labels, each.labels_axes)}",
    ]
    region = repr(each.trusted.way)
    if each.whole_planes:
        _, mask, _ = each.trusted.live()
        lines.append(f"done = np.zeros({mask.shape}, bool)  # planes that are completely labelled")
        for plane in each.trusted.planes:
            index = plane_index(each.trusted.marks.axes, plane)
            shown = [str(place) if isinstance(place, int) else ":" for place in index]
            lines.append(f"done[{', '.join(shown)}] = True")
        lines.append(f"labels_{number} = np.where(done, labels_{number}, 0)")
        region = "('planes', done)" if each.placement.is_whole else "done"
    elif each.trusted.way in ("planes", "seen", "mask"):
        lines.append("# save here first where the labels can be trusted: not 0, of their shape")
        lines.append(f"mask_{number} = np.load('mask_{number}.npy')")
        region = f"(mask_{number}, 'painted')" if each.trusted.way == "planes" else f"mask_{number}"
    if _is_placed(each):
        lines.append(f"place_{number} = {each.placement!r}")
        lines.append(f"known_{number} = place_{number}.place_region({region}, labels_{number})")
        lines.append(f"labels_{number} = place_{number}.place(labels_{number})")
        region = f"known_{number}"
    arguments = {
        "region": region,
        "background": None if each.background is None else repr(each.background),
        "axes": repr(each.axes),
        "channels": None if each.channels is None else repr(each.channels),
        "pixel_size": _size(each),
    }
    shown = [f"{name}={value}" for name, value in arguments.items() if value is not None]
    return [
        *lines,
        f"example_{number} = nu.Example(",
        f"    image_{number}, labels_{number}, {', '.join(shown)}",
        ")",
    ]


def _is_placed(each: LabelledLayers) -> bool:
    """Whether labels do not have the axes and all pixels of their image as they are."""
    place = each.placement
    axes = label_axes(place.axes) if "C" in each.labels_axes else place.axes
    return each.task != "regression" and not (
        place.is_whole and axes == label_axes(place.image_axes)
    )


def _source(file: str | None, name: str, level: int | None, axes: str = "") -> str:
    """Where an array is from; ``level``: that of a pyramid; ``axes``: with a C of length 1."""
    if file is not None and not level:
        return f"read_image({file!r}).array"
    at = "" if level is None else f"[{level}]"
    without = f"[{', '.join('0' if a == 'C' else ':' for a in axes)}]" if "C" in axes else ""
    return f"viewer.layers[{name!r}].data{at}{without}"


def _size(each: LabelledLayers) -> str | None:
    size = each.image.pixel_size(each.axes)
    return None if all(value is None for value in size) else repr(size)
