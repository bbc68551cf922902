"""Hearing when models are saved, renamed or removed, by whichever program."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QFileSystemWatcher, QObject, QTimer

from napari_unet.network.files import user_models_folder

PAUSE = 150  # milliseconds: a file is written under another name, then renamed


class FolderWatch(QObject):
    """Calls back when anything in the folder of the user's models has changed.

    The folder need not exist: then the nearest one above it is watched, until it does.

    Parameters
    ----------
    parent : QObject
        Whose life the watch shares.
    on_change : callable
        What to do.
    """

    def __init__(self, parent: QObject, on_change: Callable[[], None]) -> None:
        super().__init__(parent)
        self._on_change = on_change
        self._watcher = QFileSystemWatcher(self)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE)
        self._pause.timeout.connect(self._tell)
        self._watcher.directoryChanged.connect(lambda _: self._pause.start())
        self._point()

    def _tell(self) -> None:
        self._point()  # it may be there now, or gone
        self._on_change()

    def _point(self) -> None:
        folder = user_models_folder().absolute()
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        watched = self._watcher.directories()
        if watched != [str(folder)]:
            if watched:
                self._watcher.removePaths(watched)
            self._watcher.addPath(str(folder))
