"""The tables of bases and of what they keep, from docs/results/bases.json."""

from __future__ import annotations

from collections.abc import Sequence

from napari_unet.training.start import LEAST_AP
from training_study.bases import BASES, SETS, ZOOMED
from training_study.figures import Entry, markdown, pick, scores, spread


def base_table(entries: Sequence[Entry]) -> str:
    """What a base finds as it is, what it learns, what a new network learns; by split."""
    rows = []
    for name in SETS:
        for base in BASES:
            for seed in sorted({e["seed"] for e in pick(entries, "bases", data=name, start=base)}):
                made = [e for e in entries if e["seed"] == seed]
                asked = pick(made, "bases", data=name, start=f"{base}, asked")
                cells = [spread(scores(asked)), spread(scores(asked, "AP 0.5, diameter"))]
                cells += [
                    spread(scores(pick(made, "bases", data=name, start=start)))
                    for start in (base, "scratch")
                ]
                found = [*scores(asked), *scores(asked, "AP 0.5, diameter")]
                rule = "" if not found else "base" if max(found) >= LEAST_AP else "new network"
                rows.append([f"{base} to {name}", str(seed), *cells, rule])
    head = ["from, to", "split", "as it is", "diameter given", "fine-tuned", "from scratch", "rule"]
    return markdown(head, rows)


def zoom_table(entries: Sequence[Entry]) -> str:
    """Fine-tuned at the size of the images, and at that of the base."""
    first = [e for e in entries if e["seed"] == 0]
    rows = []
    for name in ZOOMED:
        for start in (*BASES, "scratch"):
            zoomed = pick(first, "bases", data=name, start=f"{start}, zoomed")
            if zoomed:
                plain = pick(first, "bases", data=name, start=start)
                factor = f"{zoomed[0]['details']['factor']:.2f}"
                rows.append(
                    [f"{start}: {name}", factor, spread(scores(plain)), spread(scores(zoomed))]
                )
    return markdown(["start: images", "zoom", "as they are", "zoomed"], rows)


def keeping_table(entries: Sequence[Entry]) -> str:
    """What was learned and what was forgotten."""
    rows = []
    for how in sorted({e["condition"]["how"] for e in pick(entries, "keeping")}):
        made = pick(entries, "keeping", how=how)
        rows.append(
            [how, spread(scores(made, "AP 0.5, learned"), 3), spread(scores(made, "AP 0.5"), 3)]
        )
    return markdown(["nuclei", "histology, which it learns", "fluorescence"], rows)


TABLES = {"bases": base_table, "diameter": zoom_table, "keeping": keeping_table}
