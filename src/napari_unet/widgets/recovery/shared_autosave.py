"""One autosave for all docks of a viewer: two would write each layer twice, and offer it twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari_unet.widgets.recovery.autosave import Autosave
from napari_unet.widgets.viewer.layer_image import plain

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Labels

    from napari_unet.recovery.labels import StoredLabels

_seats: list[SharedAutosave] = []


class SharedAutosave:
    """A dock's part in the autosave of its viewer, which goes with the last dock.

    Parameters
    ----------
    viewer, on_fault, on_removed
        As for `Autosave`. Of several docks, the one opened last is told.

    Attributes
    ----------
    is_first : bool
        Whether no other dock of the viewer had one when this was made.
    """

    def __init__(
        self,
        viewer: Viewer,
        on_fault: Callable[[str], None],
        on_removed: Callable[[StoredLabels], None],
    ) -> None:
        self._viewer = plain(viewer)
        self._on_fault, self._on_removed = on_fault, on_removed
        others = [seat for seat in _seats if seat._viewer is self._viewer]
        self.is_first = not others
        if others:
            self._autosave: Autosave = others[0]._autosave
        else:
            own = self._viewer

            def last() -> SharedAutosave | None:
                return next((seat for seat in reversed(_seats) if seat._viewer is own), None)

            def tell(text: str) -> None:
                seat = last()
                if seat is not None:
                    seat._on_fault(text)

            def offer(stored: StoredLabels) -> None:
                seat = last()
                if seat is not None:
                    seat._on_removed(stored)

            self._autosave = Autosave(viewer, tell, offer)
        _seats.append(self)

    @property
    def busy(self) -> bool:
        """Whether anything is still to be written."""
        return self._autosave.busy

    def restore(self, stored: StoredLabels) -> Labels:
        """Put lost labels back into the viewer; see `Autosave.restore`."""
        return self._autosave.restore(stored)

    def keep(self, layer: Any) -> None:
        """Keep a layer from the time on that it has marks."""
        self._autosave.keep(layer)

    def save(self) -> None:
        """Write what has changed."""
        self._autosave.save()

    def close(self) -> None:
        """Leave; the last one ends the autosave."""
        if self not in _seats:
            return
        _seats.remove(self)
        if all(seat._viewer is not self._viewer for seat in _seats):
            self._autosave.close()
