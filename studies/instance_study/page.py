"""The results as one file, and the tables of the page made from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from instance_study.data import NAMES, TESTS

PAGE = Path(__file__).parents[2] / "docs" / "decisions" / "instances.md"
RECORD = PAGE.with_suffix(".json")
KEYS = "ABCDEFGH"
PARTS = ("shapes", "ceilings", "partial", "blocks", "cost2d", "cost3d")


def write_page(results: Path | None) -> None:
    """Replace what stands between the page's markers, from new results or those beside the page."""
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    if results is not None:
        record.update(gather(results))
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
    text = PAGE.read_text()
    tables = {
        "best": best_table(record),
        "longer": longer_table(record),
        "accuracy": accuracy_table(record, "tests"),
        "given foreground": accuracy_table(record, "tests_given_foreground"),
        "budget": budget_table(record),
        "cost": cost_table(record),
        "partial": partial_table(record),
        "bound": bound_table(record),
        "blocks": blocks_table(record),
        "ceilings": pair_table({key: record.get(f"ceilings-{key}", {}) for key in KEYS}),
        "shapes, true maps": shapes_table(record, "true"),
        "shapes, noisy maps": shapes_table(record, "noisy"),
    }
    for name, table in tables.items():
        first, last = f"<!-- table: {name} -->", f"<!-- end: {name} -->"
        before, rest = text.split(first)
        text = before + first + "\n" + table + last + rest.split(last)[1]
    PAGE.write_text(text)


def gather(results: Path) -> dict[str, Any]:
    """All result files, numbers rounded to four digits."""
    names = [f"{name}-{key}" for name in (*NAMES, *PARTS) for key in KEYS]
    names += sorted(path.stem for path in results.glob("*-x*.json"))
    return {
        name: rounded(json.loads((results / f"{name}.json").read_text()))
        for name in names
        if (results / f"{name}.json").exists()
    }


def rounded(value: Any) -> Any:
    """A value of JSON with shorter numbers."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def markdown(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table."""
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def triple(scores: dict[str, float] | None) -> str:
    """Three AP in one cell."""
    return "missing" if scores is None else " / ".join(f"{v:.2f}" for v in scores.values())


def best_table(record: dict[str, Any]) -> str:
    """For each representation, the decoding that was best on the selection images."""
    tests = [(name, test) for name in NAMES for test in TESTS[name]]
    rows = []
    for key in KEYS:
        cells = []
        for name, test in tests:
            run = record.get(f"{name}-{key}")
            cells.append(triple(run and run["tests"][run["best_decoder"]][test]))
        rows.append([key, *cells])
    return markdown(["", *(test for _, test in tests)], rows)


def longer_table(record: dict[str, Any]) -> str:
    """Trainings of more steps than usual, each with its best decoding."""
    runs = {name: run for name, run in record.items() if "-x" in name}
    rows = []
    for name, run in sorted(runs.items()):
        data, key, _ = name.split("-")
        for test in TESTS[data]:
            score = triple(run["tests"][run["best_decoder"]][test])
            rows.append([test, str(run["steps"]), key, run["best_decoder"], score])
    rows.sort(key=lambda row: row[0])
    return markdown(["", "steps", "", "decoding", "AP"], rows)


def accuracy_table(record: dict[str, Any], kind: str) -> str:
    """Every decoding; tests of which no network was kept are left out."""
    kept = [n for n in NAMES if sum(kind in record.get(f"{n}-{key}", {}) for key in KEYS) > 3]
    tests = [(name, test) for name in kept for test in TESTS[name]]
    rows = []
    for key in KEYS:
        runs = [record[f"{name}-{key}"] for name in NAMES if f"{name}-{key}" in record]
        decoders = list(dict.fromkeys(decoder for run in runs for decoder in run["tests"]))
        for decoder in decoders:
            cells = []
            for name, test in tests:
                found = record.get(f"{name}-{key}", {}).get(kind, {}).get(decoder)
                cells.append(triple(found and found[test]))
            rows.append([key, decoder, *cells])
    return markdown(["", "decoding", *(test for _, test in tests)], rows)


