"""What a prediction will cost: time, memory, and what it will run on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_unet.card import ModelCard
from napari_unet.image.exclusion import SampledPlane
from napari_unet.image.intensity_range import find_range
from napari_unet.image.normalization import SAMPLE_PIXELS, IntensityLimits
from napari_unet.image.roi import Roi
from napari_unet.image.source import ImageSource
from napari_unet.inference.frames import score_bytes
from napari_unet.inference.plan import PredictionPlan, plan_prediction
from napari_unet.inference.prepared_network import PreparedNetwork
from napari_unet.instances import maps as instances
from napari_unet.instances.linking import PlaneLinker
from napari_unet.network.devices import synchronize
from napari_unet.network.model import Model
from napari_unet.settings import SegmentSettings, decoding_of

PROBE = {2: 256, 3: 48}  # pixels a side of the tile that is timed
PROBES = 3  # calls that are timed: what else the machine does must not count as work
LABEL_BYTES = 4
READ_PIXELS = 1 << 18  # of a lazy image, that are read to time it
PACE_FROM_S = 2.0  # estimated seconds; what starts and shows a shorter run outweighs it
PACES = (0.5, 20.0)  # times that a run may take of what was estimated, to be believed

Rates = MutableMapping[tuple[str, ...], float]


@dataclass(frozen=True)
class CostEstimate:
    """What a prediction will cost.

    Attributes
    ----------
    seconds : float
        Until the labels are there: reading, intensity limits, the network over all tiles with
        their halos, decoding and linking.
    memory : int
        Bytes: the network on the largest tiles that run at once, the scores and the labels.
    tiles : int
        How many.
    tile : tuple of int
        What a tile writes, per spatial axis of the model.
    device, precision : str
        What it will run on.
    model : str
        SHA-256 of the model.
    """

    seconds: float
    memory: int
    tiles: int
    tile: tuple[int, ...]
    device: str
    precision: str
    model: str = ""


def estimate_cost(
    source: ImageSource,
    model: Model | str | Path,
    settings: SegmentSettings,
    *,
    roi: Roi | None = None,
    rates: Rates | None = None,
) -> CostEstimate:
    """Time and memory of a prediction; of a lazy image a small part is read, to time it.

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
        Seconds per pixel of each part of a run, by model (SHA-256), device and precision, and
        what `learn_pace` has put there, measured earlier; what is measured now is added.

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
    sampled = min(SAMPLE_PIXELS, math.prod(source.spatial_shape) * source.times)
    decoded = math.prod(plan.sizes.values())
    seconds = pixels * passes * rates[key]
    channels = len(source.channels)
    parts: tuple[tuple[str, int, Callable[[], float]], ...] = (
        ("decoding", decoded, lambda: measure_decoding_rate(plan)),
        ("limits", sampled * channels, measure_limits_rate),
        ("reading", (sampled + decoded) * channels, lambda: measure_reading_rate(source)),
    )
    for name, count, measure in parts:
        # an array is told by itself: another one may lie elsewhere
        what = str(id(source.arrays[0])) if name == "reading" else loaded.sha256
        part = (name, what, plan.settings.volume_mode)
        if part not in rates:
            rates[part] = measure()
        seconds += count * rates[part]
    return CostEstimate(
        seconds=seconds * rates.get(("pace", *key), 1.0),
        memory=plan.tile_bytes * plan.tiles_at_once
        + score_bytes(config.out_channels, plan.sizes.values())
        + math.prod(plan.sizes.values()) * LABEL_BYTES,
        tiles=plan.total,
        tile=plan.tiles.tile,
        device=str(plan.prepared.device),
        precision=plan.prepared.precision,
        model=loaded.sha256,
    )


def learn_pace(rates: Rates, estimate: CostEstimate, seconds: float) -> None:
    """Let the next estimate of a model know how long a run took by the clock.

    Parameters
    ----------
    rates : dict
        As for `estimate_cost`.
    estimate : CostEstimate
        What was estimated.
    seconds : float
        What it was.

    Examples
    --------
    >>> rates, estimate = {}, CostEstimate(10.0, 1, 1, (8, 8), "cpu", "float32", "a")
    >>> learn_pace(rates, estimate, 15.0)
    >>> rates
    {('pace', 'a', 'cpu', 'float32'): 1.5}
    """
    if estimate.seconds < PACE_FROM_S:
        return
    key = ("pace", estimate.model, estimate.device, estimate.precision)
    pace = rates.get(key, 1.0) * seconds / estimate.seconds
    rates[key] = min(max(pace, PACES[0]), PACES[1])


def measure_rate(prepared: PreparedNetwork) -> float:
    """Seconds per pixel of a network, measured on one small tile of zeros."""
    config = prepared.network.config
    shape = tuple(-(-PROBE[config.ndim] // s) * s for s in config.stride)
    block = np.zeros((config.in_channels, *shape), np.float32)

    def run() -> None:
        prepared(block)
        synchronize(prepared.device)

    return _time_of(run) / math.prod(shape)


def measure_decoding_rate(plan: PredictionPlan) -> float:
    """Seconds per pixel from scores to labels, measured on a small frame of round objects."""
    card, config = plan.card, plan.card.architecture
    shape = (PROBE[config.ndim],) * config.ndim
    scores = np.zeros((config.out_channels, *shape), np.float32)
    if card.task == "regression":
        return 0.0
    if card.task == "semantic":
        return _time_of(lambda: scores.argmax(0)) / math.prod(shape)
    labels = _round_objects(card, shape)
    representation = instances.check_representation(card.instances)
    maps, decoding = instances.encode(labels, representation), decoding_of(plan.settings)
    linker = PlaneLinker(plan.settings.link_overlap)

    def decode() -> None:
        found = instances.decode(maps, decoding)
        if plan.planewise and plan.settings.volume_mode == "linked":
            linker.link(found)

    return _time_of(decode) / math.prod(shape)


def measure_limits_rate() -> float:
    """Seconds per pixel of the intensity limits, measured on a small noisy plane with an object."""
    pixels = np.random.default_rng(0).integers(0, 4000, (PROBE[2],) * 2).astype(np.uint16)
    pixels[: PROBE[2] // 3, : PROBE[2] // 3] += 4000
    return _time_of(lambda: find_range([SampledPlane(0, 0, pixels)], 1, 99.8)) / pixels.size


def measure_reading_rate(source: ImageSource) -> float:
    """Seconds per pixel of reading an image; one in memory takes none."""
    if all(isinstance(array, np.ndarray) for array in source.arrays):
        return 0.0
    side = math.isqrt(READ_PIXELS)
    region = tuple(
        slice(0, min(size, side) if axis in "YX" else 1)
        for axis, size in zip(source.spatial, source.spatial_shape, strict=True)
    )
    start = time.perf_counter()
    read = source.read(0, region)
    return (time.perf_counter() - start) / max(read.size, 1)


def _round_objects(card: ModelCard, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Labels of balls on a grid, which fill about half of it."""
    step = max(round(1.3 * (card.object_diameter or 16)), 3)
    places = np.indices(shape)
    ball = ((places % step - step // 2) ** 2).sum(0) < (step / 2.6) ** 2
    cells = np.ravel_multi_index(tuple(places // step), shape) + 1
    return np.where(ball, cells, 0).astype(np.int32)


def _time_of(work: Callable[[], object]) -> float:
    """Seconds of a call, the quickest of some; the first one imports, plans and allocates."""
    work()
    times = []
    for _ in range(PROBES):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
