"""The dock "Evaluate" and the tutorial ``docs/tutorials/evaluate.md``, followed to the letter."""

from __future__ import annotations

from napari_unet.samples import load_sample
from screenshot_scenes.stage import Stage

PICTURES = {"evaluate": ("evaluate_errors", "evaluate_confidence")}


def evaluate(stage: Stage) -> None:
    """Empty; before a run; the worst error chosen; no truth; files; a fault; axes in doubt."""
    viewer, theme = stage.viewer, stage.theme
    dock = stage.open_dock("Evaluate")
    stage.shoot(f"evaluate_empty_{theme}")
    stage.sample("nuclei_2d")
    segment = stage.open_dock("Segment")
    stage.press(segment.bar.run)
    stage.finish(segment)
    labels = viewer.layers["nuclei labels"]
    viewer.add_labels(load_sample("nuclei_2d").truth.astype("int32"), name="truth", visible=False)
    dock = stage.open_dock("Evaluate")
    dock.form.prediction.value = labels
    stage.shoot(f"evaluate_before_{theme}")
    stage.press(dock.bar.run)
    stage.finish(dock)
    labels.visible = False
    dock.panel.errors.view.selectRow(0)
    print(dock.bar.message.value, dock.panel.legend.text())
    stage.shoot("evaluate_errors")
    stage.shoot(f"evaluate_errors_{theme}")
    dock.run(labels)
    stage.finish(dock)
    labels.visible = True
    viewer.layers["nuclei labels errors"].visible = False
    dock.panel.errors.view.selectRow(0)
    stage.shoot("evaluate_confidence")
    stage.shoot(f"evaluate_confidence_{theme}")
    dock.form.source.value = "files or folders"
    stage.shoot(f"evaluate_files_{theme}")
    dock.form.source.value = "layers"
    dock.form.choose(labels, labels)
    stage.shoot(f"evaluate_fault_{theme}")
    stack = load_sample("nuclei_2d").truth.astype("int32")[None].repeat(2, 0)
    found = viewer.add_labels(stack, name="stack")
    dock.form.choose(found, viewer.add_labels(stack, name="true stack"))
    stage.shoot(f"evaluate_axes_{theme}")


SCENES = {"evaluate": evaluate}
