"""The tables of what the choices in the recipes are worth, from docs/results/ablation.json."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from training_study.ablation import AS_IT_IS, CHANGES, DECAYS, EXPERIMENT, FLIPS, RECIPES
from training_study.figures import MISSING, Entry, markdown, pick, scores, spread

COLUMNS = ("AP 0.5", "AP 0.5 to 0.9", "area")
HEAD = ["change", *COLUMNS, "time of a step"]


def ablation_table(entries: Sequence[Entry], recipe: str) -> str:
    """Scores of each change; what comes from one training as it is stands below it."""
    rows = []
    plain = pick(entries, EXPERIMENT, recipe=recipe, change=AS_IT_IS)
    for change in CHANGES:
        made = pick(entries, EXPERIMENT, recipe=recipe, change=change)
        rows.append([change, *(spread(scores(made, name), 3) for name in COLUMNS)])
        rows[-1].append(_relative_time(made, plain))
    further = {f"mean of {n} flipped images": f", {n} flips" for n in FLIPS}
    further |= {f"averaged weights, factor {decay}": f", averaged {decay}" for decay in DECAYS}
    for told, ending in further.items():
        cells = [spread(scores(plain, name + ending), 3) for name in COLUMNS]
        rows.append([told, *cells, "1"])
    return markdown(HEAD, rows)


def _relative_time(made: Sequence[Entry], plain: Sequence[Entry]) -> str:
    """Mean seconds of a step over those of the recipe as it is."""
    if not made or not plain:
        return MISSING
    ours, usual = (
        np.mean([e["details"]["seconds a step"] for e in each]) for each in (made, plain)
    )
    return f"{ours / usual:.1f}"


TABLES = {f"ablation of {recipe}": partial(ablation_table, recipe=recipe) for recipe in RECIPES}
