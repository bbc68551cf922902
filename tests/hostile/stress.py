"""Attacks in large numbers: hostile files, kills, full disks, pairs of processes.

``make stress`` runs it. The figures go into docs/results/reliability.md; the exit status is 1 where
something did not hold. Painting in a real window that is killed has a test of its own, in
tests/widgets/recovery.

All of it takes most of an hour. It can be run in slices, and goes on where it was stopped: what was
found is kept in a file outside the repository, and the page is written from all of it.

    make stress STRESS="--anew --from 0 --count 500"
    make stress STRESS="--from 500 --count 500"     # and so on, up to 2000
    make stress STRESS="--attacks"                  # kills, full disks, pairs of processes
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import zarr
from cases import DEVICE, TRAINING, Seeds, Server, content_of, list_cases, run_cases
from results import Part, Results

from napari_unet.io import read_image
from napari_unet.io.scratch import ScratchFolder
from napari_unet.network.model import Model

SHARES = {"model": 0.35, "image": 0.3, "store": 0.27, "checkpoint": 0.08}
RAW = argparse.RawDescriptionHelpFormatter
RESULTS = Path(tempfile.gettempdir()) / "napari-unet-stress.json"
CASES_PER_SAVE = 20
FILES = 6
DISK_BYTES = 1 << 16

ZARR = """
import numpy as np, napari_unet as nu
from pathlib import Path
image = np.random.default_rng(0).integers(0, 99, (12, 96, 96)).astype(np.uint16)
image[:, 20:40, 20:40] += 900
nu.segment(image, {model!r}, axes="ZYX", output="out/labels.zarr", tile=32, device="cpu",
           precision="float32")
"""
SAVE = """
from napari_unet.network.library import save_user_model
from napari_unet.network.model import Model
model = Model.load({model!r})
for number in range(40):
    save_user_model(model, f"kept{{number}}")
"""
KEEP = """
from napari_unet.errors import UNetError
from napari_unet.network.library import save_user_model
from napari_unet.network.model import Model
try:
    save_user_model(Model.load({model!r}), "{name}", description="{who}")
    print("kept")
except UNetError as error:
    print(error)
