"""A kind of input: how it is built, and what came of it."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import napari_unet as nu
from napari_unet.cli import main
from napari_unet.samples import load_sample

MODEL = "nuclei"
AGREEMENT = 0.9  # AP at IoU 0.5 from which labels are the same objects
LOSSY_AGREEMENT = 0.7  # where pixels were changed


@dataclass(frozen=True)
class Outcome:
    """What happened, from what the product said and wrote, and whether it is right."""

    happens: str
    right: bool


@dataclass(frozen=True)
class Kind:
    """A row of the page."""

    section: str
    name: str
    run: Callable[[Path], Outcome]


@dataclass
class Kinds:
    """The rows of the page, in their order."""

    rows: list[Kind] = field(default_factory=list)

    def add(self, section: str, name: str) -> Callable[[Any], Any]:
        """Add a function that takes an empty folder and gives an `Outcome`."""

        def note(run: Callable[[Path], Outcome]) -> Callable[[Path], Outcome]:
            self.rows.append(Kind(section, name, run))
            return run

        return note


KINDS = Kinds()


@cache
def sample() -> tuple[np.ndarray, np.ndarray]:
    """An image of 15 nuclei, 128 x 192, and their true labels."""
    found = load_sample("nuclei_2d")
    return found.image[:128, :192], found.truth[:128, :192]


@cache
def right_labels() -> np.ndarray:
    """The labels of the sample, as an array gives them."""
    return np.asarray(nu.segment(sample()[0], MODEL, axes="YX"))


def agreement(labels: Any, right: Any) -> float:
    """AP at IoU 0.5."""
    return float(nu.evaluate(np.asarray(labels), np.asarray(right), task="instance").ap[0.5])


@dataclass(frozen=True)
class CommandRun:
    """A run of the command line: its status and what it printed, without paths and seconds."""

    status: int
    lines: list[str]

    @property
    def said(self) -> str:
        """All that was said, in one cell."""
        return "; ".join(self.lines)


def command(folder: Path, *words: object) -> CommandRun:
    """Run the command line in this process, from a folder."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(word) for word in words])
    text = (out.getvalue() + err.getvalue()).replace(f"{folder}/", "").replace(str(folder), ".")
    lines = [re.sub(r" \(\d[\d.]* s\)", "", line) for line in text.splitlines() if line.strip()]
    return CommandRun(status, [line.replace("napari-unet: ", "") for line in lines])


def segment(folder: Path, *words: object) -> CommandRun:
    """`napari-unet segment` with the bundled model, into the folder ``out``."""
    return command(folder, "segment", *words, "-m", MODEL, "-o", "out")


def result(folder: Path, name: str) -> np.ndarray:
    """Labels that a run has written, in the axes of the file."""
    return np.asarray(nu.read_image(folder / "out" / f"{name}_labels.tif").array)


def segmented(
    folder: Path,
    file: str,
    *options: object,
    right: np.ndarray | None = None,
    least: float = AGREEMENT,
    notes: tuple[str, ...] = (),
) -> Outcome:
    """Segment a file; right is what the sample's array gives, in each plane of the result.

    ``notes`` are parts of sentences that must be said.
    """
    run = segment(folder, file, *options)
    found = sorted((folder / "out").glob("*_labels.tif")) if run.status == 0 else []
    if len(found) != 1:
        return Outcome(run.said, right=False)
    labels = np.asarray(nu.read_image(found[0]).array)
    expected = right_labels() if right is None else right
    good = same_planes(labels, expected, least) and all(note in run.said for note in notes)
    return Outcome(run.said, good)


def same_planes(labels: np.ndarray, right: np.ndarray, least: float = AGREEMENT) -> bool:
    """Whether labels are the right ones, in each plane where the right ones are of one plane."""
    if labels.ndim < right.ndim or labels.shape[-2:] != right.shape[-2:]:
        return False
    planes = labels.reshape(-1, *labels.shape[-2:])
    rights = right.reshape(-1, *right.shape[-2:])
    pairs = zip(planes, rights if len(rights) > 1 else [*rights] * len(planes), strict=False)
    return all(agreement(mine, its) >= least for mine, its in pairs)


def refused(run: CommandRun, *words: str) -> Outcome:
    """A kind that cannot be used: right is one sentence with these words, and status 2."""
    good = run.status == 2 and len(run.lines) == 1 and all(word in run.said for word in words)
    return Outcome(run.said, good)
