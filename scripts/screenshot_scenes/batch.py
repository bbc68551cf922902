"""The dock "Batch": empty, with files, running, and after a run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from napari_unet.io import write_image
from napari_unet.samples import load_sample
from screenshot_scenes.stage import Stage


def batch(stage: Stage) -> None:
    """Empty; files that wait; running; done, with one that failed; a fault."""
    theme = stage.theme
    dock = stage.open_dock("Batch")
    stage.shoot(f"batch_empty_{theme}")
    with TemporaryDirectory(prefix="plate-") as scratch:
        folder = Path(scratch) / "images"
        image = load_sample("nuclei_2d").image
        for number in range(4):
            part = image[number * 20 :, number * 30 :]
            write_image(folder / f"well_{number + 1}.tif", part, axes="YX", pixel_size=(0.5, 0.5))
        (folder / "well_5.tif").write_bytes(b"a copy that broke off")
        dock.form.output.value = str(Path(scratch) / "results")
        dock.form.kinds["measurements"].value = True
        dock.add_paths([str(folder)])
        stage.shoot(f"batch_files_{theme}")
        stage.press(dock.bar.run)
        stage.wait(lambda: dock.table.texts()[0][1] == "done")
        stage.shoot(f"batch_running_{theme}")
        stage.finish(dock)
        dock.table.cellClicked.emit(0, 0)
        stage.shoot(f"batch_done_{theme}")
        dock.form.name.value = "{kind}"
        stage.shoot(f"batch_fault_{theme}")


SCENES = {"batch": batch}
