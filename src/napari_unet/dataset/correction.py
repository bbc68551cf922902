"""Labels that began as a prediction: which of its objects somebody has changed since."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import Plane
from napari_unet.dataset.fingerprint import fingerprint_all
from napari_unet.dataset.review import Review, find_accepted
from napari_unet.io.record import record_path

MARKS_KEY = "napari_unet_labels"  # of painted labels, in a layer's metadata and beside a file
MOST_PIXELS = 1 << 28  # of labels, beyond which no objects are remembered


@dataclass(frozen=True, eq=False)
class Correction:
    """What somebody has looked at of labels that began as a prediction.

    A model that has made a prediction agrees with it wherever nobody looked: there it must not be
    compared with another one. Looked at are objects that are not as they were predicted, and
    planes that are marked as done.

    Attributes
    ----------
    unchanged : (N,) int array
        The labels whose objects are as they were predicted.
    done : (T, Z) bool array
        The planes that are marked as done; of length 1 along axes that the labels have not.
    nothing_changed : bool
        Whether all labels are those of the prediction, and none was accepted.
    model : str
        Name of the model that made it; empty: not known.
    accepted : tuple of (int, int)
        Time point and label of objects that somebody has called right as they are.
    around : bool
        Whether the background was looked at wherever it is known, as beside accepted objects.
    """

    unchanged: NDArray[np.int64]
    done: NDArray[np.bool_]
    nothing_changed: bool = False
    model: str = ""
    accepted: tuple[tuple[int, int], ...] = ()
    around: bool = False

    def with_accepted(
        self, accepted: Iterable[tuple[int, int]], *, around: bool = False
    ) -> Correction:
        """The same with objects, by time point and label, that somebody has called right."""
        found = tuple(accepted)
        nothing = self.nothing_changed and not found
        return replace(self, accepted=found, around=around, nothing_changed=nothing)

    def as_json(self) -> dict[str, Any]:
        """As plain values, for `from_json`."""
        return {
            "unchanged": self.unchanged.tolist(),
            "done": self.done.tolist(),
            "nothing_changed": self.nothing_changed,
            "model": self.model,
            "accepted": [list(each) for each in self.accepted],
            "around": self.around,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Correction:
        """From what `as_json` gave; raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            np.asarray(values["unchanged"], np.int64),
            np.asarray(values["done"], bool).reshape(len(values["done"]), -1),
            bool(values["nothing_changed"]),
            str(values["model"]),
            tuple((int(time), int(label)) for time, label in values.get("accepted") or ()),
            bool(values.get("around")),
        )

    def looked_at(self, labels: NDArray[Any], time: int, planes: slice) -> NDArray[np.bool_]:
        """Where somebody has looked, in a part of an image.

        Parameters
        ----------
        labels : (*spatial) integer array
            The labels there; with an axis Z where the image has one.
        time : int
            The time point.
        planes : slice
            Of z.

        Examples
        --------
        >>> correction = Correction(np.array([2]), np.array([[False, True]]))
        >>> labels = np.array([[[0, 1, 2]], [[0, 1, 2]]])
        >>> correction.looked_at(labels, 0, slice(0, 2)).astype(int).tolist()
        [[[0, 1, 0]], [[1, 1, 1]]]
        """
        accepted = [label for at, label in self.accepted if at == time]
        unseen = np.setdiff1d(self.unchanged, accepted)
        found: NDArray[np.bool_] = ~np.isin(labels, unseen)
        if not self.around:
            found &= labels != 0
        done = self.done[min(time, len(self.done) - 1)]
        if labels.ndim == 3:
            found |= (done[planes] if len(done) > 1 else done)[:, None, None]
        elif done.all():
            found[:] = True
        return found


