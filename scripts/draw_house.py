"""Draw the map of the package into CONTRIBUTING.md, from its source.

    python scripts/draw_house.py            # write the map
    python scripts/draw_house.py --check    # only say whether it is out of date (exit status 1)

A room is a module or package directly in ``napari_unet``, or in ``napari_unet/widgets``. The
map tells for each what it is for (the first line of its docstring) and what it imports.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "napari_unet"
PAGE = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- house: begin (scripts/draw_house.py writes it) -->\n", "<!-- house: end -->"


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Files by module name, without the package's own name in front.

    The package itself has the name "". A stub says what a module imports where there is one:
    `napari_unet/__init__.pyi` lists the public names.
    """
    found = {}
    for path in sorted(package.rglob("*.py*")):  # a .pyi comes after the .py
        if path.suffix in (".py", ".pyi"):
            parts = path.relative_to(package).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules that a file names in any import: at the top, in a function, for types alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            # only the package's own stub imports by relative names
            source = f"napari_unet.{node.module}" if node.level else str(node.module)
            names = [f"{source}.{alias.name}" for alias in node.names]
            names = [n if shorten(n) in known else source for n in names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (shorten(name) for name in names if f"{name}.".startswith("napari_unet."))


def shorten(module: str) -> str:
    """A module's name without the package's own in front."""
    return module.removeprefix("napari_unet").removeprefix(".")


def graph(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Modules of the package that each of them imports."""
    known = modules(package)
    return {name: {m for m in imports(path, known) if m in known} for name, path in known.items()}


def room(module: str) -> str:
    """Where a module stands: a top-level name, one floor deeper below ``widgets``."""
    first, _, rest = module.partition(".")
    return f"widgets.{rest.split('.')[0]}" if first == "widgets" and rest else first


def rooms(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """Rooms that each room imports from; the package itself and ``widgets`` are none."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, targets in arrows.items():
        if room(module) not in ("", "widgets"):
            found[room(module)] |= {room(target) for target in targets} - {room(module)}
    return dict(found)


def in_order(arrows: dict[str, set[str]]) -> list[str]:
    """The rooms, each behind all that it imports from; by name where that leaves a choice."""
    left, order = dict(arrows), []
    while left:
        free = sorted(name for name, targets in left.items() if not targets & left.keys())
        if not free:
            raise SystemExit(f"These rooms import from each other: {', '.join(sorted(left))}")
        order += free
        for name in free:
            del left[name]
    return order


def without_detours(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that no chain of others stands for.

    >>> without_detours({"a": set(), "b": {"a"}, "c": {"a", "b"}})
    {'a': set(), 'b': {'a'}, 'c': {'b'}}
    """
    reach: dict[str, set[str]] = {}
    for name in in_order(arrows):
        reach[name] = arrows[name].union(*(reach[target] for target in arrows[name]))
    return {
        name: targets - set().union(*(reach[target] for target in targets))
        for name, targets in arrows.items()
    }


def purpose(name: str, package: Path = PACKAGE) -> str:
    """The first line of a room's docstring."""
    path = package.joinpath(*name.split("."))
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text("utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def draw(package: Path = PACKAGE) -> str:
    """The map: a table of all rooms, and a picture of those below the docks."""
    arrows = rooms(graph(package))
    order = in_order(arrows)
    lines = ["| room | what is in it | imports from |", "| --- | --- | --- |"]
    for name in order:
        sources = ", ".join(f"`{target}`" for target in order if target in arrows[name])
        lines.append(f"| `{name}` | {purpose(name, package)} | {sources or 'none'} |")
    docks = {name for name in arrows if name.startswith("widgets.")}
    core = {n: targets for n, targets in arrows.items() if n not in docks and not targets & docks}
    direct = without_detours(core)
    lines += ["", "```mermaid", "flowchart LR"]
    lines += [f"  {target} --> {name}" for name in order for target in sorted(direct.get(name, ()))]
    return "\n".join([*lines, "```", ""])


def redrawn(text: str) -> str:
    """A page with the map of today between the marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE.name} lacks the marks of the map: {BEGIN.strip()} and {END}")
    return f"{before}{BEGIN}\n{draw()}\n{END}{after}"


def main() -> None:
    """Write the map, or check it."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    text = PAGE.read_text(encoding="utf-8")
    today = redrawn(text)
    if check and today != text:
        sys.exit("The map in CONTRIBUTING.md is out of date; run: python scripts/draw_house.py")
    if not check:
        PAGE.write_text(today, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
