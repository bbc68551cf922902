"""Planes and volumes that patches are cut from: cached in memory, or read as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.dataset.label_statistics import FrameStatistics, LabelStatistics
from napari_unet.dataset.labelled_image import LabelledImage
from napari_unet.dataset.opening import map_side_by_side
from napari_unet.dataset.targets import INSTANCE_TARGETS, TargetSpec, encode_target
from napari_unet.image.normalization import IntensityLimits
from napari_unet.image.normalized_region import normalize
from napari_unet.image.source import Window
from napari_unet.tiling import Region

MAX_FRAME_BYTES = 128 << 20  # a larger frame is read patch by patch
MAX_CACHED_BYTES = 1 << 30  # of the frames that are cached
CONTEXT_PIXELS = 32  # around a patch, for the targets of the objects that it cuts

Patch = tuple[NDArray[np.float32], NDArray[Any], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Frame:
    """One plane (2D network) or volume (3D network) with what is known of it.

    Attributes
    ----------
    labelled : LabelledImage
        Where it is read from.
    statistics : FrameStatistics
        Its time point, plane, and the places of its labels.
    limits : sequence of (low, high)
        Of each channel's intensities, that become 0 and 1.
    target_spec : TargetSpec
        What the labels become.
    cached : tuple of array or None
        Image (C, *spatial), target (M, *spatial) and known (1, *spatial), if in memory.
    fill : tuple of tuple of float
        Values of each channel's fill around the image.
    hot : tuple of float
        By how much hot pixels of each channel exceed their neighbours; 0: there are none.
    saturated : tuple of float
        From which value pixels of each channel are saturated lumps; infinity: there are none.
    image_part : mapping of str to slice
        Rows and columns inside straight borders of fill; empty: there are none.
    """

    labelled: LabelledImage
    statistics: FrameStatistics
    limits: Sequence[tuple[float, float]]
    target_spec: TargetSpec
    cached: Patch | None = None
    fill: tuple[tuple[float, ...], ...] = ()
    hot: tuple[float, ...] = ()
    saturated: tuple[float, ...] = ()
    image_part: Window = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the spatial axes, as the network has them."""
        shape = self.labelled.shape
        return shape if self.statistics.plane is None else shape[1:]

    def read(self, part: Region) -> Patch:
        """Image, target and known pixels of a part inside the frame."""
        if self.cached is not None:
            image, target, known = (array[:, *part] for array in self.cached)
            return image, target, known
        target, trusted = self._read_target(part)
        return self.read_image(part), target, trusted[None].astype(np.float32)

    def read_target(self, part: Region) -> NDArray[Any]:
        """Target (M, *part), without reading the image."""
        return self._read_target(part)[0] if self.cached is None else self.cached[1][:, *part]

    def _read_target(self, part: Region) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        around = tuple(
            slice(max(0, p.start - CONTEXT_PIXELS), min(n, p.stop + CONTEXT_PIXELS))
            for p, n in zip(part, self.shape, strict=True)
        )
        labels, trusted = self.read_labels(around)
        sides = self._open_sides(around)
        target = encode_target(
            labels, trusted, self.target_spec, sides, self.statistics.median_size
        )
        inner = tuple(
            slice(p.start - a.start, p.stop - a.start) for p, a in zip(part, around, strict=True)
        )
        return target[:, *inner], trusted[inner]

    def read_image(self, part: Region) -> NDArray[np.float32]:
        """Normalised pixels (C, *part)."""
        if self.cached is not None:
            return self.cached[0][:, *part]
        pixels = self.labelled.read_image(self.statistics.time, self._source_region(part))
        image = normalize(pixels, tuple(self.limits), self.fill, self.hot, self.saturated)
        return image if self.statistics.plane is None else image[:, 0]

    def read_labels(self, part: Region) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Labels (K, *part), and (*part) where they are known."""
        labels, known = self.labelled.read_labels(self.statistics.time, self._source_region(part))
        return (labels, known) if self.statistics.plane is None else (labels[:, 0], known[0])

    def find_looked_at(self, part: Region, labels: NDArray[Any]) -> NDArray[np.bool_] | None:
        """(*part) where somebody has looked at ``labels``, (K, *part); None: everywhere."""
        correction, plane = self.labelled.correction, self.statistics.plane
        if correction is None:
            return None
        first, start = self._source_region(part)[0], self.labelled.window[0].start
        planes = slice(start + first.start, start + first.stop)
        if plane is None:
            return correction.looked_at(labels[0], self.statistics.time, planes)
        found: NDArray[np.bool_] = correction.looked_at(labels[:1], self.statistics.time, planes)[0]
        return found

    def crop_window(self, start: NDArray[np.intp], window: tuple[int, ...]) -> Patch:
        """A window, its image edge-repeated past the frame, where nothing is known."""
        part = tuple(
            slice(max(0, int(s)), max(0, min(n, int(s) + w)))
            for s, w, n in zip(start, window, self.shape, strict=True)
        )
        image, target, known = self.read(part)
        pad = [
            (p.start - int(s), int(s) + w - p.stop)
            for s, w, p in zip(start, window, part, strict=True)
        ]
        if any(before or behind for before, behind in pad):
            image = np.pad(image, ((0, 0), *pad), mode="edge")
            target = np.pad(target, ((0, 0), *pad), mode="edge")
            known = np.pad(known, ((0, 0), *pad))
        return image, target, known

    def _open_sides(self, part: Region) -> tuple[tuple[bool, bool], ...]:
        """For each axis whether the image goes on before and behind a part.

        It does so behind the edge of a piece as well, where pixels are held out: objects that
        are cut there are known in part.
        """
        window, source = self.labelled.window, self.labelled.source
        image = [self.image_part.get(a, slice(0, source.size(a))) for a in source.spatial]
        return tuple(
            (w.start + p.start > i.start, w.start + p.stop < i.stop)
            for w, p, i in zip(window[-len(part) :], part, image[-len(part) :], strict=True)
        )

    def _source_region(self, part: Region) -> Region:
        plane = self.statistics.plane
        return part if plane is None else (slice(plane, plane + 1), *part)


def crop_to_image(labelled: LabelledImage, limits: IntensityLimits) -> LabelledImage | None:
    """An example without borders of fill, which no network sees; None where it is all border."""
    inside = [
        limits.window.get(axis, own)
        for axis, own in zip(labelled.source.spatial, labelled.window, strict=True)
    ]
    cut = tuple(
        slice(max(own.start, part.start), min(own.stop, part.stop))
        for own, part in zip(labelled.window, inside, strict=True)
    )
    return None if any(p.start >= p.stop for p in cut) else replace(labelled, window=cut)


def make_frames(
    labelled: LabelledImage,
    statistics: LabelStatistics,
    target_spec: TargetSpec,
    limits: IntensityLimits,
) -> list[Frame]:
    """Frames of an example with anything known in them; nothing is read yet."""
    start = labelled.window[0].start if len(labelled.window) == 3 else 0
    planes = [0 if each.plane is None else start + each.plane for each in statistics.frames]
    return [
        Frame(
            labelled,
            each,
            limits.at(each.time, plane),
            target_spec,
            fill=limits.fill,
            hot=limits.hot,
            saturated=limits.saturated,
            image_part=limits.window,
        )
        for each, plane in zip(statistics.frames, planes, strict=True)
    ]


def cache_frames(frames: Sequence[Frame], threads: int = 1) -> list[Frame]:
    """Read frames into memory, up to `MAX_CACHED_BYTES` in total, several at a time."""
    used = sum(_count_bytes(frame) for frame in frames if frame.cached is not None)
    chosen: list[Frame] = []
    for frame in frames:
        size = _count_bytes(frame)
        if frame.cached is None and size <= MAX_FRAME_BYTES and used + size <= MAX_CACHED_BYTES:
            used += size
            chosen.append(frame)
    patches = map_side_by_side(_read_whole, chosen, [each.labelled for each in chosen], threads)
    cached = {
        id(frame): replace(frame, cached=patch)
        for frame, patch in zip(chosen, patches, strict=True)
    }
    return [cached.get(id(frame), frame) for frame in frames]


def _read_whole(frame: Frame) -> Patch:
    return frame.read(tuple(slice(0, n) for n in frame.shape))


def _count_bytes(frame: Frame) -> int:
    target_spec = frame.target_spec
    target = {
        "instance": 2 * len(INSTANCE_TARGETS),
        "semantic": 1,
        "regression": 4 * target_spec.channels,
    }
    channels = len(frame.labelled.source.channels)
    # image and known pixels are float32
    return int(np.prod(frame.shape)) * (4 * channels + 4 + target[target_spec.task])
