"""The dock "Measure" and the tutorial ``docs/tutorials/measure.md``, followed to the letter."""

from __future__ import annotations

from typing import Any

from screenshot_scenes.stage import Stage

PICTURES = {"measure": ("measure_table", "measure_colours")}


def measure(stage: Stage) -> None:
    """Empty; before a run; the largest object chosen; colours and a scatter plot; axes in doubt."""
    viewer, theme = stage.viewer, stage.theme
    dock = stage.open_dock("Measure")
    stage.shoot(f"measure_empty_{theme}")
    stage.sample("nuclei_2d")
    segment = stage.open_dock("Segment")
    stage.press(segment.bar.run)
    stage.finish(segment)
    dock = stage.open_dock("Measure")
    stage.shoot(f"measure_before_{theme}")
    stage.press(dock.bar.run)
    stage.finish(dock)
    table = dock.panel.table
    column = table.model.names.index("area")
    table.view.sortByColumn(column, _falling())
    _click(table, 0)
    stage.shoot("measure_table")
    stage.shoot(f"measure_done_{theme}")
    print(f"{len(dock.result)} objects, largest {dock.result['area'].max():.1f}")

    table.filter.setText("area > 100 and touches_border = no")
    print(table.count.text())
    dock.panel.plot.plot("area", "intensity_mean")
    dock.panel.colour.setCurrentText("intensity_mean")
    dock.panel.plot._tell(table.shown[:8])
    stage.shoot("measure_colours")
    stage.shoot(f"measure_colours_{theme}")
    table.filter.setText("size > 3")
    stage.shoot(f"measure_filter_fault_{theme}")
    table.filter.clear()

    layer = viewer.layers["nuclei labels"]
    viewer.layers.clear()
    viewer.add_labels(layer.data[:128, :128].reshape(4, 32, 128), name="a stack or a series")
    stage.shoot(f"measure_axes_{theme}")


def _falling() -> Any:
    from qtpy.QtCore import Qt  # noqa: TID251

    return Qt.SortOrder.DescendingOrder


def _click(table: Any, row: int) -> None:
    """Click on a row, as it is shown."""
    table.view.selectRow(row)


SCENES = {"measure": measure}
