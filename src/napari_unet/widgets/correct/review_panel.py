"""What to look at next: a list of objects, stepped through by keys, and what was accepted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_unet.correction.window import object_window
from napari_unet.errors import UNetError
from napari_unet.evaluation.object_survey import ObjectSurvey
from napari_unet.evaluation.review_order import rank_objects
from napari_unet.widgets.annotation.marks import (
    Marks,
    describe_done,
    marks_for,
    marks_of,
    set_marks,
    toggle_done,
)
from napari_unet.widgets.correct.adoption import begin_correction
from napari_unet.widgets.correct.hand_over import hand_to_train
from napari_unet.widgets.correct.hover_panel import size_text
from napari_unet.widgets.correct.journal import entries_of
from napari_unet.widgets.correct.keys import KeyWatch, key_of, register_key
from napari_unet.widgets.correct.review_actions import ACTIONS, ORDER_NAMES, review_command
from napari_unet.widgets.correct.review_survey import Looked, look_through, read_scores_at
from napari_unet.widgets.correct.seen_outline import SeenOutline
from napari_unet.widgets.correct.session import CorrectionSession
from napari_unet.widgets.qt.job import JobRunner, Outcome
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.viewer.objects import go_to_object
from napari_unet.widgets.viewer.placement import lift

COLUMNS = 2
SURVEY_DELAY_MS = 400  # after the last change


class ReviewPanel:
    """Objects in the order in which they are to be looked at.

    Parameters
    ----------
    session : CorrectionSession
        Whose layer they are of.
    """

    def __init__(self, session: CorrectionSession) -> None:
        self._session = session
        self._survey: ObjectSurvey | None = None
        self._rows: NDArray[np.intp] = np.zeros(0, np.intp)
        self._accepted: set[tuple[int, int]] = set()
        self._corrected: set[int] = set()
        self._began: str | None = None  # the objects that the labels of the layer began with
        self.current: tuple[int, int] | None = None  # time point and label
        self._place = -1  # in the rows
        self._runner = JobRunner(lambda _: None, self._surveyed)
        self.native = QWidget()
        self._timer = QTimer(self.native)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SURVEY_DELAY_MS)
        self._timer.timeout.connect(self._start)
        self.order = QComboBox()
        self.order.addItems(list(ORDER_NAMES))
        self.order.setToolTip("Which objects come first; what is most likely wrong should.")
        self.line, self.seen = QLabel(), QLabel()
        for label in (self.line, self.seen):
            label.setWordWrap(True)
        column = QVBoxLayout(self.native)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(QLabel("Look at next"))
        column.addWidget(self.order)
        grid = QGridLayout()
        grid.setSpacing(4)
        column.addLayout(grid)
        self.buttons: dict[str, QPushButton] = {}
        for number, (name, (title, key, tip)) in enumerate(ACTIONS.items()):
            register_key(name, key, tip, review_command(name))
            button = QPushButton(title)
            button.clicked.connect(lambda _=False, name=name: self.act(name))
            grid.addWidget(button, *divmod(number, COLUMNS))
            self.buttons[name] = button
        column.addWidget(self.line)
        column.addWidget(self.seen)
        self.outline = SeenOutline(session.viewer)
        column.addWidget(self.outline.box)
        self.train = QPushButton("Train on what was looked at")
        self.train.setToolTip(
            "Open ‘Train’ with these labels. What you accepted or corrected counts with its "
            "surroundings, and planes that are done count whole; the rest is unknown."
        )
        self.train.clicked.connect(lambda _=False: self._hand_over())
        column.addWidget(self.train)
        self.order.currentIndexChanged.connect(lambda _: self._arrange())
        self._keys = KeyWatch(self._show_keys)
        session.key_pressed.connect(self._key_pressed)
        session.target_changed.connect(self._target_changed)
        session.corrected.connect(self._corrected_step)
        self._layer: Labels | None = None
        self._show_keys()
        self._target_changed()

    @property
    def working(self) -> bool:
        """Whether a newer list is to come."""
        return self._runner.running or self._timer.isActive()

    @property
    def left(self) -> list[tuple[int, int]]:
        """Time point and label of the objects in the list that nobody has looked at."""
        return [key for key in self._listed() if not self._is_seen(key)]

    def close(self) -> None:
        """Stop listening; no widget is touched."""
        self._timer.stop()
        self._runner.drop()
        self._keys.close()
        self.outline.close()
        self._session.key_pressed.disconnect(self._key_pressed)
        self._session.target_changed.disconnect(self._target_changed)
        self._session.corrected.disconnect(self._corrected_step)
        self._watch(None)

    def act(self, name: str) -> None:
        """Do what a button or key says."""
        if self._session.target is None:
            self._session.tell(self._session.problem, fault=True)
        elif name == "done":
            self._mark_plane()
        elif self._survey is None:
            self._session.tell("The objects are still being looked through.")
        elif name == "accept":
            self._accept()
        else:
            self._step(1 if name == "next" else -1)

    # the list

    def _keys_of_all(self) -> list[tuple[int, int]]:
        if self._survey is None:
            return []
        return list(zip(self._survey.frames.tolist(), self._survey.labels.tolist(), strict=True))

    def _listed(self) -> list[tuple[int, int]]:
        if self._survey is None:
            return []
        survey = self._survey
        frames, labels = survey.frames[self._rows], survey.labels[self._rows]
        return list(zip(frames.tolist(), labels.tolist(), strict=True))

    def _is_seen(self, key: tuple[int, int]) -> bool:
        return key in self._accepted or key[1] in self._corrected

    def _step(self, by: int) -> None:
        listed = self._listed()
        at = self._place + by
        while 0 <= at < len(listed) and by > 0 and self._is_seen(listed[at]):
            at += by
        if not 0 <= at < len(listed):
            if self.left and by > 0 and self._place >= 0:
                self._place = -1  # once more from the start
                self._step(1)
                return
            self._session.tell("Nothing is left in this list." if by > 0 else "This is the first.")
            return
        self._place, self.current = at, listed[at]
        self._show(int(self._rows[at]))

    def _show(self, row: int) -> None:
        target, survey = self._session.target, self._survey
        if target is None or survey is None:
            return
        point = dict(zip([a for a in target.axes if a in "ZYX"], survey.points[row], strict=True))
        size = dict(zip(point, survey.stops[row] - survey.starts[row], strict=True))
        time = int(survey.frames[row])
        place = [float(point.get(a, time if a == "T" else 0)) for a in target.axes]
        go_to_object(
            self._session.viewer, target.layer, place, [float(size.get(a, 1)) for a in target.axes]
        )
        self._tell_current(row)

    def _tell_current(self, row: int) -> None:
        target, survey = self._session.target, self._survey
        assert target is not None
        assert survey is not None
        text = size_text(int(survey.areas[row]), target.spacing, survey.points.shape[1])
        self._session.tell(f"Object {int(survey.labels[row])}, {text}.")
        self._show_counts()

    def _accept(self) -> None:
        target = self._session.target
        assert target is not None
        key = self.current
        if key is None:
            self._session.tell("Go to an object first, with ‘Next’.", fault=True)
            return
        time, label = key
        marks = begin_correction(self._session.viewer, target)
        if marks is None:
            self._session.tell(f"‘{target.layer.name}’ has no axes to go by.", fault=True)
            return
        depth = target.frame_depth
        frame = tuple(time if axis == "T" else 0 for axis in target.axes[:depth])
        try:
            near = target.index.box(label) if target.index is not None else None
            window = object_window(target.labels, label, near=near, frame=frame)
        except UNetError:
            self._session.tell(f"Object {label} is not there any more.", fault=True)
            self._changed()
            return
        mask = (np.asarray(target.labels[window]) == label).reshape(
            [part.stop - part.start for part in window[depth:]]
        )
        starts, shape = [part.start for part in window[depth:]], target.labels.shape[depth:]
        review = marks.review.accept_mask(time, label, mask, starts, shape)
        self._accepted.add(key)
        self._set_review(replace(marks, review=review))
        self._show_counts()
        self._step(1)

    def _mark_plane(self) -> None:
        """Call the plane that is shown done, or take that back."""
        target, session = self._session.target, self._session
        assert target is not None
        begin_correction(session.viewer, target)
        try:
            now = toggle_done(session.viewer, target.layer)
        except UNetError as error:
            session.tell(worded(error), fault=True)
            return
        session.tell("This plane is done." if now else "This plane is not done any more.")

    def _hand_over(self) -> None:
        target, session = self._session.target, self._session
        if target is None:
            return
        try:
            hand_to_train(session.viewer, target)
        except UNetError as error:
            session.tell(worded(error), fault=True)

    def _set_review(self, marks: Marks) -> None:
        """Give the layer marks, which tell from now on how its objects were."""
        target = self._session.target
        assert target is not None
        if self._began is not None and marks.predicted is None and marks.review.began is None:
            if marks.corrected is not None:
                marks = replace(marks, predicted=self._began)
            else:
                marks = replace(marks, review=replace(marks.review, began=self._began))
        known = marks_of(target.layer)
        if known is None or marks != known or marks.predicted != known.predicted:
            set_marks(target.layer, marks)

    def _corrected_step(self, step: Any) -> None:
        """Keep where objects were deleted, and how all were before the first correction."""
        target = self._session.target
        marks = None if target is None else marks_of(target.layer)
        if target is None or marks is None or step.target is not target:
            return
        review, change = marks.review, step.change
        space = [i for i, axis in enumerate(target.axes) if axis in "ZYX"]
        time = change.window[target.axes.index("T")].start if "T" in target.axes else 0
        for label in change.old_ids:
            mask = (change.old == label) & (change.new == 0)
            if label > 0 and mask.any() and not (change.new == label).any():
                pixels = mask.reshape([mask.shape[i] for i in space])
                review = review.clear(time, [change.window[i].start for i in space], pixels)
        self._set_review(replace(marks, review=review))

    # the survey

    def _target_changed(self) -> None:
        target = self._session.target
        self._survey, self._rows = None, np.zeros(0, np.intp)
        self.current, self._place = None, -1
        self._began = None
        self._runner.drop()  # it looks at another layer
        self._watch(None if target is None else target.layer)
        self._changed()

    def _watch(self, layer: Labels | None) -> None:
        if self._layer is not None:
            self._layer.events.set_data.disconnect(self._changed)
            self._layer.events.paint.disconnect(self._changed)
            self._layer.events.metadata.disconnect(self._show_counts)
        self._layer = layer
        if layer is not None:
            layer.events.set_data.connect(self._changed)  # undo, redo, and the sliders
            layer.events.paint.connect(self._changed)
            layer.events.metadata.connect(self._show_counts)

    def _changed(self, _: Any = None) -> None:
        target = self._session.target
        for button in (*self.buttons.values(), self.train):
            button.setEnabled(target is not None)
        if target is None:
            self._runner.drop()
            self._show_counts()
        else:
            self._timer.start()

    def _start(self) -> None:
        target = self._session.target
        if target is None:
            return
        if self._runner.running:
            self._timer.start()
            return
        layer, marks = target.layer, marks_for(target.layer)
        labels, axes = lift(target.labels, target.axes)
        scores = partial(read_scores_at, layer, target.axes)
        began = marks.predicted or marks.review.began or self._began
        steps = list(reversed(layer._undo_history))
        shape = tuple(target.labels.shape)
        self._runner.start(
            lambda: look_through(labels, axes, marks, scores, began, steps, shape), ""
        )

    def _surveyed(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.line.setText(worded(outcome.error))
        target, found = self._session.target, outcome.result
        if not isinstance(found, Looked) or target is None:
            return
        if self._timer.isActive() and self._survey is not None:
            return  # the labels have changed meanwhile: a newer list is to come
        self._survey = found.survey
        self._accepted, self._corrected = found.accepted, found.corrected
        if self._began is None and not self._timer.isActive():
            self._began = found.began
            marks = marks_of(target.layer)
            if marks is not None and (marks.review or entries_of(target.layer)):
                self._set_review(marks)
        self._arrange(keep=True)

    def _arrange(self, *, keep: bool = False) -> None:
        if self._survey is None:
            return
        try:
            self._rows = rank_objects(self._survey, ORDER_NAMES[self.order.currentText()])
        except UNetError as error:
            self._rows = np.zeros(0, np.intp)
            self._session.tell(worded(error), fault=True)
        listed = self._listed()
        if not keep:
            self.current, self._place = None, -1
        elif self.current in listed:
            self._place = listed.index(self.current)
        else:  # it was deleted or changed: the next one stands at its place now
            self.current, self._place = None, min(self._place, len(listed)) - 1
        self._place = max(self._place, -1)
        self._show_counts()

    def _show_counts(self, _: Any = None) -> None:
        target = self._session.target
        seen = [key for key in self._keys_of_all() if self._is_seen(key)]
        self.outline.show(target, self._survey, self.current, seen)
        if target is None or self._survey is None:
            self.line.setText("" if target is None else "Looking through the objects …")
            self.seen.setText("")
            return
        self.line.setText(f"{len(self.left):,} of {len(self._rows):,} left in this list.")
        here = set(self._keys_of_all())
        accepted = len(self._accepted & here)
        corrected = len({label for _, label in here} & self._corrected)
        done = describe_done(target.layer, marks_for(target.layer))
        done = done if done.startswith("done:") else f"the plane is {done}"
        self.seen.setText(
            f"Accepted {accepted:,}, corrected {corrected:,} of {len(here):,} objects; {done}."
        )

    def _key_pressed(self, name: str) -> None:
        if name in ACTIONS:
            self.act(name)

    def _show_keys(self) -> None:
        for name, (title, _, tip) in ACTIONS.items():
            key = key_of(name)
            self.buttons[name].setText(f"{title} ({key})" if key else title)
            self.buttons[name].setToolTip(tip)