def budget_table(record: dict[str, Any]) -> str:
    """What each training was given."""
    rows = []
    for name in NAMES:
        runs = [record[f"{name}-{key}"] for key in KEYS if f"{name}-{key}" in record]
        if runs:
            seconds = [run["train_seconds"] for run in runs]
            tests = ", ".join(f"{test}: {n}" for test, n in runs[0]["images"].items())
            rows.append(
                [
                    name,
                    str(runs[0]["steps"]),
                    f"{min(seconds):.0f} to {max(seconds):.0f}",
                    f"{sum(run['seconds'] for run in runs) / 60:.0f}",
                    str(runs[0]["training_images"]),
                    tests,
                    f"{runs[0]['radius']:.1f}",
                ]
            )
    head = [
        "data",
        "steps",
        "seconds to train",
        "minutes for all, with tests",
        "training images",
        "test images",
        "radius, pixels",
    ]
    return markdown(head, rows)


def cost_table(record: dict[str, Any]) -> str:
    """Seconds and MiB, in 2D and in 3D."""
    rows = []
    for key in KEYS:
        works = [w for w in record.get(f"cost2d-{key}", {}) if w != "objects"]
        for work in works:
            cells = []
            for part in ("cost2d", "cost3d"):
                found = record.get(f"{part}-{key}", {}).get(work)
                cells.append("missing" if found is None else f"{found['seconds']:.2f}")
                cells.append("missing" if found is None else f"{found['mebibytes']:.0f}")
            rows.append([key, work, *cells])
    return markdown(["", "", "2D s", "2D MiB", "3D s", "3D MiB"], rows)


def partial_table(record: dict[str, Any]) -> str:
    """Shares of the values that a cut changes and that must be left out."""
    head: list[str] = []
    rows = []
    for key in KEYS:
        found = record.get(f"partial-{key}")
        if found:
            found = {name: s for name, s in found.items() if not name.startswith("bound")}
            head = list(found)
            cells = [" / ".join(f"{v:.1%}" for v in shares.values()) for shares in found.values()]
            rows.append([key, *cells])
    return markdown(["", *head], rows)


def bound_table(record: dict[str, Any]) -> str:
    """What an upper bound tells of the relative distances in cut objects."""
    rows = [
        [
            name.removeprefix("bound, "),
            f"{s['tells']:.1%}",
            f"{s['wrong']:.2%}",
            f"{s['slack']:.2f}",
        ]
        for name, s in record.get("partial-B", {}).items()
        if name.startswith("bound")
    ]
    return markdown(["", "bound under 0.9", "wrong", "mean of bound minus truth"], rows)


def blocks_table(record: dict[str, Any]) -> str:
    """Shares of objects that come out equal from a block and from the whole."""
    head: list[str] = []
    rows = []
    for key in KEYS:
        for decoder, shares in record.get(f"blocks-{key}", {}).items():
            head = list(shares)
            rows.append([key, decoder, *(f"{share:.1%}" for share in shares.values())])
    return markdown(["", "decoding", *head], rows)


def shapes_table(record: dict[str, Any], quality: str) -> str:
    """AP at IoU 0.5 and 0.9 on the synthetic cases."""
    return pair_table({key: record.get(f"shapes-{key}", {}).get(quality, {}) for key in KEYS})


def pair_table(found: dict[str, Any]) -> str:
    """AP at IoU 0.5 and 0.9 by representation, decoding and case."""
    head: list[str] = []
    rows = []
    for key, decoders in found.items():
        for decoder, scores in decoders.items():
            cases = {name: value for name, value in scores.items() if name != "parameter"}
            head = list(cases)
            cells = [f"{s['0.5']:.2f} / {s['0.9']:.2f}" for s in cases.values()]
            rows.append([key, decoder, *cells])
    return markdown(["", "decoding", *head], rows)
