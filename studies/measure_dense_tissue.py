"""Dense tissue: the boundary between objects against their relative distance; writes a page.

    python studies/measure_dense_tissue.py DATA --folder FOLDER [--only CASE] [--times N]
    python studies/measure_dense_tissue.py --page          # from the records beside the page

DATA has the folders of ``CASES``. Of each case both representations are trained by
`napari_unet.train` with the same seed, steps, patches and network, on one half of the data; a share
of that half is held out by the training itself, and calibrates the decoding. The other half is
scored, in 3D and in planes behind a gap along x. An object that leaves a part and comes back is
two objects in it; pieces under ``SMALLEST_PIECE`` pixels are learned, but not scored. FOLDER gets
the models, which are not trained again, so that a stopped run goes on. Results are kept in
docs/results/dense_tissue.json, and the page is written from them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cc3d
import numpy as np
import tifffile
import torch
from numpy.typing import NDArray

import napari_unet as nu
from napari_unet.card import Normalization
from napari_unet.settings import TrainConfig
from napari_unet.training.setup import prepare_training

Representation = Literal["distance", "boundary"]
Part = tuple[slice, slice, slice]
REPRESENTATIONS: tuple[Representation, ...] = ("distance", "boundary")
SMALLEST_PIECE = {2: 20, 3: 100}  # pixels
IOUS = (0.5, 0.7, 0.9)
PAGE = Path(__file__).parents[1] / "docs" / "results" / "dense_tissue.md"
EVERY = slice(None)


@dataclass(frozen=True)
class Case:
    """What is learned from, and what is scored.

    Attributes
    ----------
    folder : str
        Of the data.
    ndim : int
        2: planes are images of their own.
    learned, tested : tuple of slice
        Parts of the volume (Z, Y, X).
    membranes : bool
        Whether the labels are drawn membranes: what they enclose are the objects, and they
        themselves are background.
    gaps : bool
        Whether a line of background, a pixel wide, is put between the objects that are learned.
    """

    folder: str
    ndim: int
    learned: Part
    tested: Part
    membranes: bool = False
    gaps: bool = False


CASES = {
    "plant ovule, 3D": Case(
        "plantseg-ovule-cells-3d", 3, (EVERY, EVERY, slice(0, 60)), (EVERY, EVERY, slice(68, None))
    ),
    "FIB-SEM neurons, 3D": Case(
        "flyem-fibsem-neurons-3d",
        3,
        (EVERY, EVERY, slice(0, 117)),
        (EVERY, EVERY, slice(133, None)),
    ),
    "plant ovule, planes": Case(
        "plantseg-ovule-cells-3d",
        2,
        (slice(0, None, 2), EVERY, slice(0, 60)),
        (slice(0, None, 2), EVERY, slice(68, None)),
    ),
    "FIB-SEM neurons, planes": Case(
        "flyem-fibsem-neurons-3d",
        2,
        (slice(0, None, 10), EVERY, slice(0, 117)),
        (slice(5, None, 10), EVERY, slice(133, None)),
    ),
    "FIB-SEM neurons, planes, gaps of 1 px": Case(
        "flyem-fibsem-neurons-3d",
        2,
        (slice(0, None, 10), EVERY, slice(0, 117)),
        (slice(5, None, 10), EVERY, slice(133, None)),
        gaps=True,
    ),
    "ISBI membranes as background": Case(
        "isbi2012-em-membranes",
        2,
        (slice(0, 10), EVERY, EVERY),
        (slice(11, None, 2), EVERY, EVERY),
        membranes=True,
    ),
}
NETWORKS: dict[int, dict[str, Any]] = {
    2: {"steps": 500, "patch": (64, 64), "batch_size": 4, "features": (16, 32, 64)},
    3: {"steps": 200, "patch": (20, 40, 40), "batch_size": 2, "features": (16, 32, 64)},
}


def read_part(data: Path, case: Case, part: Part) -> Iterator[nu.Example]:
    """The planes, or the volume, of a part of the data, with its pieces as objects."""
    path = next((data / case.folder / "images").glob("*.tif"))
    image = tifffile.imread(path)[part]
    labels = tifffile.imread(data / case.folder / "labels" / path.name)[part].astype(np.uint32)
    if case.membranes:
        labels = (labels == 0).astype(np.uint32)
    connectivity = {2: 4, 3: 6}[case.ndim]
    for one, own in zip(image, labels, strict=True) if case.ndim == 2 else [(image, labels)]:
        pieces = cc3d.connected_components(np.ascontiguousarray(own), connectivity=connectivity)
        axes = "YX" if case.ndim == 2 else "ZYX"
        yield nu.Example(np.ascontiguousarray(one), pieces.astype(np.int32), axes=axes)


def put_gaps(example: nu.Example) -> nu.Example:
    """The example with background where an object begins beside another one."""
    labels = example.labels
    first = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        here, before = np.moveaxis(labels, axis, 0), np.moveaxis(first, axis, 0)
        before[1:] |= here[1:] != here[:-1]
    return replace(example, labels=np.where(first, 0, labels))


def configure(case: Case, representation: str, times: int = 1) -> dict[str, Any]:
    """Settings of a training, of so many times the steps."""
    steps = times * NETWORKS[case.ndim]["steps"]
    return {
        **NETWORKS[case.ndim],
        "steps": steps,
        "ndim": case.ndim,
        "representation": representation,
        "validation_every": steps,
        "learning_rate": 3e-3,
        "augmentation": "light",
        "normalization": Normalization(),
        "seed": 0,
        "device": "cpu",
        "precision": "float32",
    }


def find_proposal(case: Case, learned: list[nu.Example]) -> str:
    """What `napari_unet.train` takes where nothing is asked for."""
    config = TrainConfig(**configure(case, "auto"))
    setup = prepare_training(learned, base=None, config=config, validation=None)
    card = setup.make_card(0, 0.0)
    assert card.training is not None
    return str(card.training.config["representation"])


def measure(
    data: Path, folder: Path, name: str, representation: Representation, times: int
) -> dict[str, Any]:
    """Train, unless that was done, and score: a record."""
    case = CASES[name]
    learned, tested = (list(read_part(data, case, part)) for part in (case.learned, case.tested))
    if case.gaps:
        learned = [put_gaps(example) for example in learned]
    stem = f"{name.replace(' ', '-').replace(',', '')}-{representation}-{times}"
    file = folder / f"{stem}.safetensors"
    if not file.exists():
        nu.train(learned, name=stem, **configure(case, representation, times)).save(file)
    model = nu.Model.load(file)
    training = model.card.training
    assert training is not None
    counts = {iou: np.zeros(3, int) for iou in IOUS}
    objects, started = 0, time.perf_counter()
    for example in tested:
        truth: NDArray[np.int32] = example.labels
        found = nu.segment(
            example.image, model, axes=example.axes, device="cpu", precision="float32"
        )
        objects += int(np.max(found))
        tiny = np.bincount(truth.ravel())[truth] < SMALLEST_PIECE[case.ndim]
        scores = nu.evaluate(found, truth, ignore=tiny)
        for iou in IOUS:
            counts[iou] += (scores.tp[iou], scores.fp[iou], scores.fn[iou])
    return {
        "case": name,
        "representation": representation,
        "proposed": find_proposal(case, learned),
        "ap": {
            str(iou): round(tp / max(tp + fp + fn, 1), 3) for iou, (tp, fp, fn) in counts.items()
        },
        "objects": int(counts[0.5][0] + counts[0.5][2]),
        "found": objects,
        "steps": training.steps,
        "decoding": model.card.decoding.model_dump(mode="json"),
        "training_s": round(training.seconds),
        "segmenting_s": round(time.perf_counter() - started),
    }


def _identify(record: dict[str, Any]) -> tuple[str, str, int]:
    return record["case"], record["representation"], record["steps"]


def write_page(records: list[dict[str, Any]]) -> None:
    """Write the page from the records, in the order of the cases and of the steps."""
    cases, kinds = list(CASES), list(REPRESENTATIONS)
    records = sorted(
        records,
        key=lambda r: (cases.index(r["case"]), r["steps"], kinds.index(r["representation"])),
    )
    rows = []
    for record in records:
        reached = " / ".join(f"{record['ap'][str(iou)]:.2f}" for iou in IOUS)
        mark = " (proposed)" if record["proposed"] == record["representation"] else ""
        decoding = record["decoding"]
        rows.append(
            f"| {record['case']} | {record['representation']}{mark} | {reached} | "
            f"{record['objects']} | {record['found']} | {record['steps']} | "
            f"{decoding['split_depth']:g} | {record['training_s']} |"
        )
    PAGE.with_suffix(".json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(TEXT + "\n".join(rows) + "\n", encoding="utf-8")


TEXT = """# Tissue without gaps

