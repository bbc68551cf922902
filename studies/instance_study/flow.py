"""Foreground and flows to the object's centre (Stringer et al. 2021), or away from its boundary.

Heat is released at the centre of each object and spreads within it; the flow is the unit
vector along the gradient of the logarithm of the heat. Pixels that follow the flow gather
near the centre. In 3D the flow is predicted in 3D at once.

A flow need not be followed: how much of it points to a pixel from around it is a height, whose
hills are split where it dips, as those of any other map.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cc3d
import edt
import numba
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import fftconvolve
from skimage.segmentation import watershed
from torch import Tensor

from instance_study.distance import all_but_foreground, as_volume, object_centres, touched
from instance_study.losses import masked_mean
from instance_study.representation import (
    Decoder,
    Labels,
    Maps,
    Representation,
    hills,
    probability_loss,
    turn,
)
from napari_unet.renumbering import compact_labels

STEPS = 200
"""Steps of one pixel at most along the flow, as in the paper."""
CONVERGENCE_DEPTHS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4)
"""Depths of the dips of the convergence, which are shallower than those of a distance."""
WINDOWS = (0.5, 1.0, 2.0)
"""Of the convergence, in median radii of the objects."""
FLOW_WEIGHT = 5.0
"""Flows are learned at this length and halved squared error, as in the paper."""


class Flow(Representation):
    """D: foreground and the flow to the centre, one component per axis."""

    key = "D"
    title = "foreground + flow"

    def __init__(self, ndim: int, radius: float) -> None:
        super().__init__(ndim, radius)
        self._last: tuple[Maps, float, NDArray[Any]] | None = None

    @property
    def channels(self) -> int:
        """Foreground, flow along each axis."""
        return 1 + self.ndim

    @property
    def decoders(self) -> tuple[Decoder, ...]:
        """Groups of the places where pixels end up: connected, or around peaks."""
        return (
            Decoder("flow, connected ends", (1, 2, 4, 8, 16), self._connected),
            Decoder("flow, peaks of ends", (2, 5, 10, 20, 40), self._peaks),
            *self._hills(),
        )

    def _hills(self) -> tuple[Decoder, ...]:
        return tuple(
            Decoder(
                f"hills of convergence within {n:g} radii", CONVERGENCE_DEPTHS, self._converging(n)
            )
            for n in WINDOWS
        )

    def _converging(self, radii: float) -> Callable[[Maps, float, float], Labels]:
        kernel = converging_kernel(self.ndim, max(2, round(radii * self.radius)))

        def decode(maps: Maps, threshold: float, depth: float) -> Labels:
            mask = maps[0] > threshold
            height = sum(
                fftconvolve(flow * mask, part, mode="same")
                for flow, part in zip(maps[1:], kernel, strict=True)
            )
            return hills(np.clip(0.5 + 0.5 * np.asarray(height), 0, 1), mask, depth)

        return decode

    def encode(self, labels: Labels) -> Maps:
        """Foreground and unit vectors; zero in the background."""
        ids = as_volume(compact_labels(labels))
        flows = heat_flow(ids)[3 - labels.ndim :].reshape(labels.ndim, *labels.shape)
        return np.concatenate([(labels > 0)[None], flows]).astype(np.float32)

    def turned(self, crop: Maps, quarters: int, flips: tuple[int, ...]) -> Maps:
        """Turn the maps and the vectors in them."""
        out = np.array(turn(crop, quarters, flips))
        for _ in range(quarters % 4):
            out[-2], out[-1] = -out[-1], out[-2].copy()
        for axis in flips:
            out[axis] = -out[axis]  # vectors come last, in the order of the axes
        return out

    def undetermined(self, labels: Labels, edge: NDArray[np.float32]) -> NDArray[np.bool_]:
        """The flow in an object that the edge touches: its centre is not known."""
        return all_but_foreground(touched(labels, edge), self.channels)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy and Dice of the foreground; squared error of the flow."""
        square = (logits[:, 1:] - FLOW_WEIGHT * targets[:, 1:]) ** 2 / 2
        flow = masked_mean(square, torch.ones_like(square))
        return probability_loss(logits[:, :1], targets[:, :1]) + flow

    def maps(self, logits: Tensor) -> Maps:
        """Foreground probability and flow."""
        values = logits[0].float()
        return np.ascontiguousarray(
            torch.cat([values[:1].sigmoid(), values[1:] / FLOW_WEIGHT]).numpy()
        )

    def _ends(self, maps: Maps, threshold: float) -> NDArray[Any]:
        # two decodings and several parameters ask for the same ends one after another
        if self._last is None or self._last[0] is not maps or self._last[1] != threshold:
            mask = as_volume(maps[0] > threshold)
            vectors = np.zeros((3, *mask.shape), np.float32)
            vectors[3 - self.ndim :] = maps[1:].reshape(self.ndim, *mask.shape)
            starts = np.stack(np.nonzero(mask), axis=1)
            self._last = (maps, threshold, follow(vectors, mask, starts, STEPS))
        return self._last[2]

    def _connected(self, maps: Maps, threshold: float, count: float) -> Labels:
        mask, ends = maps[0] > threshold, self._ends(maps, threshold)
        volume = as_volume(mask)
        number = _count(ends, volume.shape)
        groups = cc3d.connected_components(number >= count, connectivity=26)
        grown = ndimage.grey_dilation(groups, footprint=_ball(volume))
        grown = np.where(groups > 0, groups, grown)
        return _collect(grown, ends, mask)

    def _peaks(self, maps: Maps, threshold: float, count: float) -> Labels:
        mask, ends = maps[0] > threshold, self._ends(maps, threshold)
        volume = as_volume(mask)
        number = _count(ends, volume.shape)
        window = tuple(min(5, n) for n in volume.shape)
        peaks = (number == ndimage.maximum_filter(number, window)) & (number >= count)
        seeds = cc3d.connected_components(peaks, connectivity=26).astype(np.int32)
        near = ndimage.binary_dilation(number > 0, np.ones((3, 3, 3)))
        return _collect(watershed(-number, seeds, mask=near), ends, mask)


