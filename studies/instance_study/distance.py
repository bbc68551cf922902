"""Foreground and distances: relative, with the centre's, and absolute but truncated."""

from __future__ import annotations

import edt
import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from instance_study.peaks import find_peaks
from instance_study.representation import (
    DEPTHS,
    Decoder,
    Labels,
    Maps,
    Representation,
    flood,
    flood_cores,
    hills,
)
from napari_unet.instances import maps as instances
from napari_unet.renumbering import compact_labels
from napari_unet.training.losses import task_loss

LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7)


def flood_levels(maps: Maps, threshold: float, level: float) -> Labels:
    """Seeds where the second map is above a level; watershed on it."""
    return flood_cores(-maps[1], maps[1] > level, maps[0] > threshold)


def split_hills(maps: Maps, threshold: float, depth: float) -> Labels:
    """Hills of the second map, split by the depth of the dips, as the package decodes."""
    return hills(maps[1], maps[0] > threshold, depth)


def split_mean_hills(maps: Maps, threshold: float, depth: float) -> Labels:
    """Hills of the mean of the second and the third map."""
    return hills((maps[1] + maps[2]) / 2, maps[0] > threshold, depth)


class _Distance(Representation):
    @property
    def channels(self) -> int:
        """Foreground, distance."""
        return 2

    @property
    def decoders(self) -> tuple[Decoder, ...]:
        """Watershed on the distance from seeds at a level; hills split by depth."""
        return (
            Decoder("level seeds, watershed", LEVELS, flood_levels),
            Decoder("hills split by depth", DEPTHS, split_hills),
        )

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The package's loss: soft cross-entropy and error, objects as much as background."""
        return task_loss("instance")(logits, targets, torch.ones_like(targets[:, :1]))


