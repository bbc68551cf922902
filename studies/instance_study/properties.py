"""All but accuracy: odd shapes, cost, labels that are cut, decoding block by block."""

from __future__ import annotations

import ctypes
import gc
import itertools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from instance_study.data import load
from instance_study.distance import RelativeDistance, upper_bound
from instance_study.representation import Labels, Maps, Representation
from instance_study.synthetic import branched, cases, discs
from napari_unet.metrics import InstanceScores, evaluate
from napari_unet.renumbering import remove_small

RADIUS = 10.0
IOUS = (0.5, 0.9)
BLOCK = 128
HALOS = (32, 64)
NOISE = 0.05
PIECE = 20
"""Pieces of fewer pixels, which real labels have, are dropped after decoding."""


def measure_all(
    results: Path, kinds: Sequence[type[Representation]], data: Path | None, parts: Sequence[str]
) -> None:
    """Measure and write ``PART-KEY.json``; what exists is kept."""
    measures: dict[str, Callable[[type[Representation]], Any]] = {
        "shapes": shapes,
        "ceilings": lambda kind: ceilings(kind, data),
        "partial": lambda kind: partial(kind, data),
        "blocks": blocks,
        "cost2d": lambda kind: cost(kind, (2048, 2048), 48.0, 25.0),
        "cost3d": lambda kind: cost(kind, (64, 512, 512), 32.0, 17.0),
    }
    for name, measure in measures.items():
        if parts and name not in parts:
            continue
        for kind in kinds:
            output = results / f"{name}-{kind.key}.json"
            if output.exists():
                continue
            start = time.perf_counter()
            text = json.dumps(measure(kind), indent=1)
            part = output.with_suffix(".part")
            part.write_text(text)
            part.replace(output)
            print(f"{output.stem} {time.perf_counter() - start:.1f} s", text, flush=True)


def ap(found: Labels, truth: Labels) -> dict[str, float]:
    """AP at two IoU."""
    result = evaluate(found, truth, task="instance")
    assert isinstance(result, InstanceScores)
    return {str(iou): float(result.ap[iou]) for iou in IOUS}


def shapes(kind: type[Representation]) -> dict[str, Any]:
    """AP of decoded true and noisy maps, at the parameter that suits all cases best."""
    representation = kind(2, RADIUS)
    truths = cases()
    maps = {name: representation.encode(truth) for name, truth in truths.items()}
    out: dict[str, Any] = {"true": {}, "noisy": {}}
    for quality, spoil in (("true", filled), ("noisy", noisy)):
        given = {name: spoil(values) for name, values in maps.items()}
        for decoder in representation.decoders:
            trials = {}
            for value in decoder.grid:
                trials[value] = {
                    name: ap(decoder.decode(given[name], 0.5, value), truth)
                    for name, truth in truths.items()
                }
            best = max(trials, key=lambda v: sum(sum(s.values()) for s in trials[v].values()))
            out[quality][decoder.name] = {"parameter": best, **trials[best]}
    return out


def ceilings(kind: type[Representation], data: Path | None) -> dict[str, Any]:
    """AP of decoded true maps of real labels, at the best parameter."""
    if data is None:
        return {}
    out: dict[str, Any] = {}
    for name in ("usiigaci", "bbbc050", "flyem"):
        dataset = load(name, data)
        sample = dataset.selection[0]
        representation = kind(sample.labels.ndim, dataset.radius)
        truth = representation.encode(sample.labels)
        spoilt = noisy(truth)
        spoilt[0] = truth[0]  # the foreground is the same question for all
        for quality, maps in (("true", filled(truth)), ("noisy", spoilt)):
            for decoder in representation.decoders:
                trials = []
                for value in decoder.grid:
                    found = remove_small(decoder.decode(maps, 0.5, value), PIECE)
                    result = evaluate(found, sample.labels, task="instance", ignore=sample.ignore)
                    assert isinstance(result, InstanceScores)
                    trials.append({str(iou): float(result.ap[iou]) for iou in IOUS})
                best = max(trials, key=lambda scores: sum(scores.values()))
                out.setdefault(decoder.name, {})[f"{name}, {quality}"] = best
    return out


