"""What a model was trained on, in plain lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_unet.card import ModelCard, ScoreRecord, TrainingRecord
from napari_unet.training.verdict import DIGITS

HASH_DIGITS = 8
KNOWN_NAMES = {"python": "Python", "torch": "PyTorch", "numpy": "NumPy", "scipy": "SciPy"}


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
    if record.base is None:
        return "Started from: scratch, a new network."
    short = f" ({record.base_sha256[:HASH_DIGITS]})" if record.base_sha256 else ""
    return f"Started from: {record.base}{short}."


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
