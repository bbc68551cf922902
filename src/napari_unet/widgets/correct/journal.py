"""The journal of a layer, in its metadata: it is kept, saved and restored with the layer."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_unet.correction.change import Change
from napari_unet.correction.edits import Edit
from napari_unet.correction.journal import Entry, read_entries
from napari_unet.widgets.annotation.marks import JOURNAL_KEY

__all__ = ["JOURNAL_KEY", "entries_of", "follow_undo", "split_history", "write_entry"]

_steps: weakref.WeakKeyDictionary[Labels, list[tuple[Any, Any]]] = weakref.WeakKeyDictionary()


def entries_of(layer: Labels) -> list[Entry]:
    """The corrections of a layer."""
    return read_entries(layer.metadata.get(JOURNAL_KEY))


def write_entry(layer: Labels, edit: Edit, change: Change, atom: Any) -> None:
    """Write a correction into the journal; ``atom`` is its part of the viewer's undo.

    The metadata are changed in place, without their event: docks look at all labels anew then.
    """
    entry = Entry.of(edit, change).model_dump(mode="json", exclude_none=True)
    steps = _steps.setdefault(layer, [])
    present = {id(each) for each in _entries(layer)}  # what is undone cannot be redone now
    steps[:] = [(known, a) for known, a in steps if id(known) in present]
    _entries(layer).append(entry)
    steps.append((entry, atom))


def follow_undo(layer: Labels) -> bool:
    """Take undone corrections out of the journal, and redone ones in; whether any was."""
    steps = _steps.get(layer)
    if not steps:
        return False
    undone = {id(atom) for item in layer._redo_history for atom in item}
    entries = _entries(layer)
    own = [entry for entry, _ in steps]
    kept = [entry for entry in entries if not any(entry is each for each in own)]
    kept += [entry for entry, atom in steps if id(atom) not in undone]
    if [id(e) for e in kept] == [id(e) for e in entries]:
        return False
    entries[:] = kept
    return True


def split_history(layer: Labels) -> tuple[NDArray[Any], list[Any]]:
    """The labels before the last corrections, and these, as far as the viewer can undo them.

    It ends at a stroke of the brush and at other tools of the viewer, which the journal does not
    know: these are in the labels.
    """
    known = {id(atom): entry for entry, atom in _steps.get(layer, ())}
    labels, entries = np.array(layer.data), list[Any]()
    for item in reversed(layer._undo_history):
        if not all(id(atom) in known for atom in item):
            break
        for where, before, _ in reversed(item):
            labels[where] = before
        entries[:0] = [known[id(atom)] for atom in item]
    return labels, entries


def _entries(layer: Labels) -> list[Any]:
    journal = layer.metadata.get(JOURNAL_KEY)
    if not isinstance(journal, dict) or not isinstance(journal.get("entries"), list):
        journal = {"version": 1, "entries": []}
        layer.metadata[JOURNAL_KEY] = journal
    found: list[Any] = journal["entries"]
    return found
