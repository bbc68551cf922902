"""Imports run one way through the house, from each room to those above it, in no circle."""

from __future__ import annotations

import runpy
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import napari_unet

PACKAGE = Path(napari_unet.__file__).parent

# A room imports only from rooms that stand above it. Rooms on one line do not know each other.
FLOORS = (
    ("errors",),
    ("progress", "axes", "renumbering", "unet_config", "state"),
    ("tiling", "card", "unexpected"),
    ("settings", "installation"),
    ("metrics", "io", "correction"),
    ("image", "network"),
    ("instances",),
    ("inference",),
    ("dataset",),
    ("checks", "training", "samples", "measurement"),
    ("formats", "evaluation"),
    ("batch", "recovery"),
    ("replay",),
    ("cli", "widgets.qt"),
    ("widgets.viewer", "widgets.models"),
    ("widgets.annotation",),
    ("widgets.recovery",),
    (
        "widgets.segment",
        "widgets.train",
        "widgets.correct",
        "widgets.measure",
        "widgets.evaluate",
        "widgets.batch",
    ),
    (
        "viewer",
        "widgets.commands",
        "widgets.layer_reader",
        "widgets.layer_writer",
        "widgets.sample_layers",
        "widgets.show_results",
    ),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
LIMIT_LINES = 400


# how the graph is read is told where the map of CONTRIBUTING.md is drawn from it
house = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "draw_house.py"))
modules: Callable[[Path], dict[str, Path]] = house["modules"]
graph: Callable[..., dict[str, set[str]]] = cache(house["graph"])
room: Callable[[str], str] = house["room"]


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
