"""Marks, place and look of a Labels layer as plain values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap
from numpy.typing import NDArray

from napari_unet.widgets.annotation.marks import JOURNAL_KEY, MARKS_KEY, Marks

PLACE = ("scale", "translate", "rotate", "shear")
LOOK = ("opacity", "contour", "blending", "visible")


def layer_from(labels: NDArray[Any], name: str, details: Mapping[str, Any]) -> Labels:
    """A layer with what `details_of` has told of another.

    Details that suit no layer, such as those of another version of napari, are left out: the
    labels matter.
    """
    try:
        layer = Labels(labels, name=name, **_arguments(details))
        for key, value in details["look"].items():
            setattr(layer, key, value)
    except Exception:  # noqa: BLE001  # whatever a layer says of arguments that it does not like
        layer = Labels(labels, name=name)
    values = details.get("marks")
    marks = Marks.from_json(values) if isinstance(values, Mapping) else None
    if marks is not None:
        layer.metadata = {MARKS_KEY: marks.as_json()}
    if isinstance(details.get("journal"), Mapping):
        layer.metadata = {**layer.metadata, JOURNAL_KEY: dict(details["journal"])}
    return layer


def details_of(layer: Labels, marks: Marks) -> dict[str, Any]:
    """Marks, place and look of a layer as plain values."""
    features = layer.features
    return {
        "marks": marks.as_json(),
        "place": place_of(layer),
        "look": {key: _plain(getattr(layer, key)) for key in LOOK},
        "colours": _colours(layer.colormap),
        **_journal_of(layer),
        "features": {str(c): [_plain(v) for v in features[c]] for c in features.columns},
    }


def _journal_of(layer: Labels) -> dict[str, Any]:
    """The journal of a layer, copied: it grows while this is written."""
    journal = layer.metadata.get(JOURNAL_KEY)
    if not isinstance(journal, Mapping):
        return {}
    return {"journal": {**journal, "entries": list(journal.get("entries") or ())}}


def place_of(layer: Labels) -> dict[str, Any]:
    """Where a layer lies, as plain values."""
    return {
        **{key: np.asarray(getattr(layer, key)).tolist() for key in PLACE},
        "affine": np.asarray(layer.affine.affine_matrix).tolist(),
        "units": [str(unit) for unit in layer.units],
        "axis_labels": list(layer.axis_labels),
    }


def put_at(layer: Labels, place: Mapping[str, Any]) -> None:
    """Lay a layer where `place_of` has told; what does not suit it is left out."""
    for key, value in place.items():
        if key in (*PLACE, "affine", "units", "axis_labels"):
            with suppress(Exception):  # whatever a layer says of what it does not like
                setattr(layer, key, value)


def _arguments(details: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a layer from its details."""
    found: dict[str, Any] = dict(details["place"])
    colours = details["colours"]
    if "table" in colours:
        found["colormap"] = DirectLabelColormap(
            color_dict={key: np.asarray(colour) for key, colour in colours["table"]}
        )
    elif "cycle" in colours:
        found["colormap"] = CyclicLabelColormap(
            colors=np.asarray(colours["cycle"], np.float32), seed=colours["seed"]
        )
    if details["features"]:
        found["features"] = details["features"]
    return found


def _colours(colormap: Any) -> dict[str, Any]:
    if isinstance(colormap, DirectLabelColormap):
        table = colormap.color_dict
        return {"table": [[key, np.asarray(table[key]).tolist()] for key in table]}
    if isinstance(colormap, CyclicLabelColormap):
        return {"cycle": np.asarray(colormap.colors).tolist(), "seed": float(colormap.seed)}
    return {}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, str | int | float | bool | None) else str(value)
