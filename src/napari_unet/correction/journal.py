"""The corrections of labels, kept beside them, and repeated on other labels of the same image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ValidationError

from napari_unet.correction.change import Change
from napari_unet.correction.edits import Edit, Scene, make_change
from napari_unet.errors import InputError

MOST_UNLIKE = 2.0  # times as many or as few pixels, from which on an edit is another one


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
            change = _fit(entry, edit, scene())
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
