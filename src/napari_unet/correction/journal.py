"""The corrections of labels, kept beside them, and repeated on other labels of the same image."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydantic import AwareDatetime, BaseModel, ValidationError

from napari_unet.correction.change import Change
from napari_unet.correction.edits import Edit, Scene, make_change
from napari_unet.correction.free_label import free_label
from napari_unet.errors import InputError

MOST_UNLIKE = 2.0  # times as many or as few pixels, from which on an edit is another one


class Parts(BaseModel, frozen=True, extra="forbid"):
    """The new parts of an object, pixel by pixel.

    Attributes
    ----------
    starts, shape : tuple of int
        The window of the labels that they lie in.
    packed : str
        Which part each pixel is of, 0: none, as base64 of compressed bytes.
    """

    starts: tuple[int, ...]
    shape: tuple[int, ...]
    packed: str

    @classmethod
    def of(cls, change: Change) -> Parts:
        """The parts that a change makes, numbered as their new labels are."""
        numbers = np.searchsorted(change.new_ids, change.new) + 1
        numbers = np.where(change.changed, numbers, 0).astype(np.uint8)
        packed = base64.b64encode(zlib.compress(numbers.tobytes())).decode("ascii")
        starts = tuple(part.start for part in change.window)
        return cls(starts=starts, shape=numbers.shape, packed=packed)

    def split(self, labels: Any, label: int, largest: int | None) -> Change:
        """The change that makes these parts again, of the same object.

        Raises
        ------
        InputError
            If it is another one, or no label is free.
        """
        window = tuple(slice(a, a + n) for a, n in zip(self.starts, self.shape, strict=True))
        old = np.array(labels[window])
        numbers = np.frombuffer(zlib.decompress(base64.b64decode(self.packed)), np.uint8)
        if old.shape != self.shape or numbers.size != old.size:
            raise InputError("It is of labels of another shape", "open the same image")
        numbers = numbers.reshape(self.shape)
        if (old[numbers > 0] != label).any():
            raise InputError(f"Object {label} is another one now", "split it by hand")
        first = free_label(labels, largest, count=int(numbers.max(initial=1)))
        new = np.where(numbers > 0, numbers + np.int64(first - 1), old).astype(old.dtype)
        return Change.between(window, old, new)


class Entry(BaseModel, frozen=True, extra="forbid"):
    """A correction that was made.

    Attributes
    ----------
    tool, points, depth, across, label
        Of the `Edit`.
    before, after : tuple of int
        The numbers that pixels lost, and those that they got.
    pixels : int
        How many changed.
    made : datetime
        When.
    parts : Parts, optional
        Of a split: which pixels became what, since the map that it was made on may be gone later.
    """

    tool: str
    points: tuple[tuple[int, ...], ...]
    depth: int = 0
    across: int | None = None
    label: int | None = None
    before: tuple[int, ...]
    after: tuple[int, ...]
    pixels: int
    made: AwareDatetime
    parts: Parts | None = None

    @classmethod
    def of(cls, edit: Edit, change: Change) -> Entry:
        """The entry of a change."""
        return cls(
            tool=edit.tool,
            points=edit.points,
            depth=edit.depth,
            across=edit.across,
            label=edit.label,
            before=tuple(change.old_ids),
            after=tuple(change.new_ids),
            pixels=int(change.changed.sum()),
            made=datetime.now(UTC),
            parts=Parts.of(change) if edit.tool == "split" else None,
        )

    @property
    def edit(self) -> Edit:
        """What was done, and where."""
        return Edit(self.tool, self.points, self.depth, self.across, self.label)


@dataclass(frozen=True)
class Misfit:
    """A correction that was not repeated.

    Attributes
    ----------
    entry : Entry
        The correction.
    reason : str
        Why it does not fit any more, in words.
    """

    entry: Entry
    reason: str

    def __str__(self) -> str:
        place = ", ".join(map(str, self.entry.points[0]))
        return f"{self.entry.tool.replace('_', ' ')} at ({place}): {self.reason}"


def read_entries(values: Any) -> list[Entry]:
    """Entries from plain values, such as those of a layer's metadata; what is no entry is left out.

    >>> read_entries({"entries": [{"tool": "delete"}]}), read_entries(None)
    ([], [])
    """
    found = values.get("entries") if isinstance(values, Mapping) else None
    entries = []
    for each in found if isinstance(found, Sequence) else ():
        try:
            entries.append(Entry.model_validate(each))
        except ValidationError:
            continue
    return entries


def repeat_entries(
    entries: Sequence[Entry],
    scene: Callable[[], Scene],
    apply: Callable[[Change, Edit], Any],
    *,
    same_numbers: bool = False,
) -> list[Misfit]:
    """Make corrections again, on other labels of the same image.

    A correction fits where its tool can be used at its place, and changes about as many pixels as
    it did: at least half as many, at most twice. Else the labels are left alone there.

    Parameters
    ----------
    entries : sequence of Entry
        In the order in which they were made.
    scene : callable
        Gives the labels as they are now.
    apply : callable
        Writes a change.
    same_numbers : bool
        Whether these are the labels that were corrected, as they were before. On others an object
        that was drawn further, and is none of the journal's, is drawn as a new one: its number
        can be that of any object there.

    Returns
    -------
    list of Misfit
        Those that were left out.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[1, 1, 0, 2, 2, 2]])
    >>> change = make_change(Scene(labels), edit := Edit("delete", ((0, 4),)))
    >>> entry, other = Entry.of(edit, change), np.array([[5, 5, 0, 5, 5, 5]])
    >>> misfits = repeat_entries([entry], lambda: Scene(other), lambda change, edit: None)
    >>> [str(misfit) for misfit in misfits]
    []
    """
    renamed: dict[int, int] = {}
    misfits = []
    for entry in entries:
        edit = entry.edit
        if edit.label is not None:
            number = renamed.get(edit.label, edit.label if same_numbers else None)
            edit = Edit(edit.tool, edit.points, edit.depth, edit.across, number)
        try:
            now = scene()
            if entry.parts is not None and same_numbers:
                change = entry.parts.split(now.labels, entry.before[0], now.largest)
            else:
                change = _fit(entry, edit, now)
        except InputError as error:
            misfits.append(Misfit(entry, error.problem))
            continue
        new = [label for label in change.new_ids if label not in change.old_ids]
        added = [label for label in entry.after if label not in entry.before]
        renamed.update(zip(added, new, strict=False))
        apply(change, edit)
    return misfits


def _fit(entry: Entry, edit: Edit, scene: Scene) -> Change:
    if any(len(point) != len(scene.labels.shape) for point in entry.points):
        raise InputError("It is of labels with other axes", "open the same image")
    change = make_change(scene, edit)
    now = int(change.changed.sum())
    if not now:
        raise InputError("There is nothing to change any more", "leave it out")
    if not entry.pixels / MOST_UNLIKE <= now <= entry.pixels * MOST_UNLIKE:
        raise InputError(
            f"It would change {now} pixels now, and changed {entry.pixels}", "do it by hand"
        )
    return change
