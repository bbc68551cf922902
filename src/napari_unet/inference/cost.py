"""What a prediction will cost: time, memory, and what it will run on."""

from __future__ import annotations

import math
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_unet.image.normalization import IntensityLimits
from napari_unet.image.roi import Roi
from napari_unet.image.source import ImageSource
from napari_unet.inference.frames import score_bytes
from napari_unet.inference.plan import memory_bytes, plan_prediction
from napari_unet.inference.prepared_network import PreparedNetwork
from napari_unet.network.devices import synchronize
from napari_unet.network.model import Model
from napari_unet.settings import SegmentSettings

PROBE = {2: 256, 3: 48}  # pixels a side of the tile that is timed
LABEL_BYTES = 4

Rates = MutableMapping[tuple[str, str, str], float]


@dataclass(frozen=True)
class CostEstimate:
    """What a prediction will cost.

    Attributes
    ----------
    seconds : float
        Time of the network over all tiles, halos included.
    memory : int
        Bytes: the network on its largest tile, the scores and the labels.
    tiles : int
        How many.
    tile : tuple of int
        What a tile writes, per spatial axis of the model.
    device, precision : str
        What it will run on.
    """

    seconds: float
    memory: int
    tiles: int
    tile: tuple[int, ...]
    device: str
    precision: str


def estimate_cost(
    source: ImageSource,
    model: Model | str | Path,
    settings: SegmentSettings,
    *,
    roi: Roi | None = None,
    rates: Rates | None = None,
) -> CostEstimate:
    """Time and memory of a prediction; nothing of the image is read.

    Parameters
    ----------
    source : ImageSource
        The opened image.
    model : Model, str or Path
        What predicts.
    settings : SegmentSettings
        How.
    roi : Roi, optional
        The part of the image; None: all of it.
    rates : dict, optional
        Seconds per pixel by model (SHA-256), device and precision, measured earlier; what
        is measured now is added.

    Raises
    ------
    UNetError
        If the image, the model, the part or a setting cannot be used.

    Examples
    --------
    >>> from napari_unet.image.source import open_image
    >>> source = open_image(np.zeros((100, 200), np.uint8))
    >>> found = estimate_cost(source, "nuclei", SegmentSettings(device="cpu", tile=100))
    >>> found.tiles, found.device, found.seconds > 0
    (2, 'cpu', True)
    """
    loaded = Model.load(model)
    plan = plan_prediction(
        source,
        loaded,
        settings,
        part=None if roi is None else roi.of(source),
        limits=IntensityLimits("image", {}),  # the cost does not depend on them
    )
    rates = {} if rates is None else rates
    key = (loaded.sha256, str(plan.prepared.device), plan.prepared.precision)
    if key not in rates:
        rates[key] = measure_rate(plan.prepared)
    config = plan.card.architecture
    pixels = sum(math.prod(tile.read_shape) for tile in plan.tiles) * (
        plan.total // len(plan.tiles)
    )
    passes = 2**config.ndim if plan.settings.flips else 1
    return CostEstimate(
        seconds=pixels * passes * rates[key],
        memory=memory_bytes(plan.tiles.read_shape, config, plan.prepared.precision)
        + score_bytes(config.out_channels, plan.sizes.values())
        + math.prod(plan.sizes.values()) * LABEL_BYTES,
        tiles=plan.total,
        tile=plan.tiles.tile,
        device=str(plan.prepared.device),
        precision=plan.prepared.precision,
    )


def measure_rate(prepared: PreparedNetwork) -> float:
    """Seconds per pixel of a network, measured on one small tile of zeros."""
    config = prepared.network.config
    shape = tuple(-(-PROBE[config.ndim] // s) * s for s in config.stride)
    block = np.zeros((config.in_channels, *shape), np.float32)
    prepared(block)  # the first call plans and allocates
    synchronize(prepared.device)
    start = time.perf_counter()
    prepared(block)
    synchronize(prepared.device)
    return (time.perf_counter() - start) / math.prod(shape)
