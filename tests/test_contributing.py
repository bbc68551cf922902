"""CONTRIBUTING.md: its map is that of the source, and the files that it names are there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
house = runpy.run_path(str(ROOT / "scripts" / "draw_house.py"))


def test_the_map_is_up_to_date() -> None:
    assert house["redrawn"](PAGE) == PAGE, "run: python scripts/draw_house.py"


def test_a_map_that_is_out_of_date_is_seen() -> None:
    old = PAGE.replace("| `inference` |", "| `prediction` |")
    assert house["redrawn"](old) != old


def test_rooms_are_drawn_behind_what_they_import(tmp_path: Path) -> None:
    for module, text in {
        "__init__": "",
        "axes": '"""Axes."""\nfrom napari_unet.errors import UNetError\n',
        "errors": '"""Errors.\n\nMore.\n"""\n',
        "widgets/__init__": "",
        "widgets/dock": '"""A dock."""\nimport napari_unet.axes, napari_unet.errors\n',
    }.items():
        path = tmp_path / f"{module}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert house["draw"](tmp_path).splitlines()[2:] == [
        "| `errors` | Errors. | none |",
        "| `axes` | Axes. | `errors` |",
        "| `widgets.dock` | A dock. | `errors`, `axes` |",
        "",
        "```mermaid",
        "flowchart LR",
        "  errors --> axes",
        "```",
    ]


def test_rooms_in_a_circle_are_refused() -> None:
    with pytest.raises(SystemExit, match="a, b"):
        house["in_order"]({"a": {"b"}, "b": {"a"}, "c": set()})


def test_the_files_that_the_page_names_are_there() -> None:
    text = house["BEGIN"].join(PAGE.split(house["BEGIN"])[:1]) + PAGE.split(house["END"])[1]
    named = set(re.findall(r"`((?:\w+/)*[\w.]+\.(?:py|pyi|toml|txt|yml))`", text))
    homes = (ROOT, ROOT / "src" / "napari_unet", ROOT / ".github" / "workflows")
    assert len(named) > 15
    assert [name for name in named if not any((home / name).is_file() for home in homes)] == []


def test_lowest_dependencies_are_the_bounds_of_the_project() -> None:
    lowest = runpy.run_path(str(ROOT / "scripts" / "lowest_dependencies.py"))["lowest"]
    assert lowest(["dask[array]>=2024.8", "numpy>=2.0"]) == ["dask==2024.8", "numpy==2.0"]
    with pytest.raises(SystemExit, match="numpy<3"):
        lowest(["numpy<3"])
