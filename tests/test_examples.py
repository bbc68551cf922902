"""Every example runs."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
WINDOWS = [
    path
    for path in SCRIPTS
    if "napari.Viewer()" in path.read_text() and path.name != "headless_then_look.py"
]
PROCESSES = [EXAMPLES / "cluster.py"]
PLAIN = [path for path in SCRIPTS if path not in (*WINDOWS, *PROCESSES)]


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def test_there_is_one_of_each_kind() -> None:
    told = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert len(SCRIPTS) >= 9
    assert {path.name for path in (*SCRIPTS, *EXAMPLES.glob("*.ipynb"))} <= set(
        told.replace("`", " ").split()
    )


@pytest.mark.parametrize("path", PLAIN, ids=names(PLAIN))
def test_a_script_runs(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(sys, "argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()


@pytest.mark.slow
@pytest.mark.parametrize("path", WINDOWS, ids=names(WINDOWS))
def test_a_script_with_a_window_runs(
    path: Path,
    make_napari_viewer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: Any,
) -> None:
    import napari

    for name in ("CONFIG", "MODELS", "STATE"):
        monkeypatch.setenv(f"NAPARI_UNET_{name}", str(tmp_path / name))
    monkeypatch.setattr(napari, "Viewer", make_napari_viewer)
    monkeypatch.setattr(sys, "argv", [str(path)])
    found = runpy.run_path(str(path), run_name="example")
    assert len(found["viewer"].layers) >= 2
    assert capsys.readouterr().out.strip()


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("path", PROCESSES, ids=names(PROCESSES))
def test_a_script_of_several_processes_runs(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "as in one process: True"
    assert done.stdout.splitlines()[1].endswith("_labels.tif None")


@pytest.mark.process
@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    code = (
        "import sys, nbformat; from nbclient import NotebookClient\n"
        "book = nbformat.read(sys.argv[1], as_version=4)\n"
        "NotebookClient(book, timeout=240, kernel_name='python3').execute()\n"
        "print(sum(len(cell.get('outputs', ())) for cell in book.cells))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(EXAMPLES / "notebook.ipynb")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) == 4