def filled(maps: Maps) -> Maps:
    """Maps in which what is not known, beyond the array, is 0."""
    return np.nan_to_num(maps)


def noisy(maps: Maps) -> Maps:
    """Maps as a network would give them: slightly blurred and with smooth noise."""
    rng = np.random.default_rng(0)
    out = np.empty_like(maps)
    for channel, values in enumerate(filled(maps)):
        noise = ndimage.gaussian_filter(rng.standard_normal(values.shape, np.float32), 1.5)
        out[channel] = ndimage.gaussian_filter(values, 0.7) + noise * (NOISE / noise.std())
    return out


def cost(
    kind: type[Representation], shape: tuple[int, ...], spacing: float, radius: float
) -> dict[str, Any]:
    """Seconds and peak memory of encoding and of each decoding, one thread."""
    labels = discs(shape, spacing, radius)
    small = discs(tuple(min(n, 64) for n in shape), 20.0, 9.0)
    representation = kind(len(shape), radius)
    first = filled(representation.encode(small))  # compiles what is compiled
    for decoder in representation.decoders:
        decoder.decode(first, 0.5, decoder.grid[2])
    seconds, memory, maps = measured(lambda: representation.encode(labels))
    out: dict[str, Any] = {
        "objects": int(len(np.unique(labels)) - 1),
        "encode": {"seconds": seconds, "mebibytes": memory},
    }
    maps = noisy(maps)
    for i, decoder in enumerate(representation.decoders):
        fresh = kind(len(shape), radius).decoders[i]  # nothing is remembered
        seconds, memory, found = measured(lambda d=fresh: d.decode(maps, 0.5, d.grid[2]))
        out[decoder.name] = {
            "seconds": seconds,
            "mebibytes": memory,
            "found": int(len(np.unique(found)) - 1),
        }
    return out


