"""A real window in which scenes are played, and its camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

PLUGIN = "napari-unet-torch"
WIDTH = 1280
LARGEST = 150_000  # bytes of a picture that the documentation shows
COLOURS = 96
PATIENCE = 240  # seconds until something is taken for stuck


class Stage:
    """A viewer, what a user does with it, and pictures of it.

    Parameters
    ----------
    folder : Path
        Where pictures go.
    theme : {"dark", "light"}
        Of the viewer.
    height : int
        Of the window, in pixels; it is 1280 wide.
    wanted : collection of str, optional
        The only pictures to be written; None: all.
    """

    def __init__(
        self,
        folder: Path,
        theme: str = "dark",
        height: int = 768,
        wanted: Collection[str] | None = None,
    ) -> None:
        import napari  # noqa: TID251
        from napari.settings import get_settings  # noqa: TID251

        self.theme, self.height = theme, height
        self._folder, self._wanted = folder, wanted
        get_settings().appearance.theme = theme
        self.viewer = napari.Viewer(title="napari")
        self.viewer.window.resize(WIDTH, height)

    def shoot(self, name: str) -> None:
        """Write the whole window as a PNG of few colours, which keeps it small."""
        from PIL import Image

        if self._wanted is not None and name not in self._wanted:
            return
        self.rest(0.4)
        self.viewer.window.resize(WIDTH, self.height)  # not larger than it was made
        self.rest(0.1)
        picture = Image.fromarray(self.viewer.screenshot(canvas_only=False, flash=False)[..., :3])
        path = self._folder / f"{name}.png"
        few = picture.quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(path, "PNG", optimize=True)
        size = path.stat().st_size
        grown = f", {picture.height} pixels high" if picture.height > self.height else ""
        print(f"{path}: {size / 1000:.0f} kB{grown}", flush=True)
        if self._wanted is not None and size > LARGEST:
            raise SystemExit(f"{path} is larger than {LARGEST / 1000:.0f} kB")

    def rest(self, seconds: float) -> None:
        """Let the window live for a while."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end)

    def wait(self, reached: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        from qtpy.QtWidgets import QApplication  # noqa: TID251

        end = time.monotonic() + PATIENCE
        while True:
            QApplication.processEvents()
            if reached():
                return
            time.sleep(0.01)
            if time.monotonic() > end:
                raise SystemExit(f"the window did not get ready within {PATIENCE} s")

    def open_dock(self, name: str) -> Any:
        """A dock of the plugin that is ready for work, in front of the others."""
        around, dock = self.viewer.window.add_plugin_dock_widget(PLUGIN, name, tabify=True)
        around.show()
        around.raise_()
        self.wait(lambda: dock.warm)
        return dock

    def press(self, button: Any) -> None:
        """Click on a button, which must be there and enabled."""
        if not (button.native.isVisible() and button.enabled):
            raise SystemExit(f"‘{button.text}’ cannot be pressed")
        button.native.click()
        self.rest(0)

    def sample(self, name: str) -> Any:
        """Open a sample image from the menu."""
        (layer,) = self.viewer.open_sample(PLUGIN, name)
        return layer

    def finish(self, dock: Any) -> None:
        """Wait until the job of a dock has ended."""
        self.wait(lambda: not dock.runner.running)

    def close(self) -> None:
        """Close the window, and forget the layers."""
        from qtpy.QtCore import QThreadPool  # noqa: TID251

        self.viewer.close()
        QThreadPool.globalInstance().waitForDone(10_000)


def settle(stage: Stage, dock: Any) -> None:
    """Wait until the dock "Train" has looked at its examples."""
    stage.rest(0.8)
    form = dock.form
    stage.wait(lambda: form.checked or form.request is None)
    stage.wait(lambda: not form.painting.counting)


def steps_taken(dock: Any) -> int:
    """Steps of its training that the dock has heard of."""
    latest = dock.curves.curve.latest
    return 0 if latest is None else int(latest.step)
