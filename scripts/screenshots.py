"""Make the pictures of the documentation from the real window.

    bash scripts/with_display.sh python scripts/screenshots.py [FOLDER] [--scenes NAME ...]

Without options it writes what the documentation shows to docs/images, PNG files of less than
150 kB. With ``--scenes`` it writes all pictures of these scenes (``--list`` names them) to FOLDER,
in each theme and height asked for.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from screenshot_scenes import batch, correct, evaluate, measure, segment, train, tutorial, walk
from screenshot_scenes.stage import Stage

SCENES = {
    **batch.SCENES,
    **correct.SCENES,
    **measure.SCENES,
    **evaluate.SCENES,
    **segment.SCENES,
    **train.SCENES,
    **tutorial.SCENES,
    **walk.SCENES,
}
DOCUMENTED = {
    "batch": {"batch_files_light": "light", "batch_done_dark": "dark"},
    "segment": {"segment_dark": "dark", "segment_region_light": "light"},
    **{
        scene: dict.fromkeys(names, "dark")
        for scene, names in {
            **tutorial.PICTURES,
            **measure.PICTURES,
            **evaluate.PICTURES,
            **correct.PICTURES,
        }.items()
    },
}
"""Pictures of the documentation and their themes, by scene."""


def play(scene: str, folder: Path, theme: str, height: int, wanted: set[str] | None = None) -> None:
    """Play a scene in a fresh window.

    Neither the user's settings nor the models and the lost work of this machine belong in a
    picture.
    """
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "settings.yaml")
        for name in ("CONFIG", "MODELS", "STATE"):
            os.environ[f"NAPARI_UNET_{name}"] = str(Path(scratch) / name.lower())
        stage = Stage(folder, theme, height, wanted)
        try:
            SCENES[scene](stage)
        finally:
            stage.close()


def main() -> None:
    """Make the pictures that are asked for."""
    parser = argparse.ArgumentParser(description="Make pictures of the docks.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/images"))
    parser.add_argument("--scenes", nargs="+", choices=[*SCENES, "all"], metavar="NAME")
    parser.add_argument("--themes", nargs="+", choices=["dark", "light"], default=["dark"])
    parser.add_argument("--heights", nargs="+", type=int, default=[768])
    parser.add_argument("--list", action="store_true", help="name the scenes")
    options = parser.parse_args()
    if options.list:
        for name, scene in SCENES.items():
            print(f"{name}: {(scene.__doc__ or '').splitlines()[0]}")
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.scenes is None:
        for scene, pictures in DOCUMENTED.items():
            for theme in dict.fromkeys(pictures.values()):
                wanted = {name for name, its in pictures.items() if its == theme}
                play(scene, options.folder, theme, 768, wanted)
        return
    scenes = list(SCENES) if "all" in options.scenes else options.scenes
    for scene in scenes:
        for theme in options.themes:
            for height in options.heights:
                play(scene, options.folder, theme, height)


if __name__ == "__main__":
    main()
