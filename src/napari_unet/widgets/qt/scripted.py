"""What a script can do with a dock, of whichever kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_unet.errors import UNetError
from napari_unet.widgets.qt.job import JobRunner
from napari_unet.widgets.qt.script_menu import ScriptMenu


class Scripted:
    """A dock that a script can drive: start its run, wait for it, and tell it as code.

    Attributes
    ----------
    runner : JobRunner
        That runs its job.
    scripts : ScriptMenu
        The menu "Script".
    failure : UNetError or None
        Why the last run failed.
    result : object
        What the last run gave.
    """

    runner: JobRunner
    scripts: ScriptMenu
    failure: UNetError | None = None
    result: Any = None

    def wait(self, timeout_s: float | None = None) -> Any:
        """Wait until the run has ended, while the window stays alive, and give its result.

        Parameters
        ----------
        timeout_s : float, optional
            How long at most; None: as long as it takes.

        Raises
        ------
        UNetError
            If the run failed.
        TimeoutError
            If it has not ended by then; it goes on.
        """
        self.runner.wait(timeout_s)
        if self.failure is not None:
            raise self.failure
        return self.result

    def as_python(self) -> str:
        """What a press of Run does, as a script; see `ScriptMenu.as_python`."""
        return self.scripts.as_python()

    def as_command(self) -> str:
        """What a press of Run does, as a line for a terminal; see `ScriptMenu.as_command`."""
        return self.scripts.as_command()

    def open_record(self, path: str | Path) -> None:
        """Take over input, model and settings from a run record; the dock tells what is wrong."""
        self.scripts.open_record(Path(path))
