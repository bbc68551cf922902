"""Write docs/results/inputs.md: kinds of files and layers that people have, and what happens.

    bash scripts/with_display.sh python studies/write_inputs_page.py
    python studies/write_inputs_page.py --only "Pixel sizes" --page /tmp/page.md   # a part

Each kind is a function in `inputs_study` that builds a small input, has the product work on it,
and compares what comes out; nothing of the page is typed by hand.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

PAGE = Path(__file__).parents[1] / "docs" / "results" / "inputs.md"
HEAD = """\
# Files and layers that were tried

Written by `bash scripts/with_display.sh python studies/write_inputs_page.py`, which builds each
input from the bundled sample, has the product work on it, and compares the result with that of the
plain array (AP at IoU 0.5 of at least {agreement}, {lossy} where pixels were changed). *What
happens* is what the command line, the API or the dock said.

{count} kinds, {right} of them right.
"""
LONGEST = 420  # characters of a cell


def main() -> int:
    """Run the kinds and write the page; 1 where a kind is not right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="SECTION", help="sections to run")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("CONFIG", "MODELS", "STATE"):
            os.environ[f"NAPARI_UNET_{name}"] = str(Path(scratch) / name.lower())
        os.environ["NAPARI_CONFIG"] = str(Path(scratch) / "settings.yaml")
        return _write(options.page, options.only)


def _write(page: Path, only: list[str] | None) -> int:
    from inputs_study import files, intensities, labels, layers
    from inputs_study.kinds import AGREEMENT, KINDS, LOSSY_AGREEMENT, Outcome

    del files, intensities, labels, layers  # imported, they have added their kinds
    sections: dict[str, list[tuple[str, Outcome]]] = {}
    for kind in KINDS.rows:
        if only and kind.section not in only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome = kind.run(Path(folder).resolve())
            except Exception as error:  # noqa: BLE001  # a kind that fails is a row, too
                traceback.print_exc()
                outcome = Outcome(f"{type(error).__name__}: {error}", right=False)
        sections.setdefault(kind.section, []).append((kind.name, outcome))
        print(
            "ok " if outcome.right else "NOT",
            kind.section,
            "|",
            kind.name,
            "|",
            outcome.happens,
            flush=True,
        )
    outcomes = [outcome for rows in sections.values() for _, outcome in rows]
    right = sum(outcome.right for outcome in outcomes)
    head = HEAD.format(count=len(outcomes), right=right, agreement=AGREEMENT, lossy=LOSSY_AGREEMENT)
    lines = [head]
    for section, rows in sections.items():
        lines += [f"## {section}\n", "| kind | what happens | right? |", "| --- | --- | --- |"]
        lines += [
            f"| {_cell(name)} | {_cell(outcome.happens)} | {'yes' if outcome.right else '**no**'} |"
            for name, outcome in rows
        ]
        lines.append("")
    page.write_text("\n".join(lines), encoding="utf-8")
    print(f"{page}: {right} of {len(outcomes)} are right")
    return 0 if right == len(outcomes) else 1


def _cell(text: str) -> str:
    text = " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
