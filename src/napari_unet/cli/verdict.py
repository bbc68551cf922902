"""What the held-out part says of a new model and of its base, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from napari_unet.card import ModelCard, ScoreRecord, Task

DIGITS = 3
LOWER_IS_BETTER = {"MAE"}
# the first of them that differs decides; there is no PSNR without any error
DECISIVE: dict[Task, tuple[str, ...]] = {
    "instance": ("AP at IoU 0.5", "AP at IoU 0.7", "AP at IoU 0.9"),
    "semantic": ("Dice",),
    "regression": ("PSNR", "MAE"),
}


def describe_scores(card: ModelCard) -> list[str]:
    """Lines that set the scores of a new model beside those of its base.

    The last one says in a sentence which of them is better.

    Parameters
    ----------
    card : ModelCard
        Of a model that was just trained: its ``scores`` are those of `napari_unet.train`.

    Returns
    -------
    list of str
        A table and a sentence.
    """
    own = next((record for record in card.scores if record.model is None), None)
    if own is None:
        return ["Nothing was held out, so that nothing tells how good the new model is."]
    base = next((record for record in card.scores if record.model is not None), None)
    images = "1 image" if own.images == 1 else f"{own.images} images"
    lines = _table(f"held-out part, {images}", card, [own] if base is None else [own, base])
    trained_from = card.training.base if card.training else None
    if base is not None:
        lines.append(_compare(card, own, base))
    elif trained_from is not None:
        lines.append(f"The base {trained_from} was not scored: its channels or classes are others.")
    return lines


def _table(title: str, card: ModelCard, records: Sequence[ScoreRecord]) -> list[str]:
    names = [_in_words(name, card) for name in records[0].values]
    width = max(len(text) for text in (title, *names))
    heads = [record.model or card.name for record in records]
    lines = [f"{title:<{width}}" + "".join(f"  {head:>7}" for head in heads)]
    for key, name in zip(records[0].values, names, strict=True):
        cells = [
            f"{record.values[key]:.{DIGITS}f}" if key in record.values else "-"
            for record in records
        ]
        row = "".join(
            f"  {cell:>{max(7, len(head))}}" for cell, head in zip(cells, heads, strict=True)
        )
        lines.append(f"{name:<{width}}{row}")
    return lines


def _compare(card: ModelCard, own: ScoreRecord, base: ScoreRecord) -> str:
    """Which of two is better, by the figures that decide for the task."""
    keys = [k for k in DECISIVE[card.task] if k in own.values and k in base.values]
    if not keys:
        return f"The new model and its base {base.model} have no score in common."
    pairs = {k: (round(own.values[k], DIGITS), round(base.values[k], DIGITS)) for k in keys}
    key = next((k for k, (new, old) in pairs.items() if new != old), keys[0])
    new, old = pairs[key]
    figures = f"{key} is {new:.{DIGITS}f}, that of {base.model} {old:.{DIGITS}f}"
    if new == old:
        return f"Neither is better on the held-out part: the new model's {figures}."
    if (new > old) != (key in LOWER_IS_BETTER):
        return f"The new model is better than its base on the held-out part: its {figures}."
    return (
        f"The base is better than the new model on the held-out part: the new model's {figures}. "
        f"Keep using {base.model} for such images, or train longer or on more examples."
    )


def _in_words(name: str, card: ModelCard) -> str:
    """A class's score by the name of the class."""
    hit = re.fullmatch(r"Dice of (\d+)", name)
    names = {c.value: c.name for c in card.classes}
    if hit is None or int(hit[1]) not in names:
        return name
    return f"Dice of {names[int(hit[1])]}"
