"""What came of a training: the new model beside its base, to be kept under a name or not."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from magicgui.widgets import Container, LineEdit, PushButton
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_unet.errors import ModelError
from napari_unet.network.files import model_files
from napari_unet.network.library import FORBIDDEN_CHARACTERS, MAX_NAME_CHARACTERS, check_new_name
from napari_unet.training.verdict import LOWER_IS_BETTER
from napari_unet.widgets.qt.form import Row, text_label
from napari_unet.widgets.qt.scrolling import ScrollingPart
from napari_unet.widgets.qt.wording import worded
from napari_unet.widgets.train.comparison import (
    TIP,
    TIP_ALONE,
    TIP_VALUES,
    SideBySide,
    draw_pictures,
)

if TYPE_CHECKING:
    from napari_unet.card import ModelCard
    from napari_unet.training.verdict import Verdict
    from napari_unet.widgets.train.job import Comparison

SHOWN_SCORES = 4  # scores that stand in the panel; the tooltip has all of them
NAME_TIP = "Under which name the new model stands in the lists of models, and in a file."
ABOUT_TIP = "A sentence that the model will say of itself, such as what it was trained for."


class VerdictPanel:
    """Says whether the new model is better, shows both, and lets the user keep it or not.

    Its ``native`` is to be put into a dock; it is hidden until `show`.

    Parameters
    ----------
    on_keep, on_discard : callable
        Called when the button is pressed; "Keep" can be pressed where the name is free.
    """

    def __init__(self, on_keep: Callable[[], None], on_discard: Callable[[], None]) -> None:
        self.sentence = text_label()
        self.table = text_label()
        self.table.native.setTextFormat(Qt.TextFormat.RichText)
        self.picture = SideBySide(QSize(280, 150))
        self._name = LineEdit()
        self._about = LineEdit()
        self._about.native.setPlaceholderText("what it is for")
        self.rows = {
            "name": Row(self._name, "Name", NAME_TIP),
            "description": Row(self._about, "Description", ABOUT_TIP),
        }
        self.keep = PushButton(text="Keep")
        self.discard = PushButton(text="Discard")
        buttons = Container(widgets=[self.keep, self.discard], layout="horizontal", labels=False)
        buttons.margins = (0, 0, 0, 0)
        self._buttons = buttons  # magicgui's part must live as long as Qt's
        self.native = QWidget()
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.sentence.native)
        layout.addWidget(self.table.native)
        layout.addWidget(self.picture, 1)
        fields = QFormLayout()
        fields.setVerticalSpacing(4)
        for row in self.rows.values():
            fields.addRow(row.label, row.native)
        layout.addLayout(fields)
        layout.addStretch(0)  # takes what is left where there is no picture
        # the buttons stay in sight
        around = QVBoxLayout(self.native)
        around.setContentsMargins(0, 0, 0, 0)
        around.setSpacing(4)
        around.addWidget(ScrollingPart(inside), 1)
        around.addWidget(buttons.native)
        self._name.changed.connect(lambda _: self._check())
        self.keep.changed.connect(lambda _: on_keep())
        self.discard.changed.connect(lambda _: on_discard())
        self.hide()

    @property
    def name(self) -> str:
        """The name that was given to the new model."""
        return str(self._name.value).strip()

    @name.setter
    def name(self, name: str) -> None:
        self._name.value = name

    @property
    def description(self) -> str:
        """What the new model is to say of itself."""
        return str(self._about.value).strip()

    @description.setter
    def description(self, text: str) -> None:
        self._about.value = text

    @property
    def fault(self) -> str:
        """Why the name cannot be had, in words; empty where it can."""
        try:
            check_new_name(self.name)
        except ModelError as error:
            return worded(error)
        return ""

    def show(
        self,
        card: ModelCard,
        verdict: Verdict,
        comparison: Comparison | None = None,
        *,
        image: str = "",
    ) -> None:
        """Let the user decide on a model that was just trained.

        Parameters
        ----------
        card : ModelCard
            Its card.
        verdict : Verdict
            What the held-out part says of it.
        comparison : Comparison, optional
            A part of an image with the labels of both models.
        image : str
            What it was trained on: the suggested name of a model without a base.
        """
        self.sentence.value = verdict.sentence
        # a base that is better is what the user must not miss
        warning = "font-weight: bold;" if verdict.better is False else ""
        self.sentence.native.setStyleSheet(warning)
        base = card.training.base if card.training is not None else None
        self.table.value = score_table(verdict, most=SHOWN_SCORES)
        self.table.native.setVisible(bool(verdict.rows))
        self.table.tooltip = score_table(verdict)
        self._show_pictures(comparison, verdict.base or base or "base")
        self.name = suggest_name(base or image or card.name)
        self.description = ""
        self.discard.tooltip = describe_loss(card)
        self._check()
        self.native.show()

    def hide(self) -> None:
        """There is nothing to decide."""
        self.native.hide()
        self.picture.show_pictures([])

    def _show_pictures(self, comparison: Comparison | None, base: str) -> None:
        if comparison is None or comparison.new is None:
            self.picture.show_pictures([])
            return
        names = f"{base} (base)", "new model"
        self.picture.show_pictures(
            draw_pictures(comparison.image, comparison.base, comparison.new, names)
        )
        tip = TIP_VALUES if comparison.new.dtype.kind == "f" else TIP
        self.picture.setToolTip(TIP_ALONE if comparison.base is None else tip)

    def _check(self) -> None:
        fault = self.fault
        self.rows["name"].show_message(fault=fault)
        self.keep.enabled = not fault
        self.keep.tooltip = fault or f"Keep the new model as ‘{self.name}’, for every dock."


def score_table(verdict: Verdict, most: int | None = None) -> str:
    """Scores of the new model and of its base as rich text, the better one in bold.

    Parameters
    ----------
    verdict : Verdict
        Of `napari_unet.training.verdict.compare_with_base`.
    most : int, optional
        How many scores; None: all.

    Examples
    --------
    >>> from napari_unet.training.verdict import Verdict
    >>> found = score_table(Verdict(True, "", (("Dice", 0.9, 0.8),), "nuclei", 2))
    >>> "<b>0.900</b>" in found, "held-out part, 2 images" in found
    (True, True)
    """
    if not verdict.rows:
        return ""
    images = "1 image" if verdict.images == 1 else f"{verdict.images} images"
    heads = ["new"] if verdict.base is None else ["new", verdict.base]
    cells = [[f"held-out part, {images}", *map(html.escape, heads)]]
    for words, new, base in verdict.rows[:most]:
        figures = [_figure(new), _figure(base)]
        if figures[0] != figures[1] and new is not None and base is not None:
            better = int((new > base) == (words in LOWER_IS_BETTER))
            figures[better] = f"<b>{figures[better]}</b>"
        cells.append([html.escape(words), *figures[: len(heads)]])
    rows = (
        f"<td>{first}&nbsp;</td>" + "".join(f'<td align="right">&nbsp;{x}</td>' for x in others)
        for first, *others in cells
    )
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def suggest_name(stem: str) -> str:
    """A name that no model has: the given one, or with the next number.

    Parameters
    ----------
    stem : str
        The name of an image or of a base model.

    Examples
    --------
    >>> suggest_name("nuclei"), suggest_name("cells: day 3/well A.ome.tif")
    ('nuclei-2', 'cells- day 3-well A')
    """
    stem = re.sub(r"(\.(ome|tiff?|zarr|png|czi|nd2|lif|safetensors))+$", "", stem, flags=re.I)
    stem = "".join("-" if c in FORBIDDEN_CHARACTERS or not c.isprintable() else c for c in stem)
    stem = stem[: MAX_NAME_CHARACTERS - 10].strip(" .") or "model"
    known = {name.casefold() for name in model_files()}
    counted = re.fullmatch(r"(.+?)-(\d{1,6})", stem)
    first, number = (counted[1], int(counted[2])) if counted else (stem, 1)
    name = stem
    while name.casefold() in known:
        number += 1
        name = f"{first}-{number}"
    return name


def describe_loss(card: ModelCard) -> str:
    """What discarding a model loses, and what it does not.

    >>> from napari_unet.network.files import list_models
    >>> describe_loss(list_models()[0].model_copy(update={"training": None}))
    'Discard the new model. Its base and the labels stay as they are.'
    """
    training = card.training
    if training is None:
        return "Discard the new model. Its base and the labels stay as they are."
    minutes = training.seconds / 60
    spent = f"{minutes:.0f} min" if minutes >= 1 else f"{training.seconds:.0f} s"
    return (
        f"Discard the new model: {training.steps} steps of training, {spent}, are lost. "
        "The labels stay as they are."
    )
