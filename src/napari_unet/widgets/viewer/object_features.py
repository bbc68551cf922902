"""Values of objects in a labels layer: in its features, and as its colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap, ensure_colormap
from numpy.typing import NDArray

from napari_unet.measurement.columns import PROPERTIES
from napari_unet.widgets.viewer.coordinates import position
from napari_unet.widgets.viewer.label_colours import MOST_COLOURS

if TYPE_CHECKING:
    import pandas as pd
    from napari import Viewer
    from napari.layers import Labels

SCALE = "viridis"
NO_VALUE = (0.5, 0.5, 0.5, 1.0)  # grey: objects without a value, or that were not measured
STEPS = 240  # of the scale, for very many objects: few colours are drawn faster
EXTREMES = (0.01, 0.99)  # shares of the values between which the colours lie


def write_features(layer: Labels, table: pd.DataFrame) -> None:
    """Write values of objects into a layer; columns of others, such as classes, stay.

    Parameters
    ----------
    layer : Labels
        The layer.
    table : pandas.DataFrame
        With a column ``label``, in which each value stands once.
    """
    own = table.rename(columns={"label": "index"})
    before = layer.features
    others = [name for name in before.columns if not _is_measured(name)]
    if "index" in before.columns and others and len(before):
        kept = before[["index", *others]].drop_duplicates("index")
        # names of classes hold for labels without objects too
        own = own.merge(kept, on="index", how="outer" if "class" in others else "left")
    layer.features = own


def _is_measured(name: str) -> bool:
    """Whether a column is one of a table of objects, which may be out of date.

    >>> _is_measured("centroid-1"), _is_measured("class")
    (True, False)
    """
    return name.rpartition("-")[0] in PROPERTIES or name in (*PROPERTIES, "index", "frame")


_own_colours: WeakKeyDictionary[Labels, Any] = WeakKeyDictionary()
"""What layers that are coloured by values had before, also after a dock was closed."""


class ObjectFeatures:
    """The table of a layer's objects in its features, and one column of it as colours.

    Where a label stands for objects of several time points, the features and the colours are
    those of the time point that is shown, and follow the slider.

    Parameters
    ----------
    viewer : Viewer
        With the slider.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._layer: Labels | None = None
        self._table: pd.DataFrame | None = None
        self._time_axis: int | None = None
        self._by_frame = False
        self._frame = -1
        self._column: str | None = None
        viewer.dims.events.current_step.connect(self._follow)

    def show(self, layer: Labels, table: pd.DataFrame, time_axis: int | None) -> None:
        """Write a table into a layer.

        Parameters
        ----------
        layer : Labels
            The layer.
        table : pandas.DataFrame
            As of `napari_unet.measure`.
        time_axis : int or None
            The axis of the layer to which the column ``frame`` belongs.
        """
        if layer is not self._layer:
            self.release()
        self._layer, self._table, self._time_axis = layer, table, time_axis
        self._by_frame = time_axis is not None and not table["label"].is_unique
        self._frame = -1
        if self._column is not None and self._column not in table.columns:
            self.colour_by(None)
        if self._by_frame:
            self._follow()
        else:
            write_features(layer, table)
            self._colour()

    def colour_by(self, column: str | None) -> None:
        """Colour the objects by a column; None: as before."""
        self._column = column
        if self._layer is None:
            return
        if column is None:
            before = _own_colours.pop(self._layer, None)
            if before is not None:
                self._layer.colormap = before
            return
        self._colour()

    def release(self) -> None:
        """Let the layer go, with its own colours."""
        self.colour_by(None)
        self._layer, self._table = None, None

    def close(self) -> None:
        """Follow the slider no more; the layer keeps its colours."""
        self._layer, self._table = None, None
        self._viewer.dims.events.current_step.disconnect(self._follow)

    def _follow(self, _: object = None) -> None:
        if not self._by_frame or self._layer is None or self._table is None:
            return
        layer = self._layer
        place = layer.world_to_data(position(self._viewer, layer))
        frame = round(float(place[self._time_axis]))
        if frame == self._frame:
            return
        self._frame = frame
        write_features(layer, self._table[self._table["frame"] == frame].reset_index(drop=True))
        self._colour()
        cursor = self._viewer.cursor  # napari's status bar tells the values of before, else
        cursor.events.position(value=cursor.position)

    def _colour(self) -> None:
        layer, table, column = self._layer, self._table, self._column
        if layer is None or table is None or column is None:
            return
        _own_colours.setdefault(layer, layer.colormap)
        values = table[column].to_numpy(float)
        limits = find_limits(values)  # of all time points, so that colours can be compared
        rows = (table["frame"] == self._frame).to_numpy() if self._by_frame else slice(None)
        layer.colormap = colour_values(table["label"].to_numpy()[rows], values[rows], limits)


def find_limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Between which values the colours lie; extreme ones do not count.

    >>> find_limits(np.array([np.nan, 1.0, 3.0]))
    (1.02, 2.98)
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = np.quantile(known, EXTREMES)
    return float(low), float(high)


def colour_values(
    labels: NDArray[Any], values: NDArray[np.float64], limits: tuple[float, float]
) -> CyclicLabelColormap | DirectLabelColormap:
    """Colours of labels by values.

    Parameters
    ----------
    labels : (n,) int array
        Each once.
    values : (n,) float array
        NaN: grey.
    limits : (low, high)
        Values of the first and of the last colour.

    Examples
    --------
    >>> colours = colour_values(np.array([2, 5]), np.array([0.0, 9.0]), (0.0, 9.0))
    >>> [bool(colours.map(np.array([label]))[0][0] > 0.9) for label in (2, 5)]
    [False, True]
    >>> many = colour_values(np.array([2, 1 << 40]), np.array([0.0, 9.0]), (0.0, 9.0))
    >>> [bool(many.map(label)[0] > 0.9) for label in (2, 1 << 40)]
    [False, True]
    """
    low, high = limits
    share = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    known = np.isfinite(share)
    highest = int(labels.max(initial=0))
    if highest + 2 <= MOST_COLOURS:
        table = np.tile(np.asarray(NO_VALUE, np.float32), (highest + 2, 1))
        table[0] = 0
        if known.any():
            table[labels[known].astype(np.int64)] = ensure_colormap(SCALE).map(share[known])
        return CyclicLabelColormap(colors=table)
    # a dictionary: of names the viewer takes a fortieth of the time that it takes of numbers
    names = [_hex(colour) for colour in ensure_colormap(SCALE).map(np.linspace(0, 1, STEPS))]
    names.append(_hex(NO_VALUE))
    steps = np.where(known, np.rint(np.nan_to_num(share) * (STEPS - 1)), STEPS).astype(int)
    pairs = {label: names[step] for label, step in zip(labels.tolist(), steps, strict=True)}
    return DirectLabelColormap(color_dict={**pairs, 0: "transparent", None: names[STEPS]})


def _hex(colour: Sequence[float]) -> str:
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in colour[:3])
