"""The models to choose from, and what the chosen one says of itself."""

from __future__ import annotations

import html
from collections.abc import Callable

from magicgui.widgets import ComboBox
from qtpy.QtCore import Qt

from napari_unet.card import ModelCard
from napari_unet.model_file import list_models
from napari_unet.widgets._form import Row, narrow, text_label

TASKS = {
    "instance": "separate objects",
    "semantic": "classes of pixels",
    "regression": "values of pixels",
}


class ModelPicker:
    """A list of models, and what the card of the chosen one says.

    Its ``row`` and, under it, the row ``about`` are to be put into a form.

    Parameters
    ----------
    on_change : callable
        Called when another model is chosen.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._cards: dict[str, ModelCard] = {}
        self._combo = narrow(ComboBox(choices=self._names))
        self.row = Row(
            self._combo,
            "Model",
            "The network that segments. Models you train appear here too.",
        )
        self._about = text_label()
        self._about.native.setTextFormat(Qt.TextFormat.RichText)
        self.about = Row(self._about, "", "What the model says of itself.")
        self._combo.changed.connect(lambda _: self._changed(on_change))
        self._tell()

    @property
    def card(self) -> ModelCard | None:
        """Card of the chosen model; None where there is no model at all."""
        return self._cards.get(self._combo.value) if self._combo.value else None

    def choose(self, name: object) -> None:
        """Choose a model where there is one of that name."""
        if name in self._combo.choices:
            self._combo.value = name

    def _names(self, _: object = None) -> list[str]:
        self._cards = {card.name: card for card in list_models()}
        return list(self._cards)

    def _changed(self, on_change: Callable[[], None]) -> None:
        self._tell()
        on_change()

    def _tell(self) -> None:
        self._about.value = "" if self.card is None else describe(self.card)
        self.about.show(visible=self.card is not None)


def describe(card: ModelCard) -> str:
    """A card in a few lines of rich text: thumbnail, sentence, kind and scores.

    Examples
    --------
    >>> from napari_unet.model_file import list_models
    >>> "separate objects" in describe(list_models()[0])
    True
    """
    channels = len(card.channels)
    kind = (
        f"{card.architecture.ndim}D, {TASKS[card.task]}, "
        f"{channels} channel{'s' * (channels > 1)} ({', '.join(card.channels)})"
    )
    lines = [html.escape(card.description)] if card.description else []
    lines.append(f"<small>{html.escape(kind)}</small>")
    for score in card.scores[:1]:
        name, value = next(iter(score.values.items()), ("images", score.images))
        source = score.data.split(",", 1)[0]
        text = f"{name}: {value:.2f} ({score.images} images, {source})"
        lines.append(f"<small>{html.escape(text)}</small>")
    text = "<br>".join(lines)
    if card.thumbnail is None:
        return text
    # the card's own field: base64 of a PNG, which cannot close the quotation
    picture = f'<img src="data:image/png;base64,{html.escape(card.thumbnail)}" width="72">'
    return f"<table><tr><td>{picture}&nbsp;</td><td>{text}</td></tr></table>"
