"""The tables of the pages, made from the entries of the results file and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from training_study.batches import RATES
from training_study.configuration import PROPOSAL
from training_study.figures import (
    MISSING,
    Entry,
    budgets,
    kind_of,
    markdown,
    of_steps,
    pick,
    ratio,
    scores,
    sizes,
    span,
    spread,
    threads,
    told_or_missing,
    usable,
    verdict,
)
from training_study.regression import FILTER_WEIGHTS, NETWORKS

DENSE, ALL_PLANES = 1.0, 0
SCRIBBLE_AIM, SPEED_AIM, FAST_AIM, EXTRA_AIM = 0.92, 1.0, 0.5, 0.08
START_AIM_S = 1.5
CLOCK = 0.02  # what the clock cannot tell apart


Table = Callable[[Sequence[Entry]], str]


def fill(page: Path, entries: Sequence[Entry], tables: Mapping[str, Table] | None = None) -> None:
    """Replace what stands between a page's markers, for the tables that it has."""
    text = page.read_text()
    for name, make in (tables or TABLES).items():
        first, last = f"<!-- table: {name} -->", f"<!-- end: {name} -->"
        if first in text:
            before, rest = text.split(first)
            text = before + first + "\n" + make(usable(entries)) + last + rest.split(last)[1]
    page.write_text(text)


def finetune_table(entries: Sequence[Entry]) -> str:
    """AP by number of labelled images."""
    places = ("histology", "phase contrast")
    rows = []
    for start, told in (("nuclei", "0"), ("nuclei, diameter given", "0, diameter given")):
        found = [pick(entries, "finetune", data=d, start=start, images=0) for d in places]
        rows.append([told, *(cell for f in found for cell in (spread(scores(f)), "–"))])
    for images in (1, 2, 4):
        cells = [
            spread(scores(pick(entries, "finetune", data=d, start=s, images=images)))
            for d in places
            for s in ("nuclei", "scratch")
        ]
        rows.append([str(images), *cells])
    columns = [f"{d}, {s}" for d in places for s in ("fine-tuned", "from scratch")]
    return markdown(["labelled images", *columns], rows)


def scribble_table(entries: Sequence[Entry]) -> str:
    """Scores by steps and painted share, and what part of the dense score that is."""
    columns = (("fluorescence", "AP 0.5"), ("fluorescence", "Dice"), ("sections", "Dice"))
    rows = []
    for steps in budgets(pick(entries, "scribbles")) or [0]:
        made = of_steps(entries, steps)
        for share in (0.01, 0.02, 0.05, DENSE):
            if steps and not pick(made, "scribbles", share=share):
                continue
            cells = []
            for data in ("fluorescence", "sections"):
                runs = pick(made, "scribbles", data=data, share=share)
                painted = [e["details"]["painted"] for e in runs if e.get("details")]
                cells.append(f"{np.mean(painted):.1%}" if painted else MISSING)
            for data, name in columns:
                found = scores(pick(made, "scribbles", data=data, share=share), name)
                dense = scores(pick(made, "scribbles", data=data, share=DENSE), name)
                cells += [spread(found), ratio(found, dense)]
            rows.append([str(steps), "all" if share == DENSE else f"{share:.0%}", *cells])
    head = ["steps", "asked for", "painted, fluorescence", "painted, sections"]
    for data, name in columns:
        head += [f"{data}, {name}", "of dense"]
    return markdown(head, rows)


def plane_table(entries: Sequence[Entry]) -> str:
    """AP by number of labelled planes in each of two volumes."""
    rows = []
    for planes in (1, 3, 6, ALL_PLANES):
        cells = []
        for network in ("2D", "3D"):
            found = scores(pick(entries, "planes", network=network, planes=planes))
            every = scores(pick(entries, "planes", network=network, planes=ALL_PLANES))
            cells += [spread(found), ratio(found, every)]
        rows.append(["all" if planes == ALL_PLANES else str(planes), *cells])
    head = ["planes a volume", "2D, linked", "of all planes", "3D", "of all planes"]
    return markdown(head, rows)


def regression_table(entries: Sequence[Entry]) -> str:
    """PSNR by method, and the gain over the noisy image."""
    made = pick(entries, "regression")
    noisy = scores(pick(made, "regression", method="noisy"))
    rows = []
    for method in ("noisy", *FILTER_WEIGHTS, *NETWORKS):
        runs = pick(made, "regression", method=method)
        for steps in budgets(runs) or [0]:
            found = scores(of_steps(runs, steps))
            known = len(found) and len(noisy)
            gain = f"{np.mean(found) - np.mean(noisy):+.2f}" if known else MISSING
            rows.append([method, str(steps) if steps else "–", spread(found), gain])
    return markdown(["", "steps", "PSNR, dB", "over the noisy image"], rows)


