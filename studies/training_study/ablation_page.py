"""The tables of what the choices in the recipes are worth, from docs/results/ablation.json."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from training_study.ablation import AS_IT_IS, CHANGES, DECAYS, EXPERIMENT, FLIPS, RECIPES
from training_study.figures import Entry, markdown, pick, scores, spread

COLUMNS = ("AP 0.5", "AP 0.5 to 0.9", "area")
HEAD = ["change", *COLUMNS]


def ablation_table(entries: Sequence[Entry], recipe: str) -> str:
    """Scores of each change; what comes from one training as it is stands below it."""
    rows = []
    plain = pick(entries, EXPERIMENT, recipe=recipe, change=AS_IT_IS)
    for change in CHANGES:
        made = pick(entries, EXPERIMENT, recipe=recipe, change=change)
        rows.append([change, *(spread(scores(made, name), 3) for name in COLUMNS)])
    further = {f"mean of {n} flipped images": f", {n} flips" for n in FLIPS}
    further |= {f"averaged weights, factor {decay}": f", averaged {decay}" for decay in DECAYS}
    for told, ending in further.items():
        cells = [spread(scores(plain, name + ending), 3) for name in COLUMNS]
        rows.append([told, *cells])
    return markdown(HEAD, rows)


TABLES = {f"ablation of {recipe}": partial(ablation_table, recipe=recipe) for recipe in RECIPES}
