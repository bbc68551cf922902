"""Statistics of batch norm while a network is trained on few or small patches."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def find_norms(network: nn.Module) -> list[nn.BatchNorm2d | nn.BatchNorm3d]:
    """The batch-norm layers of a network."""
    return [
        module
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d)
    ]


def update_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics by plain means over batches.

    A running mean over small batches is noisy and lags behind the weights. The network is
    left in training mode.

    Parameters
    ----------
    network : torch.nn.Module
        Any network; nothing happens where it has no batch norm.
    batches : iterable of (B, C, *spatial) tensors
        Drawn only if they are needed.
    """
    norms = find_norms(network)
    if not norms:
        return
    momentum = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    network.train()
    for batch in batches:
        with torch.inference_mode():
            network(batch)
    for norm, value in zip(norms, momentum, strict=True):
        norm.momentum = value


def freeze_statistics(network: nn.Module) -> None:
    """Let batch norm use its running statistics, and keep them, while all else trains.

    ``network.train()`` undoes it.
    """
    for norm in find_norms(network):
        norm.eval()
