"""What a crash has left: painted labels, trainings, and models that nobody has decided on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, QTimer

from napari_unet.errors import UNetError
from napari_unet.recovery.labels import StoredLabels, find_lost_labels
from napari_unet.recovery.training import InterruptedSession, find_interrupted_sessions
from napari_unet.widgets.qt.notice import Notice
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.viewer.layer_image import LayerImage

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.recovery.shared_autosave import SharedAutosave

LEFT_ALONE = "Later"
Shown = tuple[Image, str, tuple[int, ...] | None]  # with its axes and channels
MOST_OFFERS = 3  # at once, of labels and of trainings
LOOKS, PAUSE_MS = 10, 3000  # looks for what was left, and the time between them


class TrainingOffers:
    """Finds what can be gone on with, and asks for each.

    Parameters
    ----------
    viewer : Viewer
        Where labels are put back, and images looked for.
    autosave : SharedAutosave
        Goes on keeping labels that were put back.
    on_resume : callable
        Called with a session, and the images that were not stored with it; gives words where
        that cannot be now.
    """

    def __init__(
        self,
        viewer: Viewer,
        autosave: SharedAutosave,
        on_resume: Callable[[InterruptedSession, Mapping[str, Any]], str],
    ) -> None:
        self._viewer = viewer
        self._autosave = autosave
        self._on_resume = on_resume
        self._offered: set[Path] = set()  # folders

    def find(self) -> list[Notice]:
        """A notice for each thing that was left and is not offered yet, labels first."""
        lost = [x for x in find_lost_labels()[:MOST_OFFERS] if x.folder not in self._offered]
        sessions = find_interrupted_sessions()[:MOST_OFFERS]
        sessions = [x for x in sessions if x.folder not in self._offered]
        return [*map(self.offer, lost), *map(self._offer_session, sessions)]

    def find_labels(self) -> list[Notice]:
        """A notice for labels alone that were left and are not offered yet."""
        lost = [x for x in find_lost_labels()[:MOST_OFFERS] if x.folder not in self._offered]
        return [self.offer(stored) for stored in lost]

    def offer(self, stored: StoredLabels) -> Notice:
        """A notice for labels, such as those whose layer was removed in this window."""
        self._offered.add(stored.folder)
        record, count = stored.record, len(stored.planes)
        planes = f", {count} planes" if count > 1 else ""
        end = (
            "were not saved"
            if record.removed is None
            else "were removed, and this plugin has not saved them"
        )
        return Notice(
            f"Painted labels ‘{record.name}’ of {_when(record.saved)}{planes} {end}.",
            {
                "Restore": lambda: _fault_of(lambda: self._autosave.restore(stored)),
                "Discard": lambda: _fault_of(stored.discard),
                LEFT_ALONE: str,
            },
        )

    def _offer_session(self, session: InterruptedSession) -> Notice:
        self._offered.add(session.folder)
        names = " and ".join(f"‘{name}’" for name in session.images) or "some images"
        began = _when(session.saved)
        if session.model is not None:
            text = f"The model that was trained on {names}, {began}, is neither kept nor discarded."
            action = "Decide"
        else:
            text = f"The training on {names} of {began} was interrupted."
            action = "Resume"

        def discard() -> None:
            session.claim()
            session.remove()

        return Notice(
            text,
            {
                action: lambda: self._resume(session),
                "Discard": lambda: _fault_of(discard),
                LEFT_ALONE: str,
            },
        )

    def _resume(self, session: InterruptedSession) -> str:
        images = {}
        if session.model is None:
            for name in session.missing:
                image = self._find(name)
                if image is None:
                    return (
                        f"The image ‘{name}’ was too large to be kept with the training; open it "
                        "again under that name, and resume then."
                    )
                images[name] = image
        fault = self._on_resume(session, images)
        if not fault and session.model is None:
            self._offered.discard(session.folder)  # it may be interrupted again
        return fault

    def _find(self, name: str) -> Any:
        """Pixels of the image layer of a name; None where there is none."""
        for layer in self._viewer.layers:
            if isinstance(layer, Image) and layer.name == name:
                return LayerImage.of(layer).image
        return None


def open_images(viewer: Viewer, values: Mapping[str, Any]) -> list[Shown]:
    """Layers of the images that a session was about, where they are open: axes and channels."""
    found = []
    for line in values.get("examples") or []:
        for layer in viewer.layers:
            if isinstance(layer, Image) and layer.name == line["image"]:
                channels = line["channels"]
                found.append((layer, line["axes"], channels and tuple(channels)))
    return found


def repeat(look: Callable[[], None], parent: QObject) -> QTimer:
    """Look soon, and a few times more: a dock just closed may be about to leave its training."""
    timer, looks = QTimer(parent), iter(range(LOOKS))

    def ring() -> None:
        if next(looks, None) is None:
            timer.stop()
            return
        timer.setInterval(PAUSE_MS)
        look()

    timer.timeout.connect(ring)
    timer.start(0)
    return timer


def _fault_of(action: Callable[[], object]) -> str:
    """Do something, and give words where it cannot be done."""
    try:
        action()
    except UNetError as error:
        return worded(error)
    return ""


def _when(moment: datetime) -> str:
    """A time of today without its date.

    >>> _when(datetime(2020, 5, 6, 7, 8)).endswith("2020-05-06 07:08")
    True
    """
    local = moment.astimezone() if moment.tzinfo else moment
    today = datetime.now(local.tzinfo).date() == local.date()
    return local.strftime("%H:%M" if today else "%Y-%m-%d %H:%M")
