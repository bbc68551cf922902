"""Imports run one way through the house, from each room to those above it, in no circle."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_unet

PACKAGE = Path(napari_unet.__file__).parent

# A room imports only from rooms that stand above it. Rooms on one line do not know each other.
FLOORS = (
    ("errors",),
    ("progress", "axes"),
    ("tiling", "card"),
    ("settings", "installation"),
    ("metrics", "io"),
    ("image", "network"),
    ("instances",),
    ("inference",),
    ("dataset",),
    ("checks", "training", "samples", "batch"),
    ("recovery",),
    ("cli", "widgets.qt"),
    ("widgets.viewer", "widgets.models"),
    ("widgets.annotation",),
    ("widgets.recovery",),
    ("widgets.segment", "widgets.train"),
    ("widgets.layer_writer", "widgets.sample_layers", "widgets.show_results"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
LIMIT_LINES = 400


def modules(package: Path) -> dict[str, Path]:
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
    return module.removeprefix("napari_unet").removeprefix(".")


def graph(package: Path = PACKAGE) -> dict[str, set[str]]:
    known = modules(package)
    return {name: {m for m in imports(path, known) if m in known} for name, path in known.items()}


def room(module: str) -> str:
    """Where a module stands: a top-level name, one floor deeper below ``widgets``."""
    first, _, rest = module.partition(".")
    return f"widgets.{rest.split('.')[0]}" if first == "widgets" and rest else first


def backward(arrows: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Imports that the order does not allow."""
    return sorted(
        (module, target)
        for module, targets in arrows.items()
        for target in targets
        if room(module) in FLOOR and room(module) != room(target)
        if FLOOR.get(room(target), len(FLOORS)) >= FLOOR[room(module)]
    )


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle: those that are left when no leaf is."""
    left = {module: set(targets) - {module} for module, targets in arrows.items()}
    while leaves := {module for module, targets in left.items() if not targets & left.keys()}:
        left = {module: targets for module, targets in left.items() if module not in leaves}
    wanted: dict[str, set[str]] = defaultdict(set)
    for module, targets in left.items():
        for target in targets & left.keys():
            wanted[target].add(module)
    while tops := {module for module in left if not wanted[module] & left.keys()}:
        left = {module: targets for module, targets in left.items() if module not in tops}
    return sorted(left)


def test_every_module_stands_in_a_room_of_the_order() -> None:
    stray = {room(module) for module in modules(PACKAGE)} - FLOOR.keys() - {"", "widgets"}
    assert not stray


def test_no_import_points_backward() -> None:
    assert backward(graph()) == []


def test_no_circle() -> None:
    assert circles(graph()) == []


def test_no_file_is_too_long() -> None:
    texts = {name: path.read_text(encoding="utf-8") for name, path in modules(PACKAGE).items()}
    lengths = {name: len(text.splitlines()) for name, text in texts.items()}
    assert {name: n for name, n in lengths.items() if n > LIMIT_LINES} == {}


@pytest.mark.parametrize(
    "line",
    [
        "from napari_unet.training.loop import TrainingLoop",
        "def late():\n    from napari_unet import training",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import napari_unet.training.loop",
    ],
)
def test_the_check_sees_every_kind_of_import(tmp_path: Path, line: str) -> None:
    for module, text in {
        "training/__init__": "",
        "training/loop": "from napari_unet.image.source import open_image",
        "image/__init__": "",
        "image/source": line,
    }.items():
        path = tmp_path / f"{module}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (found,) = backward(graph(tmp_path))
    assert found[0] == "image.source"
    assert found[1].startswith("training")


def test_the_stub_of_the_public_names_is_read() -> None:
    assert {"training.train", "io", "inference.segmentation"} <= graph()[""]


def test_the_check_sees_an_import_of_a_public_name(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").touch()
    (tmp_path / "__init__.pyi").write_text("from .card import ModelCard\n", encoding="utf-8")
    (tmp_path / "card.py").write_text("from napari_unet import segment\n", encoding="utf-8")
    assert circles(graph(tmp_path)) == ["", "card"]


def test_the_check_sees_a_circle() -> None:
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}
    assert circles(arrows) == ["b", "c"]
