"""A process that paints, trains, and is killed: ``python -m screenshot_scenes.crash``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from napari_unet.recovery.labels import labels_folder
from napari_unet.recovery.training import sessions_folder
from screenshot_scenes.hand import begin, paint
from screenshot_scenes.stage import Stage, settle


def leave_behind() -> None:
    """Run such a process beside this one; both use the same folders."""
    command = [sys.executable, "-m", "screenshot_scenes.crash"]
    ended = subprocess.run(command, cwd=Path(__file__).parents[1], check=False)
    if ended.returncode != -signal.SIGKILL:
        raise SystemExit(f"the process was to be killed, but gave {ended.returncode}")


def found_notices(dock: Any) -> list[Any]:
    """What the dock "Train" offers above its form."""
    from napari_unet.widgets.qt.notice import Notice

    return [x for x in dock.native.findChildren(Notice) if x.isVisible()]


def main() -> None:
    """Paint, train, and die."""
    stage = Stage(Path(), wanted=())
    dock, _ = begin(stage)
    dock.rows["batch_size"].editor.value = 2
    paint(stage)
    settle(stage, dock)
    stage.press(dock.bar.train)
    stage.wait(lambda: any(sessions_folder().glob("*/checkpoint.pt")))
    stage.wait(lambda: any(labels_folder().glob("*/c.*")) and not dock.autosave.busy)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
