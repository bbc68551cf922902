"""The dock "Correct": objects of the active Labels layer are put right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from magicgui.widgets import Container
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_unet.widgets.correct.hover_panel import HoverPanel
from napari_unet.widgets.correct.journal_panel import JournalPanel
from napari_unet.widgets.correct.recorded import draft_of, take_over
from napari_unet.widgets.correct.review_panel import ReviewPanel
from napari_unet.widgets.correct.session import CorrectionSession
from napari_unet.widgets.correct.tool_panel import ToolPanel
from napari_unet.widgets.qt.events import ClosingWatch
from napari_unet.widgets.qt.form import FAULT_COLOUR, order_tabs, text_label
from napari_unet.widgets.qt.notice import Notice
from napari_unet.widgets.qt.script_menu import ScriptMenu
from napari_unet.widgets.qt.scripted import Copied
from napari_unet.widgets.qt.scrolling import ScrollingPart
from napari_unet.widgets.recovery.offers import TrainingOffers
from napari_unet.widgets.recovery.shared_autosave import SharedAutosave
from napari_unet.widgets.viewer.docks import OneDock
from napari_unet.widgets.viewer.records import record_shown
from napari_unet.widgets.viewer.vispy_guard import guard_removals

if TYPE_CHECKING:
    import napari.viewer

    from napari_unet.recovery.labels import StoredLabels

T = TypeVar("T")
PANELS = (
    HoverPanel,
    ToolPanel,
    ReviewPanel,
    JournalPanel,
)
"""From top to bottom. Each is called with the `CorrectionSession`; it has ``native``, a QWidget,
and ``close()``, which stops listening and touches no widget."""


class CorrectWidget(Copied, Container, metaclass=OneDock):  # type: ignore[type-arg]
    """The dock "Correct".

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose labels are corrected.

    Attributes
    ----------
    session : CorrectionSession
        The layer that is corrected, and the steps.
    panels : list
        The parts of the dock, of the kinds in `PANELS`.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        guard_removals(viewer)
        self.session = CorrectionSession(viewer)
        self.message = text_label()
        super().__init__(widgets=[self.message], labels=False)
        self.margins = (6, 6, 6, 6)
        self.heading = text_label()
        self.panels: list[Any] = [kind(self.session) for kind in PANELS]
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, 6, 0)
        self._notices = QVBoxLayout()
        column.addLayout(self._notices)
        for part in (self.heading, *self.panels):
            column.addWidget(part.native)
        column.addStretch(1)
        # the panels scroll, what is said under them stays in sight
        layout = self.native.layout()
        layout.insertWidget(0, ScrollingPart(inside), 1)
        self.scripts = ScriptMenu(
            self.native,
            lambda: draft_of(self.session),
            lambda path: take_over(path, self.session),
            lambda: record_shown(viewer),
            self.show_message,
        )
        layout.addWidget(self.scripts.button, 0, Qt.AlignmentFlag.AlignRight)
        order_tabs(self.native)
        self.session.target_changed.connect(self._show_target)
        self.session.told.connect(self.show_message)
        self._closing = ClosingWatch(self.native, self._closed)
        self._show_target()
        self.autosave = SharedAutosave(viewer, self._warn, self._offer_removed)
        self.offers = TrainingOffers(viewer, self.autosave, lambda *_: "Open the dock Train.")
        if self.autosave.is_first:  # else another dock offers what a crash has left
            for notice in self.offers.find_labels():
                self._notices.addWidget(notice)

    @property
    def hover(self) -> HoverPanel:
        """The line about the object under the cursor."""
        return self._panel(HoverPanel)

    @property
    def tools(self) -> ToolPanel:
        """The buttons of the tools."""
        return self._panel(ToolPanel)

    @property
    def review(self) -> ReviewPanel:
        """The objects to look at next, and what was accepted."""
        return self._panel(ReviewPanel)

    @property
    def journal(self) -> JournalPanel:
        """The corrections, counted and repeated."""
        return self._panel(JournalPanel)

    def _panel(self, kind: type[T]) -> T:
        return next(panel for panel in self.panels if isinstance(panel, kind))

    @property
    def warm(self) -> bool:
        """Whether it is ready for work; this dock needs no torch."""
        return True

    def reset_choices(self, *_: Any) -> None:
        """Nothing here lists layers; the viewer calls this when its layers change."""

    def show_message(self, text: str, fault: bool = False) -> None:
        """Show what a tool has done, or what is wrong."""
        self.message.value = text
        self.message.native.setStyleSheet(f"color: {FAULT_COLOUR};" if fault else "")

    def _show_target(self) -> None:
        target = self.session.target
        if target is None:
            self.heading.value = self.session.problem
        else:
            self.heading.value = f"Corrects ‘{target.layer.name}’."
        self.show_message("")

    def _warn(self, text: str) -> None:
        """Say something that the user must not miss, whatever else is said."""
        self._notices.addWidget(Notice(text, {"OK": str}))

    def _offer_removed(self, stored: StoredLabels) -> None:
        self._notices.addWidget(self.offers.offer(stored))

    def _closed(self) -> None:
        self.session.told.disconnect(self.show_message)
        self.session.target_changed.disconnect(self._show_target)
        for panel in self.panels:
            panel.close()
        self.session.close()
        self.autosave.close()