def speed_table(entries: Sequence[Entry]) -> str:
    """Step times, their ratio, and the shares of drawing patches and of the loss."""
    rows = []
    for entry in pick(entries, "speed"):
        condition, told = entry["condition"], entry.get("details")
        if told:
            rows.append(
                [
                    f"{condition['network']}, {told['batch']} of {sizes(told['patch'])}",
                    f"{condition['precision']} ({told['precision']})",
                    f"{told['step seconds']:.3f}",
                    f"{told['bare seconds']:.3f}",
                    f"{entry['score']:.2f}",
                    f"{told['drawing share']:.1%}",
                    told_or_missing(told.get("loss share"), "{:.1%}"),
                    f"{told['where']}, {threads(entry)}",
                ]
            )
    head = ["patches", "precision", "step, s", "bare loop, s", "ratio", "drawing", "loss", "device"]
    return markdown(head, rows or [[MISSING] * len(head)])


def statistics_table(entries: Sequence[Entry]) -> str:
    """AP by case and by what batch norm uses."""
    choices = ("settled", "frozen", "running")
    cases = (
        "nuclei to histology, 1 image",
        "from scratch, 2D, batch 1",
        "from scratch, 3D, batch 1",
    )
    rows = []
    for case in cases:
        found = [pick(entries, "statistics", case=case, statistics=c) for c in choices]
        cells = [spread(scores(f)) for f in found]
        if not case.startswith("nuclei"):
            cells[1] = "–"  # a new network has no statistics to keep
        rows.append([case, *cells])
    return markdown(["", *choices], rows)


def patch_table(entries: Sequence[Entry]) -> str:
    """AP and steps by number and size of patches, in the same time."""
    rows = []
    made = pick(entries, "patches")
    for count, side in dict.fromkeys(
        (e["condition"]["batch"], e["condition"]["patch"]) for e in made
    ):
        row = [f"{count} of {side}×{side}"]
        for start in ("nuclei", "scratch"):
            found = pick(made, "patches", start=start, batch=count, patch=side)
            row.append(spread(scores(found)))
            row.append(span([e["details"]["steps"] for e in found if "error" not in e]))
        rows.append(row)
    head = ["patches", "AP, fine-tuned", "steps", "AP, from scratch", "steps"]
    return markdown(head, rows or [[MISSING] * len(head)])


def configuration_table(entries: Sequence[Entry]) -> str:
    """The score of what is proposed, and what other values of each setting add to it."""
    made = pick(entries, "configuration")
    sets = list(dict.fromkeys(e["condition"]["data"] for e in made))
    rows = []
    for change in dict.fromkeys(e["condition"]["change"] for e in made):
        row = [change]
        for name in sets:
            found = pick(made, "configuration", data=name, change=change)
            first = pick(made, "configuration", data=name, change=PROPOSAL)
            row.append(spread(scores(found)) if change == PROPOSAL else _gain(found, first))
        rows.append(row)
    return markdown(["", *sets], rows or [[MISSING]])


def batch_table(entries: Sequence[Entry]) -> str:
    """Batches of two sizes in equal time."""
    made = pick(entries, "batches")
    rows = []
    for name in dict.fromkeys(e["condition"]["data"] for e in made):
        row = [name]
        for batch in RATES:
            found = pick(made, "batches", data=name, batch=batch)
            row += [spread(scores(found)), span([e["steps"] for e in found])]
        rows.append(row)
    head = [""]
    for batch in RATES:
        head += [f"batches of {batch}", "steps"]
    return markdown(head, rows or [[MISSING] * len(head)])


def _gain(found: Sequence[Entry], first: Sequence[Entry]) -> str:
    """Mean difference of the runs that have a counterpart of the same seed."""
    by_seed = {e["seed"]: e["score"] for e in first if "error" not in e}
    gains = [
        e["score"] - by_seed[e["seed"]] for e in found if e["seed"] in by_seed and "error" not in e
    ]
    if not gains:
        return MISSING
    return f"{np.mean(gains):+.3f}" + (f" ({len(gains)})" if len(gains) > 1 else "")


