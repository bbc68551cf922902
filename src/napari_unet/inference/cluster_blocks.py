"""What a worker of a cluster does with its part of an image. Each block can be done again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.inference.frames import FrameWriter, ScoreStore
from napari_unet.inference.plan import PredictionPlan
from napari_unet.inference.region_view import RegionView
from napari_unet.inference.single_frame import iter_tiles
from napari_unet.inference.tiles import run_plan
from napari_unet.inference.worker_model import loaded_model
from napari_unet.progress import drain
from napari_unet.tiling import Region


@dataclass(frozen=True, eq=False)
class BlockJob:
    """An image that is run block by block.

    Attributes
    ----------
    plan : PredictionPlan
        In every detail, but without its network, which each worker has.
    sha256 : str
        Of the model.
    labels, scores : RegionView or None
        Where labels and scores go; None: they are not wanted.
    """

    plan: PredictionPlan
    sha256: str
    labels: RegionView | None
    scores: RegionView | None

    def planned(self, time: int, plane: int | None) -> PredictionPlan:
        """The plan of one frame, with the worker's network."""
        settings, roi = self.plan.settings, dict(self.plan.roi)
        prepared = loaded_model(self.sha256).prepare(settings.device, settings.precision)
        start = roi["T"].start + time
        roi["T"] = slice(start, start + 1)
        if plane is not None:
            start = roi["Z"].start + plane
            roi["Z"] = slice(start, start + 1)
        return replace(self.plan, prepared=prepared, roi=roi)


@dataclass(frozen=True)
class FrameFound:
    """What was found in a frame.

    Attributes
    ----------
    objects : int
        Numbered from 1 in the frame.
    low, high : list of float
        Range of the scores, by channel.
    pixels : list of int
        By class.
    in_blocks : bool
        Whether the frame was decoded block by block.
    fallbacks : list of str
        What had to be done otherwise than planned.
    """

    objects: int
    low: list[float]
    high: list[float]
    pixels: list[int]
    in_blocks: bool
    fallbacks: list[str]


def run_frame(job: BlockJob, time: int, plane: int | None) -> FrameFound:
    """Predict and decode one frame, and write its chunks; its objects are numbered from 1.

    Parameters
    ----------
    job : BlockJob
        The image.
    time, plane : int, int or None
        The frame, counted from the corner of what is predicted; of a 3D model it has all planes.
    """
    plan = job.planned(time, plane)
    fallbacks: list[str] = []
    kept = None if job.scores is None else job.scores.at(time, plane)
    writer = None
    if job.labels is not None:
        view = job.labels.at(time, plane)
        writer = FrameWriter(
            view,
            plan.spatial_sizes,
            plan.card,
            plan.settings.model_copy(update={"volume_mode": "slices"}),  # linked later
        )
    with _without_cluster():
        drain(iter_tiles(plan, fallbacks, kept, writer))
    if writer is None:
        return FrameFound(0, [], [], [], in_blocks=False, fallbacks=fallbacks)
    seen = writer.summary
    return FrameFound(
        writer.objects,
        list(seen.low),
        list(seen.high),
        seen.pixels.tolist(),
        in_blocks=writer.in_blocks,
        fallbacks=fallbacks,
    )


@dataclass(frozen=True)
class Piece:
    """The scores of a part of a frame, in a zarr array of their own.

    Attributes
    ----------
    time : int
        Time point of the frame.
    region : tuple of slice
        As of `Block`.
    location : str
        Path or URL of the array.
    """

    time: int
    region: Region
    location: str


def predict_tile(
    job: BlockJob, folder: str, time: int, plane: int | None, number: int
) -> tuple[list[Piece], list[str]]:
    """Predict one tile of a frame into pieces on disk: one, or more where memory was short."""
    import zarr

    plan = job.planned(time, plane)
    tile = list(plan.tiles)[number]
    fallbacks: list[str] = []
    pieces = []
    with _without_cluster():
        for count, block in enumerate(run_plan(plan, fallbacks, [tile])):
            location = f"{folder}/t{time}-z{plane or 0}-{number}-{count}.zarr"
            region = block.region
            if plane is not None:
                region = (slice(plane, plane + 1), *region[1:])
            if 0 not in block.scores.shape:
                zarr.create_array(
                    store=location, data=block.scores, chunks=block.scores.shape, overwrite=True
                )
                pieces.append(Piece(time, region, location))
    return pieces, fallbacks


class PieceStore(ScoreStore):
    """Scores that are put together from pieces, in the order of the tiles.

    Parameters
    ----------
    pieces : sequence of Piece
        In the order of the tiles, which is that in which shares are added up.
    channels : int
        Of the scores.
    """

    def __init__(self, pieces: list[Piece], channels: int) -> None:
        self._pieces = pieces
        self._channels = channels

    def read(self, time: int, region: Region) -> NDArray[np.float32]:
        """The scores (C, *region) of a region."""
        import zarr

        shape = tuple(part.stop - part.start for part in region)
        found = np.zeros((self._channels, *shape), np.float32)
        for piece in self._pieces:
            if piece.time != time:
                continue
            common = [
                slice(max(a.start, b.start), min(a.stop, b.stop))
                for a, b in zip(piece.region, region, strict=True)
            ]
            if any(part.stop <= part.start for part in common):
                continue
            inside = _shift(common, piece.region)
            values = zarr.open_array(piece.location, mode="r")[(slice(None), *inside)]
            found[(slice(None), *_shift(common, region))] += np.asarray(values)
        return found


def renumber_frame(
    source: RegionView, target: RegionView, shape: tuple[int, ...], table: NDArray[np.int32]
) -> None:
    """Write a frame with its final labels. It reads another array than it writes."""
    region = tuple(slice(0, n) for n in shape)
    target.write(0, region, table[source.read(0, region)])


def _shift(parts: list[slice], around: Region) -> tuple[slice, ...]:
    return tuple(
        slice(part.start - a.start, part.stop - a.start)
        for part, a in zip(parts, around, strict=True)
    )


def _without_cluster() -> Any:
    """Dask arrays that are read in a block are computed by its own thread."""
    import dask

    return dask.config.set(scheduler="synchronous")
