"""AdamW in its functional form."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from napari_unet.training.optimizer import AdamW


def take_step(network: nn.Module, optimizer: AdamW | torch.optim.AdamW, seed: int) -> None:
    network.zero_grad()
    x = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    network(x).square().mean().backward()
    optimizer.step()


def test_it_is_torchs_optimizer_and_goes_on_from_its_checkpoint() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 2, 1))
    network = network.to(memory_format=torch.channels_last)
    network[2].bias.requires_grad_(requires_grad=False)
    other = copy.deepcopy(network)
    own = AdamW(network.parameters(), 1e-2, 0.1)
    theirs = torch.optim.AdamW(other.parameters(), lr=1e-2, weight_decay=0.1)
    for step in range(6):
        if step == 3:  # both go on from a state that was stored, with another rate
            own.load_state_dict(copy.deepcopy(theirs.state_dict()))
            own.learning_rate = theirs.param_groups[0]["lr"] = 1e-3
            stored = copy.deepcopy(own.state_dict())
            own.forget()
            own.load_state_dict(stored)
        take_step(network, own, step)
        take_step(other, theirs, step)
    for mine, yours in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-5, atol=1e-7)


FIRST_STEP = """
import sys
import numpy as np
from napari_unet import Example, iter_train
labels = np.zeros((64, 64), np.uint8)
labels[8:24, 8:24] = 1
for precision in ("float32", "bfloat16", "auto"):
    job = iter_train(
        [Example(labels > 0, labels, axes="YX")], steps=9, patch=(32, 32), batch_size=1,
        features=(16, 32), precision=precision,
    )
    next(job)
print(*(name for name in ("torch._dynamo", "sympy") if name in sys.modules))
"""


@pytest.mark.process
def test_a_training_begins_without_torchs_compiler() -> None:
    """It takes seconds to import."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_STEP], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