class BoundaryFlow(Flow):
    """H: foreground and the slope of the distance to the object's boundary."""

    key = "H"
    title = "foreground + flow from the boundary"

    @property
    def decoders(self) -> tuple[Decoder, ...]:
        """Hills of the convergence."""
        return self._hills()

    def encode(self, labels: Labels) -> Maps:
        """Foreground and vectors of length 1 or, between opposite sides, less."""
        ids = as_volume(compact_labels(labels))
        flows = distance_slope(ids)[3 - labels.ndim :].reshape(labels.ndim, *labels.shape)
        return np.concatenate([(labels > 0)[None], flows]).astype(np.float32)

    def undetermined(self, labels: Labels, edge: NDArray[np.float32]) -> NDArray[np.bool_]:
        """The flow where the edge is nearer than the boundary."""
        distance = edt.edt(compact_labels(labels), black_border=False)
        return all_but_foreground((labels > 0) & (distance + 1 > edge), self.channels)


def distance_slope(ids: Labels) -> NDArray[np.float32]:
    """Slope (3, Z, Y, X) of the distance to the boundary within each object, at most 1 long."""
    distance = np.asarray(edt.edt(ids, black_border=False), np.float32)
    distance[~np.isfinite(distance)] = 0
    out = np.zeros((3, *ids.shape), np.float32)
    for axis in range(3):
        flow, level, label = (np.moveaxis(a, axis, 0) for a in (out[axis], distance, ids))
        step = np.diff(level, axis=0) * ((label[1:] == label[:-1]) & (label[1:] > 0))
        sides = np.zeros(label.shape, np.float32)
        same = (label[1:] == label[:-1]).astype(np.float32)
        flow[1:] += step
        flow[:-1] += step
        sides[1:] += same
        sides[:-1] += same
        flow /= np.maximum(sides, 1)
    out /= np.maximum(np.sqrt((out**2).sum(0)), 1)
    return out


def converging_kernel(ndim: int, reach: int) -> NDArray[np.float64]:
    """Weights (ndim, *window) of a convolution: flow towards a pixel, less with its distance."""
    offsets = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1.0)] * ndim, indexing="ij"))
    distance = np.sqrt((offsets**2).sum(0))
    weight = np.clip(1 - distance / (reach + 0.5), 0, 1)
    kernel = offsets * weight / np.maximum(distance, 1)
    return np.asarray(kernel / np.sqrt((kernel**2).sum(0)).sum())


def _ball(volume: Labels) -> NDArray[np.bool_]:
    return np.ones(tuple(min(3, n) for n in volume.shape), bool)


def _count(ends: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.int32]:
    flat = np.ravel_multi_index(tuple(ends.T), shape)
    return np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(np.int32)


def _collect(groups: Labels, ends: NDArray[Any], mask: NDArray[np.bool_]) -> Labels:
    out = np.zeros(mask.shape, np.int32)
    out[mask] = groups[tuple(ends.T)]
    return out


def heat_flow(ids: Labels) -> NDArray[np.float32]:
    """Unit vectors (3, Z, Y, X) from each pixel of each object towards its centre."""
    flat = ids.ravel()
    inside = np.flatnonzero(flat)
    order = inside[np.argsort(flat[inside], kind="stable")]
    number = int(ids.max(initial=0))
    ends = np.cumsum(np.bincount(flat[order], minlength=number + 1))
    place = object_centres(ids)
    centre = np.ravel_multi_index(tuple(place.T), ids.shape)
    return np.asarray(_flow(ids, order, ends, centre)).reshape(3, *ids.shape)


