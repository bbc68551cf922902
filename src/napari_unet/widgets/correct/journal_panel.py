"""The corrections of a layer, counted, and repeated on another prediction of the same image."""

from __future__ import annotations

from typing import Any

from napari.layers import Labels
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_unet.correction.change import Change
from napari_unet.correction.edits import Edit
from napari_unet.correction.journal import repeat_entries
from napari_unet.widgets.correct.journal import entries_of
from napari_unet.widgets.correct.session import CorrectionSession
from napari_unet.widgets.qt.form import text_label
from napari_unet.widgets.viewer.layer_image import plain, shape_of

MOST_TOLD = 5  # corrections that do not fit, one by one


class JournalPanel:
    """How many corrections a layer has, and a button to repeat those of another.

    Parameters
    ----------
    session : CorrectionSession
        Whose layer.

    Attributes
    ----------
    repeat : QPushButton
        Repeats the corrections of the layer that it names.
    """

    def __init__(self, session: CorrectionSession) -> None:
        self._session = session
        self._source: Labels | None = None
        self.native = QWidget()
        column = QVBoxLayout(self.native)
        column.setContentsMargins(0, 0, 0, 0)
        self._line = text_label()
        self.repeat = QPushButton()
        self.repeat.setToolTip(
            "Make the corrections of another layer of the same image again on this one, such as a "
            "new prediction. Where one does not fit any more, the labels stay, and you are told. "
            "All of it is one step of undo."
        )
        self.repeat.clicked.connect(lambda _=False: self._repeat())
        column.addWidget(self._line.native)
        column.addWidget(self.repeat)
        session.corrected.connect(self.refresh)
        session.undone.connect(self.refresh)
        session.target_changed.connect(self.refresh)
        self.refresh()

    def close(self) -> None:
        """Stop listening; no widget is touched."""
        self._session.corrected.disconnect(self.refresh)
        self._session.undone.disconnect(self.refresh)
        self._session.target_changed.disconnect(self.refresh)

    @property
    def text(self) -> str:
        """What is said of the corrections."""
        return str(self._line.value)

    def refresh(self, _: Any = None) -> None:
        """Count, and look for another layer whose corrections may be repeated."""
        target = self._session.target
        count = 0 if target is None else len(entries_of(target.layer))
        noun = "correction" if count == 1 else "corrections"
        self._line.value = f"{count} {noun}, kept with the labels." if count else ""
        self._line.native.setVisible(bool(count))
        self._source = None if count else self._find_source()
        if self._source is not None:
            number = len(entries_of(self._source))
            noun = "correction" if number == 1 else "corrections"
            self.repeat.setText(f"Repeat {number} {noun} of ‘{self._source.name}’")
        self.repeat.setVisible(self._source is not None)

    def _find_source(self) -> Labels | None:
        target = self._session.target
        if target is None:
            return None
        for layer in map(plain, reversed(self._session.viewer.layers)):
            if layer is target.layer or not isinstance(layer, Labels):
                continue
            if shape_of(layer) == shape_of(target.layer) and entries_of(layer):
                return layer
        return None

    def _repeat(self) -> None:
        session, source, target = self._session, self._source, self._session.target
        if source is None or target is None:
            return
        entries = entries_of(source)

        def apply(change: Change, edit: Edit) -> None:
            session.write(change, edit)

        with target.layer.block_history():
            misfits = repeat_entries(entries, lambda: target.scene, apply)
        done = len(entries) - len(misfits)
        text = f"{done} of {len(entries)} corrections {'was' if done == 1 else 'were'} repeated."
        if misfits:
            told = "; ".join(map(str, misfits[:MOST_TOLD]))
            more = f"; and {len(misfits) - MOST_TOLD} more" if len(misfits) > MOST_TOLD else ""
            text += f" These do not fit any more: {told}{more}."
        session.tell(text, fault=bool(misfits))
