"""What the panels of the dock share: the layer that is corrected, and the steps done to it."""

from __future__ import annotations

import weakref
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_unet.correction.change import Change
from napari_unet.correction.edits import Edit, Point, make_change
from napari_unet.correction.free_label import largest_possible
from napari_unet.correction.object_index import ObjectIndex
from napari_unet.errors import InputError, UNetError
from napari_unet.progress import Progress
from napari_unet.recovery.stored_array import StoredArray
from napari_unet.widgets.correct.adoption import begin_correction
from napari_unet.widgets.correct.history import write_change
from napari_unet.widgets.correct.journal import follow_undo, write_entry
from napari_unet.widgets.correct.stored_layer import close_stored
from napari_unet.widgets.correct.target import Target
from napari_unet.widgets.correct.tools import DONE, UNCHANGED
from napari_unet.widgets.qt.job import JobRunner, Outcome
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.viewer.layer_image import plain

if TYPE_CHECKING:
    from napari import Viewer

NO_LAYER = "Select a labels layer in the list of layers: what is selected there is corrected."
NUMBERING = frozenset({"split", "cut", "draw", "take_off"})  # tools that need a free number
_sessions: weakref.WeakSet[CorrectionSession] = weakref.WeakSet()


@dataclass(frozen=True, eq=False)
class Step:
    """A correction that was made.

    Attributes
    ----------
    edit : Edit
        Tool and place.
    target : Target
        The layer.
    change : Change
        The pixels before and after.
    """

    edit: Edit
    target: Target
    change: Change


