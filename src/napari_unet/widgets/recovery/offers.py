"""What a crash has left: painted labels, trainings, and models that nobody has decided on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, QTimer

from napari_unet.errors import UNetError
from napari_unet.recovery import labels as painted_work
from napari_unet.recovery import training as training_session
from napari_unet.recovery.labels import PaintedWork, lost_work
from napari_unet.recovery.ownership import is_abandoned, read_index
from napari_unet.recovery.training import InterruptedSession, interrupted_sessions
from napari_unet.widgets.qt.notice import Notice
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.viewer.layer_image import LayerImage

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.recovery.autosave import Autosave

LEFT_ALONE = "Later"
Shown = tuple[Image, str, tuple[int, ...] | None]  # with its axes and channels
MOST = 3  # offers at once
LOOKS, PAUSE = 10, 3000  # looks for what was left, and milliseconds between them


class TrainingOffers:
    """Finds what can be gone on with, and asks for each.

    Parameters
    ----------
    viewer : Viewer
        Where labels are put back, and images looked for.
    autosave : Autosave
        Goes on keeping labels that were put back.
    on_resume : callable
        Called with a session, and the images that were not stored with it; gives words where
        that cannot be now.
    """

    def __init__(
        self,
        viewer: Viewer,
        autosave: Autosave,
        on_resume: Callable[[InterruptedSession, Mapping[str, Any]], str],
    ) -> None:
        self._viewer = viewer
        self._autosave = autosave
        self._on_resume = on_resume
        self._offered: set[Path] = set()  # folders

    def find(self) -> list[Notice]:
        """A notice for each thing that was left and is not offered yet, labels first."""
        works = [each for each in lost_work()[:MOST] if each.folder not in self._offered]
        sessions = interrupted_sessions()[:MOST]
        sessions = [each for each in sessions if each.folder not in self._offered]
        self._offered |= {each.folder for each in works} | {each.folder for each in sessions}
        return [*map(self._offer_labels, works), *map(self._offer_session, sessions)]

    def offer(self, work: PaintedWork) -> Notice:
        """A notice for labels of this window, whose layer was removed."""
        self._offered.add(work.folder)
        return self._offer_labels(work)

    def _offer_labels(self, work: PaintedWork) -> Notice:
        count = len(work.planes)
        planes = f", {count} planes" if count > 1 else ""
        end = (
            "were not saved"
            if work.removed is None
            else "were removed, and this plugin has not saved them"
        )
        return Notice(
            f"Painted labels ‘{work.name}’ of {_when(work.saved)}{planes} {end}.",
            {
                "Restore": lambda: self._restore(work),
                "Discard": lambda: _discard(work.folder / painted_work.INDEX, work.discard),
                LEFT_ALONE: str,
            },
        )

    def _offer_session(self, session: InterruptedSession) -> Notice:
        names = " and ".join(f"‘{name}’" for name in session.images) or "some images"
        began = _when(session.saved)
        if session.model is not None:
            text = f"The model that was trained on {names}, {began}, is neither kept nor discarded."
            action = "Decide"
        else:
            text = f"The training on {names} of {began} was interrupted."
            action = "Resume"
        return Notice(
            text,
            {
                action: lambda: self._resume(session),
                "Discard": lambda: _discard(
                    session.folder / training_session.INDEX, session.remove
                ),
                LEFT_ALONE: str,
            },
        )

    def _restore(self, work: PaintedWork) -> str:
        try:
            self._autosave.restore(work)
        except UNetError as error:
            return worded(error)
        return ""

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
        timer.setInterval(PAUSE)
        look()

    timer.timeout.connect(ring)
    timer.start(0)
    return timer


def _discard(index: Path, remove: Callable[[], None]) -> str:
    """Remove what nobody has gone on with meanwhile."""
    values = read_index(index)
    if values and not is_abandoned(values):
        return "Another window goes on with it already; nothing was discarded."
    remove()
    return ""


def _when(moment: datetime) -> str:
    """A time of today without its date.

    >>> _when(datetime(2020, 5, 6, 7, 8)).endswith("2020-05-06 07:08")
    True
    """
    local = moment.astimezone() if moment.tzinfo else moment
    today = datetime.now(local.tzinfo).date() == local.date()
    return local.strftime("%H:%M" if today else "%Y-%m-%d %H:%M")