def aim_table(entries: Sequence[Entry]) -> str:
    """What was aimed at and what was reached."""
    rows = []
    for data, name in (("fluorescence", "AP 0.5"), ("sections", "Dice")):
        made = pick(entries, "scribbles", data=data)
        both = [budgets(pick(made, "scribbles", share=s)) for s in (0.02, DENSE)]
        steps = max(set(both[0]) & set(both[1]), default=0)
        found = scores(of_steps(pick(made, "scribbles", share=0.02), steps), name)
        dense = scores(of_steps(pick(made, "scribbles", share=DENSE), steps), name)
        known = len(found) and len(dense) and np.mean(dense) > 0
        share = float(np.mean(found) / np.mean(dense)) if known else None
        told = f"{SCRIBBLE_AIM:.0%} or more"
        met = None if share is None else share >= SCRIBBLE_AIM
        rows.append(
            [
                f"2 % scribbles of dense, {data}, {steps} steps",
                told,
                told_or_missing(share, "{:.0%}"),
                verdict(met),
            ]
        )
    seconds = scores(pick(entries, "start"))
    first = float(np.median(seconds)) if len(seconds) else None
    row = ["call to first step, 15 images of 520×696, s", f"{START_AIM_S:.1f} or less"]
    met = None if first is None else first <= START_AIM_S
    rows.append([*row, told_or_missing(first, "{:.1f}"), verdict(met)])
    for precision, aim in (("float32", SPEED_AIM), ("auto", FAST_AIM)):
        made = [e for e in pick(entries, "speed", precision=precision) if "error" not in e]
        rows += [_speed_row(entry, aim) for entry in made]
    told = [e["details"] for e in pick(entries, "speed") if e.get("details")]
    extra = [each["drawing share"] + each["loss share"] for each in told if "loss share" in each]
    worst = max(extra) if extra else None
    met = None if worst is None else worst <= EXTRA_AIM
    row = ["drawing, augmentation and loss, largest", f"{EXTRA_AIM:.0%} or less"]
    rows.append([*row, told_or_missing(worst, "{:.1%}"), verdict(met)])
    return markdown(["", "aim", "reached", ""], rows)


def _speed_row(entry: Entry, aim: float) -> list[str]:
    network, precision = entry["condition"]["network"], entry["condition"]["precision"]
    row = [f"step over bare loop, {network}, {precision}", f"{aim:.2f}", f"{entry['score']:.2f}"]
    if precision == "auto" and entry["details"]["precision"] == "float32":
        return [*row, "nothing faster than float32 on this device"]
    return [*row, verdict(entry["score"] <= aim * (1 + CLOCK))]


def budget_table(entries: Sequence[Entry]) -> str:
    """What each kind of training was given."""
    rows = []
    for kind in dict.fromkeys(kind_of(e) for e in entries if e["steps"] and "error" not in e):
        found = [e for e in entries if kind_of(e) == kind and e["steps"] and "error" not in e]
        told = [e["details"] for e in found]
        rows.append(
            [
                kind,
                str(found[0]["steps"]),
                f"{told[0]['batch']} of {sizes(told[0]['patch'])}",
                ", ".join(map(str, told[0]["features"])),
                span([t.get("training images") for t in told]),
                span([t.get("test images") for t in told]),
                span([round(e["training_seconds"]) for e in found]),
                ", ".join(sorted({f"{e['device']}, {threads(e)}" for e in found})),
                ", ".join(sorted({e["versions"]["torch"] for e in found})),
            ]
        )
    head = ["", "steps", "patches", "features", "images", "tests"]
    head += ["training, s", "device", "torch"]
    return markdown(head, rows or [[MISSING] * len(head)])


def failure_table(entries: Sequence[Entry]) -> str:
    """Runs that ended with a fault."""
    rows = [
        [e["experiment"], ", ".join(map(str, e["condition"].values())), str(e["seed"]), e["error"]]
        for e in entries
        if "error" in e
    ]
    return markdown(["", "condition", "seed", "fault"], rows) if rows else "None failed.\n"


TABLES = {
    "aims": aim_table,
    "fine-tuning": finetune_table,
    "scribbles": scribble_table,
    "planes": plane_table,
    "regression": regression_table,
    "speed": speed_table,
    "statistics": statistics_table,
    "patches": patch_table,
    "configuration": configuration_table,
    "batches": batch_table,
    "budget": budget_table,
    "failures": failure_table,
}
