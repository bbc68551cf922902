"""float32 and bfloat16 in prediction: the figures of docs/decisions/precision.md.

    python studies/measure_precision.py scores DATA float32 bfloat16
    python studies/measure_precision.py speed

``scores`` segments the images of ``scripts/nuclei_validation.txt`` with the bundled model in
each format and notes the average precision. ``speed`` times both formats in turn on one block,
so that other load meets both; the median of the ratios is noted under the instruction set that
oneDNN may use (``ONEDNN_MAX_CPU_ISA``; "DEFAULT": all). Both add to
``docs/decisions/precision.json``.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch

import napari_unet as nu
from napari_unet.inference.prepared_network import prepare_network
from napari_unet.network.unet import UNet
from napari_unet.unet_config import UNetConfig

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "decisions" / "precision.json"
REPEATS = 5
CASES: list[tuple[Any, tuple[int, ...], int]] = [
    (2, (8, 16, 32), 256),
    (2, (16, 32, 64, 128, 256), 256),
    (2, (16, 32, 64, 128, 256), 512),
    (2, (32, 64, 128, 256), 512),
    (3, (8, 16, 32), 48),
    (3, (16, 32, 64), 64),
    (3, (32, 64, 128), 64),
]


def measure_scores(data: Path, precision: str) -> dict[str, dict[str, float]]:
    """AP of the bundled model by IoU threshold: of all objects, and as mean over the images."""
    names = (ROOT / "scripts" / "nuclei_validation.txt").read_text().split()
    model = nu.Model.load("nuclei")
    found, truth = [], []
    for name in names:
        image = tifffile.imread(data / "images" / name)
        found.append(nu.segment(image, model, device="cpu", precision=precision))
        truth.append(tifffile.imread(data / "labels" / name))
    scores = nu.evaluate(found, truth)
    return {
        "pooled": {str(iou): round(ap, 5) for iou, ap in scores.ap.items()},
        "mean": {str(iou): round(ap, 5) for iou, ap in scores.ap_mean.items()},
    }


def measure_ratio(ndim: Any, features: tuple[int, ...], size: int) -> float:
    """Time in bfloat16 over time in float32."""
    config = UNetConfig(ndim=ndim, in_channels=1, out_channels=2, features=features)
    network = UNet(config).eval()
    single, half = (
        prepare_network(network, torch.device("cpu"), p) for p in ("float32", "bfloat16")
    )
    block = np.random.default_rng(0).random((1, *(size,) * ndim), np.float32)
    single(block), half(block)  # the first calls plan and allocate
    ratios = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        single(block)
        middle = time.perf_counter()
        half(block)
        ratios.append((time.perf_counter() - middle) / (middle - start))
    return round(statistics.median(ratios), 2)


def write(part: str, key: str, values: Any) -> None:
    """Add figures to those that are there."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results.setdefault(part, {})[key] = values
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    """Measure what the command line asks for."""
    if sys.argv[1] == "scores":
        for precision in sys.argv[3:]:
            write("scores", precision, measure_scores(Path(sys.argv[2]), precision))
    else:
        isa = os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT")
        ratios = {
            f"{n}D {features} {size}": measure_ratio(n, features, size)
            for n, features, size in CASES
        }
        write("bfloat16 over float32, time", isa, ratios)


if __name__ == "__main__":
    main()
