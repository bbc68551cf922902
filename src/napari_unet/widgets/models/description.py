"""What a card says of its model, as text for a form and its tooltip."""

from __future__ import annotations

import html

from napari_unet.card import ModelCard, ScoreRecord

TASKS = {
    "instance": "separate objects",
    "semantic": "classes of pixels",
    "regression": "values of pixels",
}
SHOWN_SCORES = 3  # scores that stand in the form; the tooltip has all of them


def describe(card: ModelCard) -> str:
    """A card in a few lines of rich text: thumbnail, sentence, kind and scores.

    Examples
    --------
    >>> from napari_unet.network.files import list_models
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
    for score in [each for each in card.scores if each.values][:1]:
        lines += [f"<small>{html.escape(line)}</small>" for line in score_lines(score)]
    text = "<br>".join(lines)
    if card.thumbnail is None:
        return text
    # the card's own field: base64 of a PNG, which cannot close the quotation
    picture = f'<img src="data:image/png;base64,{html.escape(card.thumbnail)}" width="72">'
    return f"<table><tr><td>{picture}&nbsp;</td><td>{text}</td></tr></table>"


def score_lines(score: ScoreRecord) -> list[str]:
    """The first values of a score, and on which data they were measured.

    What stands after the comma in a name, the same in all of them, is said once.

    Examples
    --------
    >>> values = {"AP at IoU 0.5, mean over images": 0.861, "F1, mean over images": 0.9}
    >>> score_lines(ScoreRecord(data="BBBC038 (CC0), stage 1", images=75, values=values))
    ['AP at IoU 0.5: 0.86 · F1: 0.90', 'mean over images (75 images, BBBC038 (CC0))']
    """
    source = f"{score.images} image{'s' * (score.images > 1)}, {score.data.split(',', 1)[0]}"
    shown = list(score.values.items())[:SHOWN_SCORES]
    tails = {name.partition(", ")[2] for name, _ in shown}
    tail = tails.pop() if len(tails) == 1 else ""
    names = [name.partition(", ")[0] if tail else name for name, _ in shown]
    text = " · ".join(f"{name}: {value:.2f}" for name, (_, value) in zip(names, shown, strict=True))
    return [text, f"{tail} ({source})" if tail else source] if text else [source]


def card_details(card: ModelCard) -> list[str]:
    """What of a card is too long for the form, in lines.

    Examples
    --------
    >>> from napari_unet.network.files import list_models
    >>> "Licence: CC0-1.0" in card_details(list_models()[0])
    True
    """
    lines = [card.description] if card.description else []
    if card.object_diameter is not None:
        lines.append(f"Diameter of its objects: {card.object_diameter:.0f} px")
    for score in card.scores:
        lines.append(f"Measured on {score.images} images: {score.data}")
        lines += [f"– {name}: {value:.3f}" for name, value in score.values.items()]
    for name, text in (
        ("Licence", card.licence),
        ("Authors", ", ".join(card.authors)),
        ("Cite", card.citation),
    ):
        if text:
            lines.append(f"{name}: {text}")
    return lines
