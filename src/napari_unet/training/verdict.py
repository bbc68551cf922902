"""What the held-out part says of a new model and of its base, in words and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_unet.card import ModelCard, ScoreRecord, Task, TrainingRecord

HASH_DIGITS = 8
KNOWN_NAMES = {"python": "Python", "torch": "PyTorch", "numpy": "NumPy", "scipy": "SciPy"}


DIGITS = 3
LOWER_IS_BETTER = {"MAE"}
# the first of them that differs decides; there is no PSNR without any error
DECISIVE: dict[Task, tuple[str, ...]] = {
    "instance": ("AP at IoU 0.5", "AP at IoU 0.7", "AP at IoU 0.9"),
    "semantic": ("Dice",),
    "regression": ("PSNR", "MAE"),
}
# with fewer of them held out, the scores say little
FEW_HELD_OUT = {"object": 20, "pixel": 5000}


def describe_training(card: ModelCard) -> list[str]:
    """What is recorded of how a model came about.

    Parameters
    ----------
    card : ModelCard
        Of any model.

    Returns
    -------
    list of str
        Lines to be shown: what it started from and learned from, for how long, with which
        settings and versions, and how well it scored.
    """
    record = card.training
    if record is None:
        lines = ["How this model was trained is not recorded."]
    else:
        lines = _describe_record(record, card)
    lines += [_describe_scores(record) for record in card.scores]
    if card.licence:
        lines.append(f"Licence: {card.licence}.")
    if card.authors:
        lines.append(f"Authors: {', '.join(card.authors)}.")
    if card.citation:
        lines.append(f"Please cite: {card.citation}.")
    return lines


def _describe_record(record: TrainingRecord, card: ModelCard) -> list[str]:
    examples = _count(record.examples, "example")
    pixels = _count(record.labelled_pixels, "labelled pixel")
    length = f"{_count(record.steps, 'step')} in {_in_words(record.seconds)}"
    lines = [
        _describe_start(record),
        f"Learned from: {examples}, {pixels} (data {record.data_sha256[:HASH_DIGITS]}).",
        f"Training: {length}, seed {record.seed}.",
    ]
    if card.classes and card.task == "semantic":
        named = ", ".join(f"{c.name} ({c.value})" for c in card.classes)
        lines.append(f"Classes: {named}.")
    settings = _describe_settings(record.config)
    if settings:
        lines.append(f"Settings: {settings}.")
    if record.versions:
        named = ", ".join(f"{KNOWN_NAMES.get(k, k)} {v}" for k, v in record.versions.items())
        lines.append(f"Made with: {named}.")
    return lines


def _describe_start(record: TrainingRecord) -> str:
    why = f" {record.start}" if record.start else ""
    if record.base is None:
        return f"Started from: scratch, a new network.{why}"
    short = f" ({record.base_sha256[:HASH_DIGITS]})" if record.base_sha256 else ""
    return f"Started from: {record.base}{short}.{why}"


def _describe_settings(config: Mapping[str, Any]) -> str:
    """Those settings that say most of a training."""
    shown = []
    if config.get("patch"):
        shown.append(f"patches of {' × '.join(str(n) for n in config['patch'])}")
    if config.get("batch_size"):
        shown.append(f"batches of {config['batch_size']}")
    if config.get("learning_rate"):
        shown.append(f"learning rate {config['learning_rate']:g}")
    if config.get("augmentation"):
        shown.append(f"augmentation {config['augmentation']}")
    return ", ".join(shown)


def _describe_scores(record: ScoreRecord) -> str:
    whose = "" if record.model is None else f" of {record.model}"
    if not record.values:
        return f"No scores{whose}: nothing that somebody had looked at was held out."
    values = "; ".join(f"{name} {value:.{DIGITS}f}" for name, value in record.values.items())
    return f"Scores{whose} on {record.data} ({_count(record.images, 'image')}): {values}."


def _count(number: int, thing: str) -> str:
    """A number of things.

    >>> _count(1, "step"), _count(12034, "step")
    ('1 step', '12,034 steps')
    """
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _in_words(seconds: float) -> str:
    """A time, as far as it matters.

    >>> _in_words(12.3), _in_words(150), _in_words(4000)
    ('12 s', '2.5 min', '66.7 min')
    """
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


Row = tuple[str, float | None, float | None]


@dataclass(frozen=True)
class Verdict:
    """A new model beside its base, on the held-out part.

    Attributes
    ----------
    better : bool or None
        Whether the new model is better; None: they are equal, or there is nothing to compare.
    sentence : str
        One sentence, or two, to be shown.
    rows : tuple of (str, float or None, float or None)
        Score in words, that of the new model, that of the base; None where it is not known.
    base : str or None
        Name of the base, where it was scored.
    images : int
        How many images, or pieces of them, were held out; 0: none.
    few : str
        What was held out, such as "only 3 objects", where that is little; else empty.
    """

    better: bool | None
    sentence: str
    rows: tuple[Row, ...]
    base: str | None
    images: int
    few: str = ""


def compare_with_base(card: ModelCard) -> Verdict:
    """Set the scores of a new model beside those of its base.

    Parameters
    ----------
    card : ModelCard
        Of a model that was just trained: its ``scores`` are those of `napari_unet.train`.

    Returns
    -------
    Verdict
        In words and figures.
    """
    own = next((record for record in card.scores if record.model is None), None)
    if own is None:
        said = "Nothing was held out, so that nothing tells how good the new model is."
        return Verdict(None, said, (), None, 0)
    if not own.values:
        said = (
            "Nothing that was corrected or marked as done was held out, so that nothing tells how "
            "good the new model is."
        )
        return Verdict(None, said, (), None, 0)
    base = next((record for record in card.scores if record.model is not None), None)
    rows = tuple(
        (_score_name(key, card), value, None if base is None else base.values.get(key))
        for key, value in own.values.items()
    )
    few = _few(own)
    if base is not None:
        held_out = f"the held-out part of {few}" if few else "the held-out part"
        better, said = _judge(card, own, base, held_out)
        return Verdict(better, said, rows, base.model, own.images, few)
    trained_from = card.training.base if card.training else None
    if trained_from is None:
        said = "The new model has no base to be compared with."
    else:
        said = f"The base {trained_from} was not scored: its channels or classes are others."
    said = " ".join(filter(None, (said, _scored_on(few))))
    return Verdict(None, said, rows, None, own.images, few)


def describe_scores(card: ModelCard) -> list[str]:
    """Lines that set the scores of a new model beside those of its base.

    The last one says in a sentence which of them is better, where there is a base.

    Parameters
    ----------
    card : ModelCard
        As in `compare_with_base`.

    Returns
    -------
    list of str
        A table and a sentence.
    """
    verdict = compare_with_base(card)
    if not verdict.images:
        return [verdict.sentence]
    lines = _table(card.name, verdict)
    if verdict.base or (card.training is not None and card.training.base is not None):
        lines.append(verdict.sentence)
    elif verdict.few:
        lines.append(_scored_on(verdict.few))
    return lines


def _table(name: str, verdict: Verdict) -> list[str]:
    images = "1 image" if verdict.images == 1 else f"{verdict.images} images"
    title = f"held-out part, {images}"
    width = max(len(text) for text in (title, *(words for words, *_ in verdict.rows)))
    heads = [name] if verdict.base is None else [name, verdict.base]
    lines = [f"{title:<{width}}" + "".join(f"  {head:>7}" for head in heads)]
    for words, *values in verdict.rows:
        cells = ["-" if value is None else f"{value:.{DIGITS}f}" for value in values]
        row = "".join(
            f"  {cell:>{max(7, len(head))}}" for cell, head in zip(cells, heads, strict=False)
        )
        lines.append(f"{words:<{width}}{row}")
    return lines


def _judge(
    card: ModelCard, own: ScoreRecord, base: ScoreRecord, held_out: str
) -> tuple[bool | None, str]:
    """Whether the new model is better, by the figures that decide for the task, and in words."""
    keys = [k for k in DECISIVE[card.task] if k in own.values and k in base.values]
    if not keys:
        return None, f"The new model and its base {base.model} have no score in common."
    key, new, old = _deciding(keys, own, base)
    figures = f"{key} is {new:.{DIGITS}f}, that of {base.model} {old:.{DIGITS}f}"
    if new == old:
        return None, f"Neither is better on {held_out}: the new model's {figures}."
    if (new > old) != (key in LOWER_IS_BETTER):
        came_from = card.training is not None and card.training.base is not None
        other = "its base" if came_from else base.model
        return True, f"The new model is better than {other} on {held_out}: its {figures}."
    return False, (
        f"The base is better than the new model on {held_out}: the new model's {figures}. "
        f"Keep using {base.model} for such images, or train longer or on more examples."
    )


def describe_held_out(count: int, thing: str) -> str:
    """What the scores of a training were measured on, for its card.

    >>> describe_held_out(3, "object")
    'the held-out part of the training data (3 objects)'
    """
    return f"the held-out part of the training data ({count} {thing}{'s' * (count != 1)})"


def _few(record: ScoreRecord) -> str:
    """What the scores were measured on, where that is little and the card says so."""
    if record.count is None or record.unit is None or record.count >= FEW_HELD_OUT[record.unit]:
        return ""
    return f"only {record.count} {record.unit}{'s' * (record.count != 1)}"


def _scored_on(few: str) -> str:
    return few and f"The new model was scored on {few}."


def _deciding(keys: Sequence[str], own: ScoreRecord, base: ScoreRecord) -> tuple[str, float, float]:
    """The first score that differs, as shown, with both figures; else the first of all."""
    pairs = {k: (round(own.values[k], DIGITS), round(base.values[k], DIGITS)) for k in keys}
    key = next((k for k, (new, old) in pairs.items() if new != old), keys[0])
    return key, *pairs[key]


def _score_name(name: str, card: ModelCard) -> str:
    """A class's score by the name of the class."""
    names = {class_dice(c.value): class_dice(c.name) for c in card.classes}
    return names.get(name, name)


def class_dice(which: int | str) -> str:
    """The name of the score of one class, by its label value or its name."""
    return f"Dice of {which}"