Written by `studies/measure_dense_tissue.py`. Both representations of objects
([what they are](../decisions/dense-tissue.md)), each trained from nothing on one half of the data
and scored on the other: the same network (features 16, 32, 64), seed, patches and number of steps,
one core, float32, minutes. So these figures compare short trainings; they do not tell what
long ones reach, and one seed each leaves differences under about 0.1 open. The second half of a
volume is of the same specimen. *Proposed*: what training takes where nothing is asked for. AP =
TP / (TP + FP + FN), counted over all test images; pieces under 100 voxels (in planes 20 pixels) are
not scored. *Found* counts all objects found, small ones too. The split depth is the one that the
calibration of the training chose. Rows of 400 and 1000 steps are older than the others, of before
changes to loss and calibration, but for the distance on the plant ovule in 3D.

- Plant ovule: 32 x 128 x 128 voxels, cell walls stained; x 0 to 59 learned, 68 to 127 scored. Every
  second plane of it, each an image of its own, is a layer of cells without gaps in 2D.
- FIB-SEM neurons: 100 x 250 x 250 voxels of the medulla of *Drosophila*; x 0 to 116 learned, 133 to
  249 scored; every tenth plane.
- ISBI 2012: membranes of serial sections, drawn as lines of several pixels; what they enclose are
  the objects, the lines background. Sections 0 to 9 learned, every second one from 11 on scored.

| data | representation | AP at IoU 0.5 / 0.7 / 0.9 | objects | found | steps | split depth | s |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def main() -> None:
    """Measure what is asked for, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--folder", type=Path, help="where models are kept")
    parser.add_argument("--only", choices=CASES, nargs="+", help="these cases alone")
    parser.add_argument("--representations", choices=REPRESENTATIONS, nargs="+")
    parser.add_argument("--times", type=int, default=1, help="so many times as many steps")
    parser.add_argument("--page", action="store_true", help="write the page from the records alone")
    arguments = parser.parse_args()
    kept = PAGE.with_suffix(".json")
    records = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []
    if not arguments.page:
        torch.set_num_threads(1)
        arguments.folder.mkdir(parents=True, exist_ok=True)
        for name in arguments.only or CASES:
            for representation in arguments.representations or REPRESENTATIONS:
                new = measure(
                    arguments.data, arguments.folder, name, representation, arguments.times
                )
                print(new, flush=True)
                records = [r for r in records if _identify(r) != _identify(new)] + [new]
                write_page(records)
    write_page(records)


if __name__ == "__main__":
    main()