class CorrectionSession:
    """The active Labels layer of a viewer, and corrections of it.

    Parameters
    ----------
    viewer : Viewer
        Whose layers.

    Attributes
    ----------
    target : Target or None
        The layer that is corrected; None where the active layer is none.
    problem : str
        Why there is no target, in words; empty where there is one.
    plane_only : bool
        Whether tools work in the shown plane of a volume alone.
    """

    target_changed = Signal()
    """Another layer is corrected, or none; or its data were replaced."""

    corrected = Signal(object)
    """A `Step` was made."""

    undone = Signal()
    """A correction was undone or redone."""

    told = Signal(str, bool)
    """Words for the user, and whether they are of a fault."""

    key_pressed = Signal(str)
    """The key of an action was pressed over the canvas; its name."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = plain(viewer)
        self.target: Target | None = None
        self.problem = NO_LAYER
        self.plane_only = False
        self._largest: weakref.WeakKeyDictionary[Labels, int] = weakref.WeakKeyDictionary()
        self._connected: Labels | None = None
        self._reading = JobRunner(lambda _: None, self._end_reading)
        self._writing = JobRunner(lambda _: None, self._end_writing)
        self._opening = False
        self.viewer.layers.selection.events.active.connect(self.refresh)
        self.viewer.layers.events.removed.connect(self._layer_removed)
        _sessions.add(self)
        self.refresh()

    def close(self) -> None:
        """Correct no more."""
        _sessions.discard(self)
        self.viewer.layers.selection.events.active.disconnect(self.refresh)
        self.viewer.layers.events.removed.disconnect(self._layer_removed)
        self._reading.drop()
        self._writing.drop()
        for layer in self.viewer.layers:
            self._close_stored(layer)
        self._connect(None)
        self.target = None
        self.target_changed.emit()

    def refresh(self, _: Any = None) -> None:
        """Look again at which layer is active, and whether it can be corrected."""
        if self._opening:
            return
        layer = plain(self.viewer.layers.selection.active)
        self._reading.drop()
        self._connect(layer if isinstance(layer, Labels) else None)
        self.target, self.problem = None, NO_LAYER
        if isinstance(layer, Labels):
            self._opening = True  # its data may be replaced by those on disk
            try:
                self.target = Target.of(layer)
                self.problem = ""
            except UNetError as error:
                self.problem = worded(error)
            finally:
                self._opening = False
        if self.target is not None:
            self._note_largest(self.target, self._largest.get(self.target.layer, 0))
            self._read_numbers(self.target)
        self.target_changed.emit()
        stored = None if self.target is None else self.target.labels
        if isinstance(stored, StoredArray) and stored.was_interrupted:
            stored.was_interrupted = False
            self.tell("An edit was interrupted when napari ended; the labels are as before it.")

    def tell(self, text: str, *, fault: bool = False) -> None:
        """Say something to the user."""
        self.told.emit(text, fault)

    def point_under_cursor(self) -> Point | None:
        """The pixel of the labels under the cursor; None where the cursor is beside them."""
        if self.target is None or len(self.viewer.dims.displayed) != 2:
            return None
        point = self.target.point_at(self.viewer, self.viewer.cursor.position)
        return point if self.target.contains(point) else None

    def place(self, tool: str, points: tuple[Point, ...], label: int | None = None) -> Edit:
        """An edit at a place of the layer, of the shown plane alone where the user wants that."""
        target = self.target
        if target is None:
            return Edit(tool, points)
        depth = target.frame_depth
        if tool == "interpolate":
            depth = target.depth_between_planes
        elif self.plane_only:
            depth = max(len(target.axes) - 2, depth)
        hidden = [axis for axis in range(depth, len(target.axes)) if axis not in self._shown_axes()]
        return Edit(tool, points, depth, hidden[0] if hidden else None, label)

    def make(self, edit: Edit) -> bool:
        """Make an edit as one step of the viewer's own undo, and say what came of it.

        Returns
        -------
        bool
            Whether any pixel changed.
        """
        target = self.target
        if target is None:
            self.tell(self.problem, fault=True)
            return False
        if edit.tool == "interpolate" and not target.has_planes:
            self.tell("These labels have no planes to fill in between.", fault=True)
            return False
        if edit.tool in NUMBERING and not target.has_numbers:
            self.tell(
                "The numbers of the objects are still being read; try again soon.", fault=True
            )
            return False
        scene = target.scene
        ends = [scene.label_at(point) for point in (edit.points[0], edit.points[-1])]
        try:
            change = make_change(scene, edit)
            changed = self.apply(change, edit)
        except UNetError as error:
            self.tell(worded(error), fault=True)
            return False
        new = [label for label in change.new_ids if label not in change.old_ids and label > 0]
        added = ", ".join(map(str, new))
        words = (DONE if changed else UNCHANGED).get(edit.tool, "Nothing to change.")
        if changed and edit.tool == "cut":
            ends[0] = change.old_ids[0]
        drawn = change.new_ids[0] if changed else 0
        self.tell(words.format(*ends, added, drawn))
        return changed

    def apply(self, change: Change, edit: Edit) -> bool:
        """Write a change, as one step of the viewer's own undo.

        Returns
        -------
        bool
            Whether any pixel changed.

        Raises
        ------
        InputError
            If there is no layer, or a stroke of the brush is not ended yet.
        """
        target = self.target
        if target is None:
            raise InputError(self.problem, "select one", code="no-labels")
        if target.layer._block_history:
            raise InputError("A stroke is being painted", "let go of the mouse button first")
        if not change:
            return False
        self.write(change, edit)
        return True

    def write(self, change: Change, edit: Edit) -> None:
        """Write a change that is not empty, whatever stroke or group of steps is open."""
        target = self.target
        assert target is not None
        begin_correction(self.viewer, target)
        history = target.layer._staged_history if target.layer._block_history else None
        write_change(target.layer, change)
        atom = (target.layer._undo_history[-1] if history is None else history)[-1]
        write_entry(target.layer, edit, change, atom)
        if target.index is not None:
            for label in change.new_ids:
                target.index.include(label, change.window)
        if isinstance(target.labels, StoredArray):
            self._await_disk(target.labels)
        self._note_largest(target, int(change.new.max(initial=0)))
        self.corrected.emit(Step(edit, target, change))

    def _shown_axes(self) -> list[int]:
        """The axes of the labels that are seen."""
        assert self.target is not None
        offset = self.viewer.dims.ndim - self.target.layer.ndim  # aligned at the last axes
        return [axis - offset for axis in self.viewer.dims.displayed]

    def _read_numbers(self, target: Target) -> None:
        """Read in the background where the objects lie and which numbers are taken."""
        index = target.index
        if index is None:
            return
        stored, labels = isinstance(target.labels, StoredArray), target.labels
        path = labels.path if stored else None

        def read() -> Generator[Progress, None, ObjectIndex]:
            import zarr

            source = labels if path is None else zarr.open_array(path, mode="r")
            for part in index.read(source):
                yield Progress(int(1000 * part), 1000, "reading labels")
            return index

        self._reading.start(read, "Reading the numbers of the objects")

    def _end_reading(self, outcome: Outcome) -> None:
        target = self.target
        if target is not None and outcome.result is target.index and target.index is not None:
            self._note_largest(target, target.index.largest)
        elif outcome.error is not None:
            self.tell(worded(outcome.error), fault=True)

    def _await_disk(self, stored: StoredArray) -> None:
        """Hear whether an edit has got to the disk."""

        def flush() -> Generator[Progress, None, bool]:
            yield Progress(0, 1, "writing labels")
            stored.flush()
            return True

        self._writing.start(flush, "")

    def _end_writing(self, outcome: Outcome) -> None:
        if outcome.error is None:
            return
        if self.target is not None:
            self.target.layer._reset_history()  # its steps are not those of the disk any more
            self.target.layer.refresh()
        self.tell(worded(outcome.error), fault=True)

    def _layer_removed(self, event: Any) -> None:
        self._close_stored(plain(event.value))

    def _close_stored(self, layer: Any) -> None:
        if not isinstance(layer, Labels):
            return
        try:
            close_stored(layer)
        except UNetError as error:
            self.tell(worded(error), fault=True)

    def _note_largest(self, target: Target, label: int) -> None:
        """Keep the largest label, and put the next one into the hand."""
        target.largest = max(target.largest, label)
        self._largest[target.layer] = target.largest
        free = target.largest + 1
        if "class" not in target.layer.features.columns and free <= largest_possible(target.labels):
            target.layer.selected_label = free

    def _note_paint(self, event: Any) -> None:
        """A stroke may have used labels that nobody has seen yet."""
        if self.target is None:
            return
        used = max((int(np.max(atom[-1], initial=0)) for atom in event.value), default=0)
        self.target.largest = max(self.target.largest, used)
        self._largest[self.target.layer] = self.target.largest

    def _note_refresh(self, _: Any = None) -> None:
        if self.target is not None and follow_undo(self.target.layer):
            self.undone.emit()

    def _connect(self, layer: Labels | None) -> None:
        if self._connected is layer:
            return
        if self._connected is not None:
            self._connected.events.data.disconnect(self.refresh)
            self._connected.events.paint.disconnect(self._note_paint)
            self._connected.events.set_data.disconnect(self._note_refresh)
        self._connected = layer
        if layer is not None:
            layer.events.data.connect(self.refresh)
            layer.events.paint.connect(self._note_paint)
            layer.events.set_data.connect(self._note_refresh)


def session_of(layer: Labels) -> CorrectionSession | None:
    """The session that corrects a layer, such as the one under a key that was pressed."""
    layer = plain(layer)
    for session in _sessions:
        if session.target is not None and session.target.layer is layer:
            return session
    return None
