"""The user's decision on a model that was just trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_unet.errors import UNetError
from napari_unet.network.library import save_user_model
from napari_unet.training.verdict import compare_with_base
from napari_unet.widgets.train.verdict_panel import VerdictPanel

if TYPE_CHECKING:
    from napari_unet.widgets.train.job import Trained


class Decision:
    """Shows what a training has given, until the user keeps or discards it.

    Parameters
    ----------
    on_fault : callable
        Called with the error where the model cannot be kept; it is not decided then.
    on_kept : callable
        Called with the model's name when it was kept.
    on_discarded : callable
        Called when it was discarded.

    Attributes
    ----------
    panel : VerdictPanel
        To be put into a dock.
    trained : Trained or None
        What is neither kept nor discarded.
    """

    def __init__(
        self,
        on_fault: Callable[[UNetError], None],
        on_kept: Callable[[str], None],
        on_discarded: Callable[[], None],
    ) -> None:
        self._on_fault = on_fault
        self._on_kept = on_kept
        self._on_discarded = on_discarded
        self.trained: Trained | None = None
        self.panel = VerdictPanel(self._keep, self._discard)

    def ask(self, trained: Trained, *, image: str) -> None:
        """Let the user decide; ``image`` is what was learned from, where nothing else tells."""
        self.trained = trained
        card = trained.model.card
        # the training may be one of an earlier window
        image = next(iter(trained.session.images), image)
        self.panel.show(card, compare_with_base(card), trained.comparison, image=image)

    def leave(self) -> None:
        """Leave an undecided model to whoever asks again: the dock is closed."""
        if self.trained is not None:
            self.trained.session.release()

    def _keep(self) -> None:
        if self.trained is None:
            return
        name, description = self.panel.name, self.panel.description
        try:
            path = save_user_model(self.trained.model, name, description=description)
        except UNetError as error:
            self._on_fault(error)
            return
        self._close_panel()
        self._on_kept(path.stem)

    def _discard(self) -> None:
        if self.trained is not None:
            self._close_panel()
            self._on_discarded()

    def _close_panel(self) -> None:
        trained, self.trained = self.trained, None
        if trained is not None:
            trained.session.remove()
        self.panel.hide()
