"""Trainings of the denoising recipe from torch's first weights and from those of the package.

    python studies/study_first_weights.py DATA --steps 120 --seed 1

Prints the mean PSNR of held-out images at each validation, in dB, and in the end that of each third
of them, from little noise to much, after a straight line.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import astuple
from pathlib import Path
from unittest import mock

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from recipes import denoise
from recipes.recipe import run_printing

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
    model = run_printing(job)
    by_noise = sorted(tests, key=lambda test: denoise.noise_level(np.asarray(test.image)))
    found = [denoise.score_image(model, test) for test in by_noise]
    for third in np.array_split(np.array([astuple(score) for score in found]), 3):
        noisy, reached, filtered = third.mean(0)
        print(
            f"{name}, seed {seed}: noisy {noisy:.2f}, model {reached:.2f}, "
            f"non-local means {filtered:.2f} dB",
            flush=True,
        )


def main() -> None:
    """All three, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    given = arguments.data, arguments.steps, arguments.seed
    no_image = mock.patch("napari_unet.training.network_choice.can_be_identity", return_value=False)
    with no_image, mock.patch("napari_unet.network.unet.keep_variance"):
        train(*given, "torch's draw")
    with no_image:
        train(*given, "passing on the variance")
    train(*given, "identity")


if __name__ == "__main__":
    main()
