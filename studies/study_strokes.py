"""Thresholds of objects that were learned from strokes: searched for on these, or estimated.

    python studies/study_strokes.py DATA --seeds 0 1

New networks learn from strokes on 2 % of the pixels (`training_study.painting`). Each is decoded as
a search on the strokes themselves would have it, and by the edges of the images, or the shares of
the objects where these tell nothing (`napari_unet.training.stroke_calibration`). Prints rows of
docs/results/training.md: AP, Dice and area are of the test images, which are known everywhere.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from training_study import data
from training_study.figures import markdown
from training_study.learning import SMALL
from training_study.painting import BATCH, PATCH, scribbled

import napari_unet as nu
from napari_unet.card import Decoding
from napari_unet.training.calibration import calibrate
from napari_unet.training.scoring import make_pieces, predict_piece
from napari_unet.training.stroke_calibration import (
    estimate_share_threshold,
    find_edge_threshold,
    limit_threshold,
)

SHARE = 0.02
HEAD = ["images", "seed", "threshold", "by", "AP at IoU 0.5", "0.75", "Dice", "area"]


def load(name: str, folder: Path, seed: int) -> tuple[list[nu.Example], list[nu.Example]]:
    """Images to paint on, and tests."""
    if name == "fluorescence":
        return data.fluorescence(folder)
    if name == "histology":
        return data.histology(folder, seed)
    images = list(data.phase_contrast(folder).values())
    test = images.pop(seed % len(images))
    return images, [test]


def score(model: nu.Model, tests: list[nu.Example]) -> list[str]:
    """AP at two IoU, Dice and area over the true one."""
    found = [nu.segment(test.image, model, axes=test.axes) for test in tests]
    scores = nu.evaluate(found, [test.labels for test in tests], task="instance")
    area = float("nan") if scores.area_ratio is None else scores.area_ratio
    told = (scores.ap_mean[0.5], scores.ap_mean[0.75], scores.dice_mean, area)
    return [f"{value:.2f}" for value in told]


def main() -> None:
    """Train, decode twice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--models", type=Path, help="folder that keeps the trained models")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    settings: dict[str, Any] = {"task": "instance", "patch": PATCH, "batch_size": BATCH}
    settings |= {"features": SMALL, "steps": asked.steps, "validation_every": asked.steps}
    for name in ("fluorescence", "histology", "phase contrast"):
        for seed in asked.seeds:
            training, tests = load(name, asked.data, seed)
            strokes, _ = scribbled(training, SHARE, seed, instances=True)
            kept = asked.models and asked.models / f"{name}-{seed}.safetensors"
            if kept and kept.exists():
                model = nu.Model.load(kept)
            else:
                model = nu.train(strokes, seed=seed, device="cpu", threads=1, **settings)
                if kept:
                    model.save(kept)
            plain = replace(model, card=model.card.model_copy(update={"decoding": Decoding()}))
            pieces = make_pieces(strokes, model.card)
            predictions = [predict_piece(plain, piece) for piece in pieces]
            edge = find_edge_threshold(predictions, pieces)
            share = estimate_share_threshold(predictions, pieces)
            ways = {"strokes": None, "edges": edge, "shares": share}
            for way, estimate in ways.items():
                if way != "strokes" and estimate is None:
                    continue
                threshold = estimate and limit_threshold(estimate, predictions, pieces)
                decoding = calibrate(predictions, pieces, threshold=threshold)
                card = model.card.model_copy(update={"decoding": decoding})
                taken = way == "edges" or (way == "shares" and edge is None)
                told = f"**{way}**" if taken else way
                row = [name, str(seed), f"{decoding.threshold:.2f}", told]
                rows.append([*row, *score(replace(model, card=card), tests)])
                print(rows[-1], flush=True)
            known = np.mean([np.mean(np.asarray(each.labels) > 0) for each in strokes])
            print(f"{known:.1%} painted", flush=True)
    print(markdown(HEAD, rows))


if __name__ == "__main__":
    main()