@numba.njit(cache=True)
def _flow(ids, order, ends, centre):  # type: ignore[no-untyped-def]
    depth, height, width = ids.shape
    flat = ids.ravel()
    local = np.full(flat.size, -1, np.int32)
    out = np.zeros((3, flat.size), np.float32)
    for i in range(1, ends.size):
        first, last = ends[i - 1], ends[i]
        n = last - first
        if n == 0:
            continue
        pixels = order[first:last]
        neighbours = np.full((n, 6), n, np.int32)
        low = np.full(3, 1 << 30)
        high = np.zeros(3, np.int64)
        for k in range(n):
            local[pixels[k]] = k
        for k in range(n):
            p = pixels[k]
            z, y, x = p // (height * width), p // width % height, p % width
            if z > 0 and flat[p - height * width] == i:
                neighbours[k, 0] = local[p - height * width]
            if z < depth - 1 and flat[p + height * width] == i:
                neighbours[k, 1] = local[p + height * width]
            if y > 0 and flat[p - width] == i:
                neighbours[k, 2] = local[p - width]
            if y < height - 1 and flat[p + width] == i:
                neighbours[k, 3] = local[p + width]
            if x > 0 and flat[p - 1] == i:
                neighbours[k, 4] = local[p - 1]
            if x < width - 1 and flat[p + 1] == i:
                neighbours[k, 5] = local[p + 1]
            low[0], low[1], low[2] = min(low[0], z), min(low[1], y), min(low[2], x)
            high[0], high[1], high[2] = max(high[0], z), max(high[1], y), max(high[2], x)
        rounds = 2 * (high - low + 1).sum()
        start = 0 if depth > 1 else 2  # no neighbours in z in a plane
        share = 1.0 / (7 - start)
        heat = np.zeros(n + 1)  # the last one stands for all pixels outside
        fresh = np.zeros(n + 1)
        source = local[centre[i]]
        for _ in range(rounds):
            heat[source] += 1
            for k in range(n):
                total = heat[k]
                for j in range(start, 6):
                    total += heat[neighbours[k, j]]
                fresh[k] = total * share
            heat, fresh = fresh, heat
            heat[n] = 0
        for k in range(n):
            heat[k] = np.log(1e-60 + heat[k])
        heat[n] = np.log(1e-60)
        for k in range(n):
            vz = slope(heat, neighbours[k, 0], neighbours[k, 1], k, n)
            vy = slope(heat, neighbours[k, 2], neighbours[k, 3], k, n)
            vx = slope(heat, neighbours[k, 4], neighbours[k, 5], k, n)
            size = np.sqrt(vz * vz + vy * vy + vx * vx)
            if size > 1e-12:
                p = pixels[k]
                out[0, p], out[1, p], out[2, p] = vz / size, vy / size, vx / size
    return out


@numba.njit(cache=True)
def slope(heat, before, after, here, outside):  # type: ignore[no-untyped-def]
    """Slope of the heat along an axis, from the neighbours that lie in the object."""
    if before == outside and after == outside:
        return 0.0
    if before == outside:
        return 2 * (heat[after] - heat[here])
    if after == outside:
        return 2 * (heat[here] - heat[before])
    return heat[after] - heat[before]


@numba.njit(cache=True)
def follow(vectors, mask, starts, steps):  # type: ignore[no-untyped-def]
    """Where pixels (N, 3) end that follow the vectors (3, Z, Y, X), linearly interpolated."""
    depth, height, width = mask.shape
    ends = np.empty(starts.shape, np.int32)
    flat = depth == 1
    for i in range(starts.shape[0]):
        z, y, x = float(starts[i, 0]), float(starts[i, 1]), float(starts[i, 2])
        for _ in range(steps):
            y0, x0 = min(int(y), height - 2), min(int(x), width - 2)
            fy, fx = y - y0, x - x0
            z0 = 0 if flat else min(int(z), depth - 2)
            vz = vy = vx = 0.0
            for dz in range(1 if flat else 2):
                wz = 1.0 if flat else (z - z0 if dz else 1 - (z - z0))
                for dy in range(2):
                    wy = wz * (fy if dy else 1 - fy)
                    for dx in range(2):
                        w = wy * (fx if dx else 1 - fx)
                        # vectors outside the foreground do not pull
                        if mask[z0 + dz, y0 + dy, x0 + dx]:
                            if not flat:
                                vz += w * vectors[0, z0 + dz, y0 + dy, x0 + dx]
                            vy += w * vectors[1, z0 + dz, y0 + dy, x0 + dx]
                            vx += w * vectors[2, z0 + dz, y0 + dy, x0 + dx]
            if vz * vz + vy * vy + vx * vx < 1e-4:
                break
            z = min(max(z + vz, 0.0), depth - 1.0)
            y = min(max(y + vy, 0.0), height - 1.0)
            x = min(max(x + vx, 0.0), width - 1.0)
        ends[i, 0], ends[i, 1], ends[i, 2] = int(z + 0.5), int(y + 0.5), int(x + 0.5)
    return ends
