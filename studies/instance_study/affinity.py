"""Foreground and affinities: whether two pixels an offset apart are of one object.

Decoded by the mutex watershed (Wolf et al. 2018), or by a watershed on their mean.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from instance_study.representation import (
    DEPTHS,
    Decoder,
    Labels,
    Maps,
    Representation,
    flood_cores,
    hills,
    turn,
    two_part_loss,
)
from napari_unet.renumbering import compact_labels


class Affinity(Representation):
    """F: foreground and affinities to the nearest and to some farther pixels."""

    key = "F"
    title = "foreground + affinities"

    @property
    def offsets(self) -> tuple[tuple[int, ...], ...]:
        """The nearest pixel along each axis, then far ones that tell objects apart."""
        far = int(np.clip(round(0.75 * self.radius), 3, 12))
        if self.ndim == 2:
            return ((-1, 0), (0, -1), (-far, 0), (0, -far), (-far, -far), (-far, far))
        deep = max(2, far // 2)  # planes are farther apart than pixels
        return ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (-deep, 0, 0), (0, -far, 0), (0, 0, -far))

    @property
    def channels(self) -> int:
        """Foreground, one affinity for each offset."""
        return 1 + len(self.offsets)

    @property
    def decoders(self) -> tuple[Decoder, ...]:
        """Mutex watershed; seeds where the near affinities are high, and watershed."""
        return (
            Decoder("mutex watershed", (-0.2, -0.1, 0.0, 0.1, 0.2), self._mutex),
            Decoder("level seeds, watershed", (0.5, 0.6, 0.7, 0.8, 0.9), self._levels),
            Decoder("hills split by depth", DEPTHS, self._split),
        )

    def cached(self, labels: Labels) -> Maps:
        """The labels: affinities are cheaper to compute than to keep."""
        return compact_labels(labels).astype(np.float32)[None]

    def turned(self, crop: Maps, quarters: int, flips: tuple[int, ...]) -> Maps:
        """Affinities of the turned labels."""
        return self.encode(turn(crop[0], quarters, flips).astype(np.uint32))

    def encode(self, labels: Labels) -> Maps:
        """Foreground and affinities; NaN where the other pixel lies outside the array."""
        out = np.full((self.channels, *labels.shape), np.nan, np.float32)
        out[0] = labels > 0
        for channel, offset in enumerate(self.offsets, start=1):
            here, there = _pairs(offset)
            same = (labels[here] == labels[there]) & (labels[here] > 0)
            out[(channel, *here)] = same
        return out

    def undetermined(self, labels: Labels, edge: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Pairs of which one pixel lies outside."""
        del edge
        return np.isnan(self.encode(labels))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy and Dice of the foreground and of the affinities."""
        return two_part_loss(logits, targets)

    def _strength(self, maps: Maps) -> NDArray[np.float32]:
        """Mean of the near affinities of each pixel, on both its sides."""
        total = np.zeros(maps[0].shape, np.float32)
        for channel in range(1, 1 + self.ndim):
            affinity = np.nan_to_num(maps[channel], nan=1.0)
            here, there = _pairs(self.offsets[channel - 1])
            total += affinity
            total[there] += affinity[here]
        return total / (2 * self.ndim)

    def _split(self, maps: Maps, threshold: float, depth: float) -> Labels:
        return hills(self._strength(maps), maps[0] > threshold, depth)

    def _levels(self, maps: Maps, threshold: float, level: float) -> Labels:
        strength = self._strength(maps)
        return flood_cores(-strength, strength > level, maps[0] > threshold)

    def _mutex(self, maps: Maps, threshold: float, bias: float) -> Labels:
        """Edges from the surest on: near ones join, far ones forbid to join."""
        mask = maps[0] > threshold
        place = np.full(mask.shape, -1, np.int32)
        place[mask] = np.arange(np.count_nonzero(mask))
        weights, ends, kinds = [], [], []
        for channel, offset in enumerate(self.offsets, start=1):
            here, there = _pairs(offset)
            near = channel <= self.ndim
            both = mask[here] & mask[there]
            if not near:  # every second pixel of an axis is enough of the far ones
                thin = np.zeros_like(both)
                thin[(slice(None, None, 2),) * self.ndim] = True
                both &= thin
            value = maps[channel][here][both]
            weights.append(value + bias if near else 1 - value)
            ends.append(np.stack([place[here][both], place[there][both]], axis=1))
            kinds.append(np.full(value.size, near))
        level = np.clip(np.concatenate(weights) * 4000 + 4000, 0, 16000).astype(np.uint16)
        order = np.argsort(16000 - level, kind="stable")
        number = int(np.count_nonzero(mask))
        found = mutex_watershed(number, np.concatenate(ends)[order], np.concatenate(kinds)[order])
        out = np.zeros(mask.shape, np.int32)
        out[mask] = np.unique(found, return_inverse=True)[1] + 1
        return out


def _pairs(offset: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where pixels have their neighbour at the offset, and where these neighbours are."""
    here = tuple(slice(max(0, -o), min(0, -o) or None) for o in offset)
    there = tuple(slice(max(0, o), min(0, o) or None) for o in offset)
    return here, there


@numba.njit(cache=True)
def _root(parent, i):  # type: ignore[no-untyped-def]
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@numba.njit(cache=True)
def _forbidden(parent, head, follower, partner, a, b, lengths):  # type: ignore[no-untyped-def]
    if lengths[a] > lengths[b]:
        a, b = b, a
    k = head[a]
    while k >= 0:
        if _root(parent, partner[k]) == b:
            return True
        k = follower[k]
    return False


@numba.njit(cache=True)
def mutex_watershed(number, edges, joins):  # type: ignore[no-untyped-def]
    """Cluster of each of the nodes, from edges (M, 2) in falling order of their weight.

    Each cluster keeps a linked list of nodes that it must not join; two lists are chained
    when their clusters join.
    """
    parent = np.arange(number)
    size = np.ones(number, np.int64)
    head = np.full(number, -1, np.int64)
    tail = np.full(number, -1, np.int64)
    lengths = np.zeros(number, np.int64)
    follower = np.full(2 * edges.shape[0], -1, np.int64)
    partner = np.empty(2 * edges.shape[0], np.int64)
    used = 0
    for e in range(edges.shape[0]):
        a, b = _root(parent, edges[e, 0]), _root(parent, edges[e, 1])
        if a == b or _forbidden(parent, head, follower, partner, a, b, lengths):
            continue
        if joins[e]:
            if size[a] < size[b]:
                a, b = b, a
            parent[b] = a
            size[a] += size[b]
            if head[b] >= 0:
                if head[a] < 0:
                    head[a] = head[b]
                else:
                    follower[tail[a]] = head[b]
                tail[a] = tail[b]
                lengths[a] += lengths[b]
        else:
            for one, other in ((a, b), (b, a)):
                partner[used] = other
                if head[one] < 0:
                    head[one] = used
                else:
                    follower[tail[one]] = used
                tail[one] = used
                lengths[one] += 1
                used += 1
    for i in range(number):
        parent[i] = _root(parent, i)
    return parent
