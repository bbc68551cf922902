"""A prediction decided in every detail: device, precision, tiles, zoom, intensity limits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import psutil
import torch

from napari_unet.card import ModelCard
from napari_unet.errors import SettingsError
from napari_unet.image.normalization import IntensityLimits, find_limits
from napari_unet.image.source import ImageSource
from napari_unet.inference.prepared_network import PreparedNetwork, prepare_network
from napari_unet.inference.resampling import resampled_shape
from napari_unet.network.devices import resolve_device
from napari_unet.network.model import Model
from napari_unet.network.threads import count_threads
from napari_unet.settings import SegmentSettings, fill_decoding
from napari_unet.tiling import Region, TilePlan, per_axis
from napari_unet.unet_config import UNetConfig

CPU_TILE_BYTES = 1 << 30
# Pixels that tiles compute for each that they keep, above which a tile may take more: with the deep
# halo of a 3D network, 1 GiB leaves tiles that are little but halo (studies/measure_seconds.py)
MAX_COMPUTED = 2.0
MIN_TILE_BYTES = 1 << 24
LIVE_FEATURE_MAPS = 9  # at full resolution: studies/measure_memory.py
# Of what larger tiles compute, for smaller ones, a thread each: 1024 x 1024 pixels in two tiles
# compute 1.2 times as many and take 1.05 times as long, but lose half as much beside others
MAX_SHARED_PIXELS = 1.25
SAME_SCALE = 0.02  # a zoom this close to 1 is within the scale variation of the training


@dataclass(frozen=True)
class PredictionPlan:
    """All that a prediction needs, resolved.

    Attributes
    ----------
    source : ImageSource
        The image.
    card : ModelCard
        Of the model.
    prepared : PreparedNetwork
        Network, device and precision.
    limits : IntensityLimits
        For the normalisation.
    zoom : tuple of float
        Pixels of the network's grid per pixel of the image, per axis of the network.
    roi : mapping of str to slice
        What of the image is predicted, by axis of TZYX.
    tiles : TilePlan
        On the network's grid, of the ``view``.
    settings : SegmentSettings
        With tile, device, precision and decoding resolved.
    """

    source: ImageSource
    card: ModelCard
    prepared: PreparedNetwork
    limits: IntensityLimits
    zoom: tuple[float, ...]
    roi: Mapping[str, slice]
    tiles: TilePlan
    settings: SegmentSettings

    @property
    def view(self) -> ImageSource:
        """The part of the image that the network sees: without borders of fill."""
        return replace(self.source, window=self.limits.window)

    @property
    def blended(self) -> bool:
        """Whether blocks overlap and are to be added up."""
        return not self.card.exact_tiling

    @property
    def planewise(self) -> bool:
        """Whether a 2D model goes over the planes of a stack."""
        return self.card.architecture.ndim == 2 and "Z" in self.source.axes

    @property
    def region(self) -> Region:
        """The spatial part that is predicted, in the order ZYX."""
        return tuple(self.roi[axis] for axis in self.source.spatial)

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis of TZYX that is predicted."""
        return {axis: part.stop - part.start for axis, part in self.roi.items()}

    @property
    def spatial_sizes(self) -> tuple[int, ...]:
        """Length of each spatial axis that is predicted, in the order ZYX."""
        return tuple(self.sizes[axis] for axis in self.source.spatial)

    @property
    def total(self) -> int:
        """Number of tiles in all."""
        planes = self.sizes["Z"] if self.planewise else 1
        return self.sizes["T"] * planes * len(self.tiles)

    @property
    def network_axes_shape(self) -> tuple[int, ...]:
        """Length of the network's axes in the view, YX or ZYX."""
        return self.view.spatial_shape[-self.card.architecture.ndim :]

    @property
    def threads(self) -> int:
        """Threads of torch that the network runs on, in all."""
        return count_threads(self.settings.threads)

    @property
    def tile_bytes(self) -> int:
        """Estimated peak memory of the network on one tile."""
        return memory_bytes(self.tiles.read_shape, self.card.architecture, self.settings.precision)

    @property
    def tiles_at_once(self) -> int:
        """Tiles that run side by side: one on a GPU, else as memory allows, and one a thread."""
        if self.prepared.device.type != "cpu":
            return 1
        memory = psutil.virtual_memory()
        room: int = min(memory.total // 4, memory.available) // self.tile_bytes
        return max(1, min(self.threads, self.total, room))

    @property
    def constant(self) -> bool:
        """Whether no channel has any contrast: there is nothing to see."""
        return all(low == high for limits in self.limits.table.values() for low, high in limits)


def plan_prediction(
    source: ImageSource,
    model: Model,
    settings: SegmentSettings,
    *,
    part: Mapping[str, slice] | None = None,
    limits: IntensityLimits | None = None,
) -> PredictionPlan:
    """Settle every detail of a prediction.

    Parameters
    ----------
    source : ImageSource
        The opened image.
    model : Model
        What predicts.
    settings : SegmentSettings
        How.
    part : mapping of str to slice, optional
        What of the image is predicted, by axis of TZYX, with the same scores as in the whole;
        None: all of it.
    limits : IntensityLimits, optional
        For the normalisation; None: they are found, for which a sample of the image is read.

    Raises
    ------
    InputError, SettingsError
        If the image does not suit the model, or a setting does not suit the machine.
    """
    card = model.card
    config = card.architecture
    wanted = settings.normalization or card.normalization
    if settings.invert:
        source = replace(source, inverted=True)
    limits = limits or find_limits(source, wanted)
    if (
        card.task == "regression"
    ):  # a value is wanted there too: the border is only left out of them
        limits = replace(limits, window={})
    part = part or {axis: slice(0, source.size(axis)) for axis in "TZYX"}
    zoom = find_zoom(card, source, settings.object_diameter)
    device = resolve_device(settings.device)
    prepared = prepare_network(model.network, device, settings.precision)
    view = replace(source, window=limits.window)
    old_shape = shape = view.spatial_shape[-config.ndim :]
    if any(factor != 1 for factor in zoom):
        shape = resampled_shape(old_shape, zoom)
    halo = config.halo
    if shape != old_shape:
        # interpolating back to the image's grid reaches beyond the core
        reach = [math.ceil(max(new / old, 1)) for new, old in zip(shape, old_shape, strict=True)]
        halo = tuple(r + more for r, more in zip(config.receptive_field, reach, strict=True))
        zoom = tuple(new / old for new, old in zip(shape, old_shape, strict=True))
    spatial = [_seen(part[axis], axis, limits) for axis in source.spatial][-config.ndim :]
    within = tuple(
        slice(math.floor((p.start + 0.5) * new / old), math.floor((p.stop - 0.5) * new / old) + 1)
        for p, new, old in zip(spatial, shape, old_shape, strict=True)
    )
    if settings.tile == "auto":
        tiles = _automatic_tiles(
            TilePlan(shape, shape, halo, config.stride, within), config, device
        )
        if device.type == "cpu" and card.exact_tiling:
            stacked = ("T", "Z") if config.ndim == 2 else ("T",)
            frames = math.prod(part[axis].stop - part[axis].start for axis in stacked)
            tiles = _share_tiles(tiles, count_threads(settings.threads), frames)
    else:
        tile = per_axis(settings.tile, config.ndim)
        tiles = TilePlan(shape, tile, halo, config.stride, within)
    if not card.exact_tiling:
        # the ramps of more than two tiles must not meet
        core = tuple(max(t, h) for t, h in zip(tiles.tile, tiles.halo, strict=True))
        tiles = replace(tiles, tile=core)
    resolved = fill_decoding(settings, card.decoding).model_copy(
        update={
            "tile": tiles.tile,
            "device": str(device),
            "precision": prepared.precision,
            "normalization": wanted,
            "volume_mode": _volume_mode(settings, card),
        }
    )
    return PredictionPlan(source, card, prepared, limits, zoom, part, tiles, resolved)


def _seen(part: slice, axis: str, limits: IntensityLimits) -> slice:
    """What of a part the network sees, counted from where the view starts; at least a pixel."""
    if axis not in limits.window:
        return part
    first, last = limits.window[axis].start, limits.window[axis].stop
    start = min(max(part.start, first), last - 1)
    return slice(start - first, max(min(part.stop, last), start + 1) - first)


def _volume_mode(settings: SegmentSettings, card: ModelCard) -> str:
    if settings.volume_mode != "auto":
        return settings.volume_mode
    return "linked" if card.task == "instance" else "slices"


def find_zoom(
    card: ModelCard, source: ImageSource, object_diameter: float | None
) -> tuple[float, ...]:
    """Zoom per axis of the network that brings the image to the model's scale.

    The object diameter decides where it is given; else the pixel sizes, where both the
    card and the image know theirs; else the diameter that the card expects of images, where it
    names one; else the image is left as it is.

    Raises
    ------
    SettingsError
        If the model does not know its own object diameter, or the zoom is absurd.
    """
    ndim = card.architecture.ndim
    own, theirs = card.pixel_size, source.pixel_size[-ndim:]
    by_size: tuple[float, ...] | None = None
    if own is not None and all(size is not None for size in theirs):
        by_size = tuple((size or 1.0) / mine for size, mine in zip(theirs, own, strict=True))
    if by_size is None and object_diameter is None:
        object_diameter = card.image_diameter
    if object_diameter is not None:
        if card.object_diameter is None:
            raise SettingsError(
                f"⟨object_diameter⟩ {object_diameter:g} cannot be used: the model {card.name!r} "
                "does not record the diameter of its objects",
                "leave it empty",
                parameter="object_diameter",
                value=object_diameter,
            )
        factor = card.object_diameter / object_diameter
        zoom = tuple(factor * z / by_size[-1] for z in by_size) if by_size else (factor,) * ndim
    else:
        zoom = by_size or (1.0,) * ndim
    if max(zoom) > 32 or min(zoom) < 1 / 32:
        factors = ", ".join(f"{z:.3g}" for z in zoom)
        raise SettingsError(
            f"The image would be resampled by ({factors})",
            "check ⟨object_diameter⟩ and ⟨pixel_size⟩",
            parameter="object_diameter",
            value=object_diameter,
        )
    return tuple(1.0 if abs(z - 1) < SAME_SCALE else z for z in zoom)


def memory_bytes(shape: Sequence[int], config: UNetConfig, precision: str = "float32") -> int:
    """Estimated peak memory of the network on one block of this shape."""
    size = 4 if precision == "float32" else 2
    return int(math.prod(shape) * config.widest_channels * size * LIVE_FEATURE_MAPS)


def tile_budget(device: torch.device, *, most: bool = False) -> int:
    """Bytes that a tile may take: by the size of the machine, not by what is free just now.

    On a CPU they are few, since small tiles run side by side; ``most`` is for tiles that would
    be little but halo.

    Other tiles give scores that differ in the last bits, and equal calls must give equal
    labels. Only where the budget is not free at all is it halved.
    """
    if device.type == "cuda":
        available, total = torch.cuda.mem_get_info(device)
        budget = total // 2
    else:
        memory = psutil.virtual_memory()
        available = memory.available
        budget = memory.total // 4 if most else min(CPU_TILE_BYTES, memory.total // 4)
    while budget > max(available, MIN_TILE_BYTES):
        budget //= 2
    return budget


def _share_tiles(plan: TilePlan, threads: int, frames: int) -> TilePlan:
    """Cut the tiles further, so that each thread has one, where that computes little twice."""
    wanted = -(-threads // (frames * len(plan)))
    axis = plan.tile.index(max(plan.tile))
    bound = plan.bounds[axis]
    cuts = -(-(bound.stop - bound.start) // plan.tile[axis])
    most = MAX_SHARED_PIXELS * _computed_pixels(plan)
    for pieces in range(wanted, 1, -1):
        tile = list(plan.tile)
        tile[axis] = -(-(bound.stop - bound.start) // (pieces * cuts))
        shared = replace(plan, tile=tuple(tile))
        if _computed_pixels(shared) <= most:
            return shared
    return plan


def _automatic_tiles(plan: TilePlan, config: UNetConfig, device: torch.device) -> TilePlan:
    """The largest tiles that fit: the fewer cuts, the less halo is computed twice."""
    budget, most = tile_budget(device), tile_budget(device, most=True)
    while True:
        plan = _fitting_tiles(plan, config, budget)
        kept = math.prod(bound.stop - bound.start for bound in plan.bounds)
        if budget >= most or _computed_pixels(plan) <= MAX_COMPUTED * kept:
            return plan
        budget = min(budget + budget // 2, most)


def _computed_pixels(plan: TilePlan) -> int:
    """Pixels that the network computes in all tiles together."""
    axes = zip(plan.shape, plan.tile, plan.halo, plan.stride, plan.bounds, strict=True)
    lines = [TilePlan((n,), (t,), (h,), (s,), (bound,)) for n, t, h, s, bound in axes]
    return math.prod(sum(tile.read_shape[0] for tile in line) for line in lines)


def _fitting_tiles(plan: TilePlan, config: UNetConfig, budget: int) -> TilePlan:
    """The largest tiles that take at most so many bytes."""
    cuts = [1] * len(plan.shape)
    sizes = [bound.stop - bound.start for bound in plan.bounds]
    while True:
        tile = tuple(-(-n // c) for n, c in zip(sizes, cuts, strict=True))
        plan = replace(plan, tile=tile)
        if memory_bytes(plan.read_shape, config) <= budget:
            return plan
        room = [t / max(h, s) for t, h, s in zip(plan.tile, plan.halo, config.stride, strict=True)]
        axis = room.index(max(room))
        if plan.tile[axis] <= config.stride[axis]:
            return plan
        cuts[axis] += 1