class CorrectedLabels:
    """Labels that tell what was corrected of them; all else is that of the array.

    Parameters
    ----------
    array : array-like
        The labels.
    correction : Correction
        Of them.
    """

    def __init__(self, array: Any, correction: Correction) -> None:
        self._array = array
        self.correction = correction

    def __getattr__(self, name: str) -> Any:
        if name == "_array":
            raise AttributeError(name)  # while it is being unpickled
        return getattr(self._array, name)

    def __getitem__(self, index: Any) -> Any:
        return self._array[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of it, for NumPy."""
        found = np.asarray(self._array, dtype)
        return found.copy() if copy and found is self._array else found


def remember_objects(labels: Any) -> str | None:
    """The objects of a prediction in a few bytes each, for `compare_objects`.

    Parameters
    ----------
    labels : integer array
        The prediction.

    Returns
    -------
    str or None
        None where the labels are too large to be looked at.

    Examples
    --------
    >>> labels = np.array([[1, 1, 0, 2], [0, 0, 0, 2]])
    >>> began = remember_objects(labels)
    >>> labels[1, 1] = 1
    >>> compare_objects(labels, began, [], "YX").unchanged
    array([2])
    """
    if labels.size > MOST_PIXELS:
        return None
    values, marks = fingerprint_all(labels)
    shape = ",".join(map(str, labels.shape))
    packed = zlib.compress(values.astype("<i8").tobytes() + marks.astype("<u4").tobytes())
    return f"{shape}:{base64.b85encode(packed).decode()}"


def compare_objects(
    labels: Any, began: str, done: Iterable[Plane], axes: str, model: str = ""
) -> Correction | None:
    """What somebody has looked at of labels.

    Parameters
    ----------
    labels : integer array-like
        As they are now; they are read a slab at a time.
    began : str
        From `remember_objects`, of the prediction.
    done : iterable of (int, int)
        Time point and z of the planes that are marked as done.
    axes : str
        Of the labels.
    model : str
        Name of the model that made the prediction.

    Returns
    -------
    Correction or None
        None where ``began`` is damaged, or of labels of another shape.
    """
    shape, _, packed = began.partition(":")
    if shape != ",".join(str(int(n)) for n in labels.shape) or len(axes) != len(labels.shape):
        return None
    try:
        raw = zlib.decompress(base64.b85decode(packed))
    except (ValueError, binascii.Error, zlib.error):
        return None
    count = len(raw) // 12
    if len(raw) != 12 * count:
        return None
    known = np.frombuffer(raw[: 8 * count], "<i8")
    marks = np.frombuffer(raw[8 * count :], "<u4")
    values, now = fingerprint_all(labels)
    both, before, after = np.intersect1d(known, values, assume_unique=True, return_indices=True)
    same = marks[before] == now[after]
    sizes = dict(zip(axes, labels.shape, strict=True))
    planes = np.zeros((sizes.get("T", 1), sizes.get("Z", 1)), bool)
    for time, z in done:
        if time < planes.shape[0] and z < planes.shape[1]:
            planes[time, z] = True
    nothing = bool(same.all()) and len(both) == len(known) == len(values)
    return Correction(both[same].astype(np.int64), planes, nothing, model)


def find_correction(labels: Any, path: Path | None = None) -> Correction | None:
    """What is told of labels by themselves, or by the record that stands beside their file.

    An array in memory that is not `CorrectedLabels` tells nothing; ``path`` is the file that it
    was read from.
    """
    known = getattr(labels, "correction", None)
    if isinstance(known, Correction):
        return known
    for name in ("path", "filename"):
        path = path if isinstance(path, str | Path) else getattr(labels, name, None)
    if not isinstance(path, str | Path):
        return None
    try:
        beside = json.loads(record_path(path).read_bytes())[MARKS_KEY]
        marks = beside["marks"]
        if Path(path).stat().st_size != beside["bytes"] or not marks.get("predicted"):
            return None  # another program has written the file anew
        done = [(int(time), int(z)) for time, z in marks.get("done") or ()]
        axes, model = str(marks["axes"]), model_of(marks["corrected"])
        found = compare_objects(labels, str(marks["predicted"]), done, axes, model)
        review = Review.from_json(marks.get("review"))
        return None if found is None else found.with_accepted(find_accepted(labels, axes, review))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def model_of(record: Any) -> str:
    """Name of the model that a run record names; empty where it names none."""
    model = record.get("model") if isinstance(record, Mapping) else None
    return str(model.get("name") or "") if isinstance(model, Mapping) else ""
