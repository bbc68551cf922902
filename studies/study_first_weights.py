"""A training of the denoising recipe from torch's first weights and from those of the package.

    python studies/study_first_weights.py DATA --steps 120 --seed 1

Prints the PSNR of held-out images at each validation, in dB.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from unittest import mock

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from recipes import denoise

import napari_unet as nu

IMAGES, TESTS = 40, 10  # real ones, and as many that were drawn
VALIDATIONS = 6


def train(data: Path, steps: int, seed: int, name: str) -> None:
    """Train and print the validations."""
    taught = denoise.make_examples(data, IMAGES, IMAGES, seed, held_out=False, noises=2)
    tests = denoise.make_examples(data, TESTS, TESTS, 1, held_out=True)
    settings = denoise.RECIPE.settings | {"seed": seed, "threads": 1, "device": "cpu"}
    every = max(1, steps // VALIDATIONS)
    job = nu.iter_train(taught, validation=tests, steps=steps, validation_every=every, **settings)
    for step in job:
        if step.metric is not None:
            print(f"{name}, seed {seed}, step {step.step}: {step.metric:.2f} dB", flush=True)


def main() -> None:
    """Both, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    given = arguments.data, arguments.steps, arguments.seed
    with mock.patch("napari_unet.network.unet._keep_variance"):
        train(*given, "torch's draw")
    train(*given, "passing on the variance")


if __name__ == "__main__":
    main()
