"""The marks of labels in a file: they stand in the record beside it, and come back with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.errors import FileError
from napari_unet.io import record_path, write_record
from napari_unet.recovery.ownership import read_index
from napari_unet.widgets.annotation.layer_state import put_at
from napari_unet.widgets.annotation.marks import JOURNAL_KEY, MARKS_KEY, Marks, marks_of, set_marks
from napari_unet.widgets.viewer.layer_image import level_of
from napari_unet.widgets.viewer.placement import Placement

if TYPE_CHECKING:
    from napari.layers import Labels

RUN_KEY = "operation"  # that every run record has


def check_room(path: Path) -> None:
    """Raise `FileError` if the record of a file would replace a file of somebody else's."""
    beside = record_path(path)
    values = read_index(beside)
    if beside.exists() and not {MARKS_KEY, RUN_KEY} & set(values):
        raise FileError(
            f"The marks of these labels go into {beside}, which is another file already",
            "save the labels under another name",
        )


def write_marks(
    path: Path,
    marks: Mapping[str, Any],
    place: Mapping[str, Any],
    record: Mapping[str, Any] | None,
    journal: Mapping[str, Any] | None = None,
) -> Path:
    """Write marks into the record beside a file of labels.

    Parameters
    ----------
    path : Path
        The file, as it is now: its size tells later whether it is still that one.
    marks : mapping
        From `Marks.as_json`.
    place : mapping
        From `place_of`.
    record : mapping or None
        The run record that stands there too.
    journal : mapping or None
        The corrections of the labels.

    Returns
    -------
    Path
        The record.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    known = {"marks": marks, "place": place, "bytes": path.stat().st_size}
    if journal is not None:
        known["journal"] = journal
    return write_record(path, {**(record or {}), MARKS_KEY: known})


def _has_axes(layer: Labels, axes: str) -> bool:
    """Whether these are the axes of a layer, which may lack C."""
    return layer.ndim in {len(axes), len(axes.replace("C", ""))} and not (
        layer.multiscale and layer.ndim < len(axes)
    )


def read_marks(path: Path) -> Marks | None:
    """The marks that stand beside a file of labels; None where it is another file by now."""
    values = read_index(record_path(path)).get(MARKS_KEY)
    if not isinstance(values, Mapping) or not isinstance(values.get("marks"), Mapping):
        return None
    try:
        same = path.stat().st_size == values.get("bytes")
    except OSError:
        return None
    return Marks.from_json(values["marks"]) if same else None


def read_journal(path: Path) -> dict[str, Any] | None:
    """The corrections that stand beside a file of labels; None: none, or of another file."""
    if read_marks(path) is None:
        return None
    journal = read_index(record_path(path))[MARKS_KEY].get("journal")
    return dict(journal) if isinstance(journal, Mapping) else None


def bring_back_marks(layer: Labels) -> bool:
    """Give a layer that was read from a file the marks that stand beside the file.

    It is laid where the saved layer lay, unless the file has told where.

    Returns
    -------
    bool
        Whether there were such. A layer that has marks, and a file that was written anew by
        another program, get none.
    """
    if not layer.source.path or marks_of(layer) is not None:
        return False
    path = Path(layer.source.path)
    marks = read_marks(path)
    if marks is None or not _has_axes(layer, marks.axes):
        return False
    if layer.ndim < len(marks.axes):  # files have no axis for the channels that labels lie beside
        layer.data = Placement(marks.axes, {}).lay(level_of(layer))
    place = read_index(record_path(path))[MARKS_KEY].get("place")
    if isinstance(place, Mapping) and (layer.scale == 1).all() and not layer.translate.any():
        put_at(layer, place)
    set_marks(layer, marks)
    journal = read_journal(path)
    if journal is not None:
        layer.metadata[JOURNAL_KEY] = journal
    return True
