"""Gradients of a batch from its shards, computed side by side on the threads of a CPU.

Each shard goes through the network on a thread of its own; the loss is that of the whole batch.
Batch norm sees the patches of its shard (ghost batch norm, Hoffer et al. 2017, section 4), and its
running statistics take the mean over the shards. How many shards there are depends on the batch
and on the number of threads alone, so that equal trainings stay equal whatever else runs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from concurrent.futures import wait
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from napari_unet.network.threads import Workers, limit_threads
from napari_unet.training.batch_norm import find_norms, update_statistics
from napari_unet.training.losses import Loss
from napari_unet.training.patch_sampling import Batch
from napari_unet.training.precision import (
    accept_gradients,
    compute_gradients,
    run_network,
)

MIN_PATCHES = 2  # of a shard with batch norm, whose statistics one patch would not give

Result = TypeVar("Result")


class DataParallel:
    """A network whose gradients come from shards of a batch.

    Parameters
    ----------
    network : torch.nn.Module
        What is trained; its parameters are shared by all shards.
    threads : int
        Of torch, in all.
    batch_size : int
        Patches in a batch; batches may be smaller. On a GPU there is one shard.
    """

    def __init__(self, network: nn.Module, threads: int, batch_size: int) -> None:
        self.network = network
        self._threads = threads
        self._parameters = list(network.parameters())
        self._least = MIN_PATCHES if find_norms(network) else 1
        on_cpu = all(each.device.type == "cpu" for each in self._parameters)
        self._workers = Workers(threads, batch_size // self._least if on_cpu else 1)
        shared = {id(each): each for each in self._parameters}
        copies = self._workers.count if self._workers.count > 1 else 0
        self._replicas = [copy.deepcopy(network, dict(shared)) for _ in range(copies)]

    @property
    def threads_each(self) -> int:
        """Threads of torch that a shard uses; also enough for the small work in between."""
        return self._workers.threads_each

    def close(self) -> None:
        """End the threads; they begin anew where they are needed."""
        self._workers.close()

    def compute_gradients(self, batch: Batch, loss: Loss, precision: str) -> float | None:
        """Forward and backward pass; the loss, or None where it or a gradient is not finite.

        Then there are no gradients, and the statistics of batch norm are those from before.
        """
        shards = min(self._workers.count, len(batch.image) // self._least)
        if shards <= 1:  # also where the batch has become smaller: all threads within layers
            with limit_threads(self._threads):
                return compute_gradients(self.network, batch, loss, precision)
        replicas = self._replicas[:shards]
        for replica in replicas:
            self._prepare(replica)
        given = (part.tensor_split(shards) for part in batch)
        sums = self._run_all(_sum_loss, replicas, *given, [loss] * shards, [precision] * shards)
        total = torch.stack([each.detach() for each in sums]).sum(0).requires_grad_()
        value = loss.combine(total)
        self.network.zero_grad(set_to_none=True)
        if not math.isfinite(float(value.detach())):
            return None
        value.backward()  # type: ignore[no-untyped-call]
        found = self._run_all(self._differentiate, sums, [total.grad] * shards)
        for parameter, *gradients in zip(self._parameters, *found, strict=True):
            parameter.grad = _add(parameter, gradients)
        if not accept_gradients(self.network):
            return None
        self._merge_statistics(replicas, [1.0] * shards)
        return float(value.detach())

    def update_statistics(self, batches: Iterable[Tensor]) -> None:
        """As `napari_unet.training.batch_norm.update_statistics`, some batches on each thread."""
        if self._workers.count == 1 or not find_norms(self.network):
            update_statistics(self.network, batches)
            return
        images = list(batches)
        groups = [images[i :: self._workers.count] for i in range(self._workers.count)]
        groups = [group for group in groups if group]
        replicas = self._replicas[: len(groups)]
        self._run_all(update_statistics, replicas, groups)
        self._merge_statistics(replicas, [float(len(group)) for group in groups])
        self.network.train()

    def _run_all(self, work: Callable[..., Result], *given: Iterable[Any]) -> list[Result]:
        """The results of all pieces of work; none of them goes on after an error."""
        futures = [self._workers.submit(work, *each) for each in zip(*given, strict=True)]
        wait(futures)
        return [each.result() for each in futures]

    def _differentiate(self, sums: Tensor, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return torch.autograd.grad(sums, self._parameters, gradient, allow_unused=True)

    def _prepare(self, replica: nn.Module) -> None:
        """Let a replica be in the mode, and begin with the statistics, of the network."""
        for own, given in zip(replica.modules(), self.network.modules(), strict=True):
            own.training = given.training
        for own, given in zip(find_norms(replica), find_norms(self.network), strict=True):
            for value, begin in zip(own.buffers(), given.buffers(), strict=True):
                value.copy_(begin)

    def _merge_statistics(self, replicas: list[nn.Module], weights: list[float]) -> None:
        """Give the network the weighted mean of the statistics of batch norm."""
        shares = [weight / sum(weights) for weight in weights]
        for norm, *others in zip(
            find_norms(self.network), *(find_norms(each) for each in replicas), strict=True
        ):
            for value, *found in zip(
                norm.buffers(), *(each.buffers() for each in others), strict=True
            ):
                mean = sum(each.double() * share for each, share in zip(found, shares, strict=True))
                value.copy_(mean)


def _sum_loss(
    network: nn.Module, image: Tensor, target: Tensor, known: Tensor, loss: Loss, precision: str
) -> Tensor:
    """What a shard adds to the sums of the loss."""
    return loss.sums(run_network(network, image, precision), target, known)


def _add(parameter: Tensor, gradients: Iterable[Tensor | None]) -> Tensor | None:
    """The sum, in the memory layout of the parameter: the optimizer goes over both in step."""
    total: Tensor | None = None
    for each in gradients:
        if each is not None:
            total = torch.empty_like(parameter).copy_(each) if total is None else total.add_(each)
    return total