class RelativeDistance(_Distance):
    """B: foreground and the distance to the boundary over its largest value in the object."""

    key = "B"
    title = "foreground + relative distance"

    def encode(self, labels: Labels) -> Maps:
        """The package's maps."""
        return instances.encode(labels)

    def undetermined(self, labels: Labels, edge: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Every distance in an object that the edge touches."""
        return all_but_foreground(touched(labels, edge), self.channels)


def upper_bound(labels: Labels, edge: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the relative distance (B) of a cut object cannot exceed, whatever lies beyond.

    The distance seen in the cut is at least the true one; the largest distance that the cut
    determines is at most the object's true largest.
    """
    ids = compact_labels(labels)
    distance = np.asarray(edt.edt(ids, black_border=False), np.float32)
    sure = (distance <= edge) & (ids > 0)
    largest = np.ones(int(ids.max(initial=0)) + 1, np.float32)
    np.maximum.at(largest, ids[sure], distance[sure])
    return np.minimum(distance / largest[ids], 1) * (ids > 0)


class CentreDistance(_Distance):
    """C: as B, and the distance to the object's centre over its largest value (1 there)."""

    key = "C"
    title = "foreground + relative distances to boundary and centre"

    @property
    def channels(self) -> int:
        """Foreground, distance to the boundary, nearness to the centre."""
        return 3

    @property
    def decoders(self) -> tuple[Decoder, ...]:
        """Seeds at the centres and watershed on one distance or both; hills of both."""

        def levels(maps: Maps, threshold: float, level: float) -> Labels:
            return flood_cores(-maps[1], maps[2] > level, maps[0] > threshold)

        def dynamics(maps: Maps, threshold: float, depth: float) -> Labels:
            mask = maps[0] > threshold
            return flood(-(maps[1] + maps[2]), find_peaks(maps[2], mask, depth)[0], mask)

        return (
            Decoder("centre level seeds, watershed", (0.5, 0.6, 0.7, 0.8, 0.9), levels),
            Decoder("centre dynamics seeds, watershed", DEPTHS, dynamics),
            Decoder("hills split by depth", DEPTHS, split_mean_hills),
        )

    def encode(self, labels: Labels) -> Maps:
        """The package's maps, and the nearness to the centre."""
        ids = compact_labels(labels)
        nearness = centre_nearness(as_volume(ids)).reshape(ids.shape)
        return np.concatenate([instances.encode(ids), nearness[None]])

    def undetermined(self, labels: Labels, edge: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Both distances in an object that the edge touches."""
        return all_but_foreground(touched(labels, edge), self.channels)


class TruncatedDistance(_Distance):
    """E: foreground and the distance to the boundary in pixels, cut off at a length."""

    key = "E"
    title = "foreground + truncated distance"

    @property
    def length(self) -> float:
        """Where the distance is cut off: the median largest distance of the training objects."""
        return max(3.0, self.radius)

    def encode(self, labels: Labels) -> Maps:
        """Foreground, and the distance over the length, at most 1."""
        foreground, distance = self._truncated(labels)
        return np.stack([foreground, distance / self.length * foreground]).astype(np.float32)

    def undetermined(self, labels: Labels, edge: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Distances that are larger than the distance to the edge."""
        foreground, distance = self._truncated(labels)
        return all_but_foreground(foreground & (distance > edge), 2)

    def _truncated(self, labels: Labels) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        ids = compact_labels(labels)
        return ids > 0, np.minimum(edt.edt(ids, black_border=False), self.length)


class BothDistances(TruncatedDistance):
    """G: foreground, relative distance (B) and truncated distance (E)."""

    key = "G"
    title = "foreground + relative and truncated distance"

    @property
    def channels(self) -> int:
        """Foreground, relative distance, truncated distance."""
        return 3

    @property
    def decoders(self) -> tuple[Decoder, ...]:
        """Hills of the mean of both distances."""
        return (Decoder("hills split by depth", DEPTHS, split_mean_hills),)

    def encode(self, labels: Labels) -> Maps:
        """The maps of B, and the distance of E."""
        return np.concatenate([instances.encode(labels), super().encode(labels)[1:]])

    def undetermined(self, labels: Labels, edge: NDArray[np.float32]) -> NDArray[np.bool_]:
        """What B leaves open, and what E does."""
        relative = RelativeDistance(self.ndim, self.radius).undetermined(labels, edge)
        return np.concatenate([relative, super().undetermined(labels, edge)[1:]])


def touched(labels: Labels, edge: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels of the objects that reach the edge of the region."""
    cut = np.unique(labels[(edge <= 1) & (labels > 0)])
    return np.isin(labels, cut)


def all_but_foreground(pixels: NDArray[np.bool_], channels: int) -> NDArray[np.bool_]:
    """These pixels in every map but the foreground, (channels, *shape)."""
    return np.stack([np.zeros_like(pixels), *[pixels] * (channels - 1)])


def as_volume(labels: Labels) -> Labels:
    """Labels with three axes."""
    return labels.reshape((1,) * (3 - labels.ndim) + labels.shape)


def object_centres(ids: Labels) -> NDArray[np.int64]:
    """For each label, the (Z, Y, X) of its pixel nearest to its centre of mass."""
    return _centres(ids, int(ids.max(initial=0)))


@numba.njit(cache=True)
def _centres(ids, number):  # type: ignore[no-untyped-def]
    mass = np.zeros((number + 1, 3))
    size = np.zeros(number + 1)
    for z in range(ids.shape[0]):
        for y in range(ids.shape[1]):
            for x in range(ids.shape[2]):
                i = ids[z, y, x]
                if i > 0:
                    mass[i, 0] += z
                    mass[i, 1] += y
                    mass[i, 2] += x
                    size[i] += 1
    best = np.full(number + 1, np.inf)
    place = np.zeros((number + 1, 3), np.int64)
    for z in range(ids.shape[0]):
        for y in range(ids.shape[1]):
            for x in range(ids.shape[2]):
                i = ids[z, y, x]
                if i > 0:
                    far = (
                        (z - mass[i, 0] / size[i]) ** 2
                        + (y - mass[i, 1] / size[i]) ** 2
                        + (x - mass[i, 2] / size[i]) ** 2
                    )
                    if far < best[i]:
                        best[i] = far
                        place[i, 0], place[i, 1], place[i, 2] = z, y, x
    return place


@numba.njit(cache=True)
def _nearness(ids, place):  # type: ignore[no-untyped-def]
    largest = np.zeros(place.shape[0])
    out = np.zeros(ids.shape, np.float32)
    for step in range(2):
        for z in range(ids.shape[0]):
            for y in range(ids.shape[1]):
                for x in range(ids.shape[2]):
                    i = ids[z, y, x]
                    if i > 0:
                        far = np.sqrt(
                            (z - place[i, 0]) ** 2 + (y - place[i, 1]) ** 2 + (x - place[i, 2]) ** 2
                        )
                        if step == 0:
                            largest[i] = max(largest[i], far)
                        else:
                            out[z, y, x] = 1 - far / max(largest[i], 1.0)
    return out


def centre_nearness(ids: Labels) -> NDArray[np.float32]:
    """One minus the distance to the object's centre over its largest value."""
    return np.asarray(_nearness(ids, object_centres(ids)))