"""


def kill(server: Server, seeds: Seeds, folder: Path, count: int) -> Iterator[Part]:
    """Kill jobs at random moments; what was complete is whole, and the next run leaves nothing."""
    images = folder / "images"
    images.mkdir()
    for number in range(FILES):
        shutil.copy(seeds.images[2], images / f"image{number}.ome.tif")
    model = str(seeds.model)
    pair = [str(seeds.image), str(seeds.labels), "-o", "out/new.safetensors"]
    training = ["train", *pair, *TRAINING, "--steps", "12", "--validation-every", "2"]
    jobs: dict[str, tuple[dict[str, Any], Callable[[Path], str]]] = {
        "segmenting a folder": (
            {"words": ["segment", str(images), "-m", model, "-o", "out", *DEVICE]},
            _check_labels,
        ),
        "a zarr output": ({"code": ZARR.format(model=model)}, _check_zarr),
        "a training with a checkpoint": (
            {"words": [*training, "--checkpoint", "state.pt"]},
            _check_training,
        ),
        "keeping models": ({"code": SAVE.format(model=model)}, _check_models),
    }
    random = Random(1)
    for name, (case, check) in jobs.items():
        part = Part(f"kill: {name}")
        place = folder / "kill"
        models = folder / "models"
        for _ in range(count + 1):
            place.mkdir()
            shutil.rmtree(models, ignore_errors=True)
            models.mkdir()
            if part.runs == 0:
                seconds = server.run(place, **case)["seconds"]
                part.runs += 1
            else:
                server.run(place, **case, kill_after_s=random.uniform(0.02, 1.0) * seconds)
                part.runs += 1
                fault = check(place)
                for path in models.glob("kept*"):
                    path.unlink()
                answer = server.run(place, **case)
                if answer["status"]:
                    fault += f" the next run ended with {answer['status']}: {answer['said'][-300:]}"
                fault += check(place)
                left = [*place.rglob(".*"), *models.rglob(".*")]
                if left:
                    fault += f" left: {left}"
                if fault:
                    part.faults.append(fault)
            shutil.rmtree(place)
        part.runs -= 1  # the first was not killed
        yield part


def _check_labels(place: Path) -> str:
    for path in place.glob("out/*_labels.tif"):
        if read_image(path).array.max() < 1:
            return f" {path.name} is empty"
    return ""


def _check_zarr(place: Path) -> str:
    path = place / "out" / "labels.zarr"
    if not path.exists():
        return ""
    array = zarr.open_array(path, mode="r")
    whole = array[:].any(axis=(1, 2)).all() and "napari_unet" in array.attrs
    shutil.rmtree(path)  # the next run takes no name that is taken
    return "" if whole else " the array is not whole"


def _check_training(place: Path) -> str:
    path = place / "out" / "new.safetensors"
    if path.exists():
        Model.load(path).verify()
        path.unlink()
    return ""


def _check_models(place: Path) -> str:
    for path in place.parent.glob("models/*.safetensors"):
        Model.load(path).verify()
    return ""


def fill_disks(server: Server, seeds: Seeds, folder: Path, count: int) -> Part:
    """Run jobs on a disk that is too small: one sentence, and what is there is whole."""
    part = Part("full disk")
    disk = folder / "disk"
    disk.mkdir()
    for number in range(count):
        size = DISK_BYTES * (number + 1) // count // 4096 * 4096 + 4096
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
            part.note = "not run: no disk could be mounted here"
            return part
        try:
            part.runs += 1
            case: dict[str, Any] = {"code": ZARR.format(model=str(seeds.model))}
            if number % 2:
                words = [
                    "segment",
                    str(seeds.images[0]),
                    str(seeds.images[2]),
                    "-m",
                    str(seeds.model),
                ]
                case = {"words": [*words, "-o", "out", *DEVICE]}
            answer = server.run(disk, **case)
            said = answer["said"]
            if "words" in case and (answer["status"] not in (0, 2) or "Traceback" in said):
                part.faults.append(f"status {answer['status']}: {said[-300:]}")
            if "code" in case and answer["status"] and "FileError" not in said:
                part.faults.append(said[-300:])
            if answer["status"] and not any(w in said for w in ("full", "No space", "room")):
                part.faults.append(f"the disk is not named: {said[-300:]}")
            if any(disk.rglob(".*.partial")):
                part.faults.append(f"left: {sorted(content_of(disk))}")
            fault = _check_labels(disk)
            if fault:
                part.faults.append(fault)
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    return part


def run_pairs(servers: list[Server], seeds: Seeds, folder: Path, count: int) -> Part:
    """Two processes that want one name: one has it, and is told so truly."""
    part = Part("two processes, one name")
    for number in range(count):
        part.runs += 1
        name = f"pair{number}"
        for who, server in enumerate(servers):
            code = KEEP.format(model=str(seeds.model), name=name, who=who)
            server.start(folder, code=code)
        said = [server.finish()["said"].strip() for server in servers]
        if sorted(text == "kept" for text in said) != [False, True]:
            part.faults.append(f"{name}: {said}")
            continue
        card = Model.load(folder / "models" / f"{name}.safetensors").card
        if card.description != str(said.index("kept")):
            part.faults.append(f"{name}: the other one's model has the name")
    return part


def main() -> int:
    """Run the attacks, write the page, and say what did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RAW)
    parser.add_argument("--cases", type=int, default=2000, help="hostile files in all")
    parser.add_argument("--from", type=int, dest="start", help="first of a slice, counted from 0")
    parser.add_argument("--count", type=int, help="hostile files of a slice")
    parser.add_argument("--attacks", action="store_true", help="kills, disks and pairs alone")
    parser.add_argument("--kills", type=int, default=25, help="of each kind of job")
    parser.add_argument("--disks", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--first", type=int, default=1000, help="first seed")
    parser.add_argument("--anew", action="store_true", help="forget what earlier slices gave")
    parser.add_argument("--results", type=Path, default=RESULTS, help="kept between the slices")
    parser.add_argument("--output", type=Path, default=Path("docs/results/reliability.md"))
    options = parser.parse_args()
    began = datetime.now(UTC)
    if options.anew:
        options.results.unlink(missing_ok=True)
    results = Results.open(options.results, options.first)
    counts = {kind: max(1, round(options.cases * share)) for kind, share in SHARES.items()}
    cases = list_cases(counts, options.first)
    total = len(cases)
    sliced = options.start is not None or options.count is not None
    start = options.start or 0
    stop = total if options.count is None else start + options.count
    chosen = [] if options.attacks else results.missing(cases[start:stop])
    # a run that was killed leaves it, and the next one sweeps it
    scratch = ScratchFolder(Path(tempfile.gettempdir()))
    try:
        model = _bright_model()
        if chosen:
            for number, ended in enumerate(run_cases(scratch.path / "hostile", model, chosen), 1):
                results.add(ended)
                if number % CASES_PER_SAVE == 0:
                    results.save()
        if options.attacks or not sliced:
            for part in _attack(scratch.path / "work", model, options):
                results.parts[part.name] = part
                results.save()
    finally:
        scratch.remove()
        results.end_slice(began)
    options.output.write_text(results.as_page(SHARES, total), encoding="utf-8")
    for fault in results.faults:
        sys.stderr.write(f"{fault}\n")
    left = len(results.missing(cases))
    sys.stderr.write(f"{total - left} of {total} hostile files were run, {left} are left\n")
    return 1 if results.faults else 0


def _attack(work: Path, model: Model, options: argparse.Namespace) -> Iterator[Part]:
    """Kills, full disks and pairs of processes."""
    seeds = Seeds(work / "seeds", model)
    with Server(seeds, work) as one, Server(seeds, work, "other") as other:
        yield from kill(one, seeds, work, options.kills)
        yield fill_disks(one, seeds, work, options.disks)
        yield run_pairs([one, other], seeds, work, options.pairs)


def _bright_model() -> Model:
    import importlib.util

    path = Path(__file__).parents[1] / "conftest.py"
    spec = importlib.util.spec_from_file_location("tests_conftest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model: Model = module._bright_model()
    return model


if __name__ == "__main__":
    sys.exit(main())