def measured(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds, peak of the memory above the start (MiB, Linux only) and result."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # else freed memory would hide what is needed
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _memory("VmRSS")
    start = time.process_time()  # other work on the machine must not count
    result = work()
    seconds = time.process_time() - start
    return seconds, (_memory("VmHWM") - before) / 1024, result


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def partial(kind: type[Representation], data: Path | None) -> dict[str, Any]:
    """What the edge of a labelled box, or single labelled planes, leave determined."""
    out: dict[str, Any] = {}
    fields = {"discs": (discs((512, 512)), RADIUS, 96)}
    if data is not None:
        import tifffile

        path = data / "usiigaci-phase-t98g" / "labels" / "set20.tif"
        fields["usiigaci"] = (tifffile.imread(path).astype(np.int32), 14.0, 128)
    for name, (labels, radius, size) in fields.items():
        representation = kind(2, radius)
        full = representation.encode(labels)
        rng = np.random.default_rng(0)
        total = np.zeros(4)
        for _ in range(40):
            y, x = (int(rng.integers(0, n - size)) for n in labels.shape)
            window = (slice(y, y + size), slice(x, x + size))
            edge = edge_distance((size, size), (True, True))
            total += compare(representation, labels[window], full[(slice(None), *window)], edge)
        out[f"boxes, {name}"] = shares(total)
        if kind is RelativeDistance:
            out[f"bound, {name}"] = bounded(labels, radius, size)
    volume = discs((40, 160, 160))
    representation = kind(3, RADIUS)
    full = representation.encode(volume)
    total = np.zeros(4)
    for z in range(10, 30):
        plane = volume[z : z + 1]
        edge = np.ones(plane.shape, np.float32)
        total += compare(representation, plane, full[:, z : z + 1], edge)
    out["single planes of a stack"] = shares(total)
    return out


def bounded(labels: Labels, radius: float, size: int) -> dict[str, float]:
    """How far an upper bound tells the relative distances in objects that a box cuts.

    Shares of the pixels of cut objects where the bound is under 0.9, and where the true value
    is above it; mean of the bound minus the true value where it is under 0.9.
    """
    representation = RelativeDistance(2, radius)
    full = representation.encode(labels)[1]
    rng = np.random.default_rng(0)
    edge = edge_distance((size, size), (True, True))
    slack = []
    for _ in range(40):
        y, x = (int(rng.integers(0, n - size)) for n in labels.shape)
        window = (slice(y, y + size), slice(x, x + size))
        cut = representation.undetermined(labels[window], edge)[1]
        bound = upper_bound(labels[window], edge)
        slack.append(np.stack([bound[cut], (bound - full[window])[cut]]))
    bound, over = np.concatenate(slack, axis=1)
    tells = bound < 0.9
    return {
        "tells": float(tells.mean()),
        "wrong": float((over < -1e-3).mean()),
        "slack": float(over[tells].mean()),
    }


def edge_distance(shape: tuple[int, ...], cut: tuple[bool, ...]) -> NDArray[np.float32]:
    """Distance of each pixel to the nearest one outside, along the axes that are cut."""
    padded = np.pad(np.ones(shape, np.uint8), [(int(c), int(c)) for c in cut])
    inner = tuple(slice(1, -1) if c else slice(None) for c in cut)
    return np.asarray(edt.edt(padded, black_border=False)[inner])


def compare(
    representation: Representation,
    labels: Labels,
    truth: Maps,
    edge: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Counts over the maps but the foreground, in objects: all, changed, open, wrong.

    *Changed* differ between the encoded cut and the cut of the encoded whole, *open* are
    those that the representation leaves out, *wrong* differ and are not left out.
    """
    inside = labels > 0
    found = representation.encode(labels)[1:][:, inside]
    target_spec = truth[1:][:, inside]
    opened = representation.undetermined(labels, edge)[1:][:, inside]
    changed = ~(np.abs(found - target_spec) <= 1e-3) & ~np.isnan(target_spec)
    return np.array([found.size, changed.sum(), opened.sum(), (changed & ~opened).sum()])


def shares(total: NDArray[np.float64]) -> dict[str, float]:
    """Shares of all values."""
    names = ("changed", "left out", "wrong")
    return {n: float(v / total[0]) for n, v in zip(names, total[1:], strict=True)}


def blocks(kind: type[Representation]) -> dict[str, Any]:
    """Share of the objects in the core of a block that come out as from the whole."""
    fields = {"discs": discs((512, 512)), "stars": np.tile(branched(), (2, 2))[:512, :512]}
    out: dict[str, Any] = {}
    for name, labels in fields.items():
        representation = kind(2, RADIUS)
        maps = noisy(representation.encode(labels))
        for i, decoder in enumerate(representation.decoders):
            whole = decoder.decode(maps, 0.5, decoder.grid[2])
            for halo in HALOS:
                equal = []
                for y, x in itertools.product(range(0, 512, BLOCK), repeat=2):
                    window, core = [], []
                    for start in (y, x):
                        low = max(0, start - halo)
                        window.append(slice(low, min(512, start + BLOCK + halo)))
                        core.append(slice(start - low, start - low + BLOCK))
                    cut = np.ascontiguousarray(maps[(slice(None), *window)])
                    fresh = kind(2, RADIUS).decoders[i]
                    found = fresh.decode(cut, 0.5, fresh.grid[2])[tuple(core)]
                    equal += equal_objects(whole[y : y + BLOCK, x : x + BLOCK], found)
                out.setdefault(decoder.name, {})[f"{name}, halo {halo}"] = float(np.mean(equal))
    return out


def equal_objects(whole: Labels, found: Labels) -> list[bool]:
    """For each object of the first array, whether the second has one of the same pixels."""
    equal = []
    for value in np.unique(whole[whole > 0]):
        mine = whole == value
        values = np.unique(found[mine])
        equal.append(
            values.size == 1 and values[0] > 0 and bool(((found == values[0]) == mine).all())
        )
    return equal
