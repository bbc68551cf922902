"""Cases of hostile files: what is run on them, and what must hold of how it ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import tifffile
import zarr
from mutations import MUTATIONS
from PIL import Image

from napari_unet.dataset.example import Example
from napari_unet.io import write_image, write_labels
from napari_unet.network.model import Model
from napari_unet.settings import TrainConfig
from napari_unet.training.train import iter_train

DEVICE = ["--device", "cpu", "--precision", "float32"]
TRAINING = ["--steps", "2", "--features", "2,4", "--patch", "16,16", "--batch-size", "1"]
TRAINING += ["--device", "cpu", "--precision", "float32", "--no-checks", "--seed", "3"]


@dataclass(frozen=True)
class Ended:
    """How a case ended: ``faults`` says in words what must not be, empty where all is well."""

    kind: str
    seed: int
    status: int
    seconds: float
    megabytes: float
    said: str
    faults: tuple[str, ...]


class Seeds:
    """Good files, made once, that are mutated."""

    def __init__(self, folder: Path, model: Model) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.model = model.save(folder / "good")
        pixels = np.random.default_rng(0).integers(0, 99, (3, 40, 36)).astype(np.uint16)
        pixels[:, 8:20, 8:20] += 900
        self.image = write_image(folder / "plain.tif", pixels[0], axes="YX")
        labels = np.zeros((40, 36), np.int32)
        labels[8:20, 8:20] = 1
        self.labels = write_labels(folder / "plain_labels.tif", labels, axes="YX", pixel_size=None)
        sizes = (1.0, 0.5, 0.5)
        self.images = [
            self.image,
            write_image(folder / "stack.tif", pixels, axes="ZYX", pixel_size=sizes),
            write_image(folder / "stack.ome.tif", pixels, axes="ZYX", pixel_size=sizes),
            write_image(folder / "plain.png", pixels[0], axes="YX"),
            write_image(folder / "stack.npy", pixels, axes="ZYX"),
        ]
        tiled = folder / "tiled.tif"
        tifffile.imwrite(tiled, pixels[0], tile=(16, 16), compression="zlib")
        picture = folder / "picture.jpg"
        Image.fromarray((pixels[0] // 4).astype(np.uint8)).save(picture)
        self.images += [tiled, picture]
        self.stores = [folder / "two.zarr", folder / "three.zarr", folder / "group.zarr"]
        for number, store in enumerate(self.stores[:2]):
            array = zarr.create_array(
                store,
                shape=pixels.shape,
                chunks=(1, 20, 20),
                dtype=pixels.dtype,
                zarr_format=2 + number,  # type: ignore[arg-type]
            )
            array[:] = pixels
        group = zarr.open_group(self.stores[2], mode="w", zarr_format=2)
        level = group.create_array("0", shape=pixels.shape, chunks=(1, 20, 20), dtype="u2")
        level[:] = pixels
        axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
        scale = [{"type": "scale", "scale": [1.0, 0.5, 0.5]}]
        datasets = [{"path": "0", "coordinateTransformations": scale}]
        group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
        self.checkpoint = folder / "good.pt"
        self._write_checkpoint(pixels[0], labels)

    def _write_checkpoint(self, pixels: Any, labels: Any) -> None:
        config = TrainConfig(
            steps=2, features=(2, 4), patch=(16, 16), batch_size=1, device="cpu", seed=3, name="new"
        )
        job = iter_train(
            [Example(pixels, labels, axes="YX")],
            config=config,
            checkpoint=self.checkpoint,
            leave_checkpoint=True,
        )
        for _ in job:
            pass

    def source(self, kind: str, random: Random) -> Path:
        """A good file of a kind."""
        if kind == "image":
            return random.choice(self.images)
        if kind == "store":
            return random.choice(self.stores)
        return self.model if kind == "model" else self.checkpoint

    def words(self, kind: str, mutated: Path, random: Random) -> list[str]:
        """The command that is run on a mutated file."""
        if kind == "model":
            if random.random() < 0.4:
                return ["models", random.choice(("verify", "show")), str(mutated)]
            return ["segment", str(self.image), "-m", str(mutated), "-o", "out", *DEVICE]
        if kind == "checkpoint":
            pair = [str(self.image), str(self.labels)]
            checkpoint = ["--checkpoint", str(mutated)]
            return ["train", *pair, "-o", "out/new.safetensors", *TRAINING, *checkpoint]
        return ["segment", str(mutated), "-m", str(self.model), "-o", "out", *DEVICE]


def list_cases(counts: dict[str, int], first: int) -> list[tuple[str, int]]:
    """Kind and seed of so many cases of each kind, from a first seed on."""
    return [(kind, first + i) for kind, count in counts.items() for i in range(count)]


def run_cases(folder: Path, model: Model, cases: Sequence[tuple[str, int]]) -> Iterator[Ended]:
    """Run cases, each given by its kind and seed."""
    seeds = Seeds(folder / "seeds", model)
    with Server(seeds, folder) as server:
        for kind, seed in cases:
            random = Random(f"{kind}-{seed}")
            place = folder / "case"
            place.mkdir()
            source = seeds.source(kind, random)
            mutated = place / source.name
            MUTATIONS[kind](source, mutated, random)
            before = content_of(place)
            answer = server.run(place, words=seeds.words(kind, mutated, random))
            faults = _faults(answer["status"], answer["said"], place, before, kind)
            shutil.rmtree(place)
            yield Ended(kind, seed, faults=tuple(faults), **answer)


class Server:
    """The process of `server.py`, warmed up."""

    def __init__(self, seeds: Seeds, folder: Path, name: str = "said") -> None:
        warm_up = ["segment", str(seeds.image), "-m", str(seeds.model), *DEVICE]
        warm_up += ["-o", str(folder / f"warm-{name}")]
        script = Path(__file__).with_name("server.py")
        environment = {"OMP_NUM_THREADS": "1", "NAPARI_UNET_STATE": str(folder / "state")}
        environment["NAPARI_UNET_MODELS"] = str(folder / "models")
        self.said = folder / name
        self.process = subprocess.Popen(
            [sys.executable, str(script), json.dumps(warm_up)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        if self._answer() != "ready\n":
            raise RuntimeError("the server did not start")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def run(self, folder: Path, **case: Any) -> dict[str, Any]:
        """Run a case to its end."""
        self.start(folder, **case)
        return self.finish()

    def start(self, folder: Path, **case: Any) -> None:
        """Begin a case: words of the command line or code, and perhaps kill_after_s."""
        assert self.process.stdin is not None
        line = json.dumps({**case, "folder": str(folder), "said": str(self.said)})
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def finish(self) -> dict[str, Any]:
        """Wait for the end of the case that was begun: status, seconds, megabytes, said."""
        answer: dict[str, Any] = json.loads(self._answer())
        return {**answer, "said": self.said.read_text(errors="replace")}

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


def content_of(folder: Path) -> dict[str, int]:
    """Sizes of the files below a folder."""
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file()
    }


def _faults(
    status: int, said: str, place: Path, before: dict[str, int], kind: str
) -> Iterator[str]:
    """What must not be: another status, more than a sentence, files left behind."""
    if status not in (0, 2):
        yield f"status {status}"
    if "Traceback" in said:
        yield "a traceback"
    errors = [line for line in said.splitlines() if line.startswith("napari-unet: error: ")]
    if (status == 2) != (len(errors) == 1):
        yield f"{len(errors)} errors are told"
    strange = set(said) & {chr(code) for code in (*range(9), *range(11, 32), 0x202E)}
    if strange:
        yield f"controls in the text: {strange}"
    after = content_of(place)
    left = {name for name in after if name not in before}
    allowed = {f"out/{name}" for name in _results(status, kind, left)}
    if left - allowed:
        yield f"files are left: {sorted(left - allowed)}"
    changed = {name for name in before if after.get(name, before[name]) != before[name]}
    if changed:
        yield f"files are changed: {sorted(changed)}"


def _results(status: int, kind: str, left: set[str]) -> set[str]:
    """Names below out/ of complete results, where the run ended well."""
    if status:
        return set()
    endings = (".safetensors",) if kind == "checkpoint" else ("_labels.tif", "_labels.json")
    names = {name.removeprefix("out/") for name in left if name.startswith("out/")}
    return {name for name in names if name.endswith(endings) and "/" not in name}
