"""Scores and errors below the viewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from napari_unet.evaluation.atlas import COLOURS, MEANINGS, Atlas
from napari_unet.evaluation.object_survey import ObjectSurvey
from napari_unet.evaluation.review_order import rank_objects
from napari_unet.evaluation.run import Evaluation
from napari_unet.widgets.evaluate.figures import curves_of, list_figures
from napari_unet.widgets.evaluate.overlap_plot import OverlapPlot
from napari_unet.widgets.qt.memory import recall, remember
from napari_unet.widgets.qt.object_table import ObjectTable, Rows

MEMORY = "evaluate_table"
ERROR_COLUMNS = ("number", "kind", "wrong_pixels", "iou", "predicted", "true")
ENDINGS = (".csv", ".tsv", ".json")
FILTERS = "Table (*.csv);;Table with tabs (*.tsv);;All with the record (*.json)"


class EvaluatePanel(QWidget):
    """The table of scores with its curve, and the table of errors with the legend of colours.

    Parameters
    ----------
    on_choose : callable
        Called with the rows of errors that the user has chosen.
    on_save : callable
        Called with the path of a file for the scores.
    say : callable
        Shows a message in the dock.
    """

    def __init__(
        self,
        on_choose: Callable[[Rows], None],
        on_save: Callable[[Path], None],
        say: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._on_save, self._say = on_save, say
        self.ask = self._ask_in_dialog
        self.scores = ObjectTable(lambda _: None)
        self.scores.filter.setPlaceholderText("Filter")
        self.scores.filter.hide()
        self.curve = OverlapPlot()
        self.errors = ObjectTable(on_choose)
        self.errors.filter.setPlaceholderText("Filter: kind = missed, or wrong_pixels > 100")
        self.legend = QLabel()
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setWordWrap(True)
        self.legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.legend.setToolTip(
            "<br>".join(f"<b>{kind}</b>: {said}" for kind, said in MEANINGS.items())
        )
        self.copy, self.save = QPushButton("Copy"), QPushButton("Save …")
        self.copy.setToolTip("Copy the scores, to paste them into a spreadsheet.")
        self.save.setToolTip("Save the scores as CSV, TSV, or JSON with the record of the run.")
        self.copy.clicked.connect(lambda _=False: self._copy())
        self.save.clicked.connect(lambda _=False: self._ask())
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.copy)
        line.addWidget(self.save)
        line.addStretch(1)
        beside = QSplitter(Qt.Orientation.Horizontal)
        beside.addWidget(self.scores)
        beside.addWidget(self.curve)
        beside.setSizes([250, 100])
        self.left, self.right = QWidget(), QWidget()
        for side, parts in ((self.left, (beside, line)), (self.right, (self.errors, self.legend))):
            column = QVBoxLayout(side)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(3)
            for part in parts:
                if isinstance(part, QWidget):
                    column.addWidget(part)
                else:
                    column.addLayout(part)
        self.parts = QSplitter(Qt.Orientation.Horizontal)
        self.parts.addWidget(self.left)
        self.parts.addWidget(self.right)
        self.parts.setSizes([390, 300])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.parts)

    def show_scores(self, evaluation: Evaluation | None) -> None:
        """Show the scores; none: that side is hidden."""
        self.left.setVisible(evaluation is not None)
        if evaluation is not None:
            self.scores.show_table(list_figures(evaluation))
            self.curve.show_curves(curves_of(evaluation))

    def show_errors(self, atlas: Atlas | None) -> None:
        """Show the errors, the worst first; none: that side is hidden."""
        self.right.setVisible(atlas is not None)
        if atlas is None:
            return
        rows = [error.as_row(atlas.axes) for error in atlas.errors]
        names = sorted(rows[0] if rows else ERROR_COLUMNS[:2], key=_place_of_column)
        self.errors.show_table({n: np.array([row[n] for row in rows]) for n in names})
        self.legend.setText(write_legend(atlas))

    def show_objects(self, survey: ObjectSurvey) -> Rows:
        """Show objects, the least certain first; gives their rows in the survey."""
        rows = rank_objects(survey, "confidence")
        columns: dict[str, Any] = {
            "label": survey.labels[rows],
            "frame": survey.frames[rows],
            "confidence": survey.confidences[rows].round(4),
            "area": survey.areas[rows],
            "touches_border": survey.touches_border[rows],
        }
        if not survey.frames.any():
            del columns["frame"]
        self.right.setVisible(True)
        self.errors.show_table(columns)
        self.legend.setText("No truth: the least certain objects come first.")
        return rows

    def _copy(self) -> None:
        count = self.scores.copy()
        self._say(f"{count:,} scores copied.")

    def _ask(self) -> None:
        kept = recall(MEMORY)
        proposed = str(Path(str(kept.get("folder", ""))) / "scores.csv")
        path = self.ask(proposed)
        if not path:
            return
        target = Path(path)
        if target.suffix.lower() not in ENDINGS:
            target = target.with_name(target.name + ENDINGS[0])
        remember(MEMORY, {"folder": str(target.parent)})
        self._on_save(target)

    def _ask_in_dialog(self, proposed: str) -> str:
        path, _ = QFileDialog.getSaveFileName(self, "Save the scores", proposed, FILTERS)
        return path


def _place_of_column(name: str) -> int:
    known = name in ERROR_COLUMNS
    return ERROR_COLUMNS.index(name) if known else len(ERROR_COLUMNS)


def write_legend(atlas: Atlas) -> str:
    """Colours, kinds and counts in a line of rich text."""
    parts = [
        f'<span style="color:{COLOURS[kind]}">■</span>&nbsp;{kind}&nbsp;{count:,}'
        for kind, count in atlas.counts.items()
    ]
    return " &nbsp; ".join([f"right&nbsp;{atlas.right:,}", *parts])
