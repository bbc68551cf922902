"""Running a plan: tile after tile through the network, and on when memory runs out."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import InputError
from napari_unet.inference.blending import split_blended
from napari_unet.inference.border import iter_border
from napari_unet.inference.plan import PredictionPlan
from napari_unet.inference.prepared_network import on_cpu
from napari_unet.inference.tile_scores import (
    Missing,
    Piece,
    TileJob,
    compute_maps,
    make_piece,
    needs_network,
    read_tile,
)
from napari_unet.network.threads import Workers
from napari_unet.tiling import Region, Tile
from napari_unet.unexpected import out_of_memory


@dataclass(frozen=True)
class Block:
    """Scores of one part of the image.

    Attributes
    ----------
    time : int
        Time point, counted from the first one of the plan's extent.
    region : tuple of slice
        Spatial region in canonical order (ZYX or YX) on the image's grid, counted from the
        corner of the plan's extent.
    scores : (C_out, *region) float32 array
        Final scores; where tiles are blended, the tile's weighted share, to be added up.
    done, total : int
        Tiles so far and in all.
    last_of_frame : bool
        Whether it completes its plane (2D model) or time point (3D model).
    """

    time: int
    region: Region
    scores: NDArray[np.float32]
    done: int
    total: int
    last_of_frame: bool


class _Running(NamedTuple):
    """A tile whose maps are being computed; None where no network is needed."""

    job: TileJob
    maps: Future[NDArray[np.float32]] | None
    missing: Missing | None = None


def run_plan(
    plan: PredictionPlan,
    fallbacks: list[str] | None = None,
    chosen: Sequence[Tile] | None = None,
) -> Generator[Block, None, None]:
    """Run a plan: one `Block` a tile. Closing the generator cancels it.

    ``chosen`` are those of its tiles that are run in each frame; None: all. On a CPU, tiles run
    side by side; the image is read by the caller's thread alone.

    When memory runs out tiles run one after another, then halved, at last on the CPU, and the run
    goes on from the tile that it had reached. What was done is added to ``fallbacks``, in words.
    """
    fallbacks = [] if fallbacks is None else fallbacks
    tiles, roi = plan.tiles if chosen is None else chosen, plan.roi
    planes: Sequence[int | None] = _range(roi["Z"]) if plan.planewise else (None,)
    jobs = (
        TileJob(t, *where) for where in itertools.product(_range(roi["T"]), planes) for t in tiles
    )
    done = 0
    with_border = chosen is None or next(iter(plan.tiles)) in chosen
    frame: tuple[int, int | None] | None = None
    with contextlib.closing(_TileRunner(plan, fallbacks)) as runner:
        for job, piece, part_of_more in runner.run(jobs):
            if with_border and frame != (frame := (job.time, job.plane)):
                for region, scores in iter_border(plan, job.plane):
                    first = job.time - roi["T"].start
                    yield Block(first, region, scores, done, plan.total, last_of_frame=False)
            done += not part_of_more
            last = not part_of_more and done % len(plan.tiles) == 0
            yield Block(job.time - roi["T"].start, *piece, done, plan.total, last)


class _TileRunner:
    """Runs tiles, as many side by side as the plan and the memory allow."""

    def __init__(self, plan: PredictionPlan, fallbacks: list[str]) -> None:
        self.plan = plan
        self.prepared = plan.prepared
        self._fallbacks = fallbacks
        self._workers = Workers(plan.threads, plan.tiles_at_once)

    def close(self) -> None:
        self._workers.close()

    def run(self, jobs: Iterable[TileJob]) -> Iterator[tuple[TileJob, Piece, bool]]:
        """Each job with its region and scores, in their order.

        A tile that was halved comes in parts; the flag says that more of them follow.
        """
        running: deque[_Running] = deque()
        for job in jobs:
            running.append(self._start(job))
            # one more than can run: no thread waits while the caller works on a tile
            while running and (self._workers.count == 1 or len(running) > self._workers.count):
                yield from self._finish(running)
        while running:
            yield from self._finish(running)

    def _start(self, job: TileJob) -> _Running:
        """Read what the tile needs, and begin."""
        if not needs_network(self.plan, job.tile):
            return _Running(job, None)
        try:
            block, missing = read_tile(self.plan, job)
        except (RuntimeError, MemoryError) as error:
            failed: Future[NDArray[np.float32]] = Future()
            failed.set_exception(error)
            return _Running(job, failed)
        maps = self._workers.submit(compute_maps, self.plan, self.prepared, block)
        return _Running(job, maps, missing)

    def _finish(self, running: deque[_Running]) -> Iterator[tuple[TileJob, Piece, bool]]:
        """The first of the tiles that are running; in parts, where memory runs out."""
        first = running.popleft()
        waiting: list[TileJob] = []
        while True:
            try:
                maps = None if first.maps is None else first.maps.result()
                piece = make_piece(self.plan, first.job, maps, first.missing)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                # the others may take their memory from it, or fail as well
                wait([each.maps for each in running if each.maps is not None])
                waiting = [*self._shrink(first.job), *waiting]
            else:
                yield first.job, piece, bool(waiting)
            if not waiting:
                return
            first = self._start(waiting.pop(0))

    def _shrink(self, job: TileJob) -> list[TileJob]:
        """What to do instead of a tile for which the memory was short."""
        plan = self.plan
        if self._workers.count > 1:
            self._workers.close()
            self._workers = Workers(plan.threads, 1)
            _note(self._fallbacks, "out of memory: went on with one tile after another")
            return [job]
        halves = split_blended(plan, job.tile) if plan.blended else plan.tiles.split(job.tile)
        if len(halves) > 1:
            _note(self._fallbacks, "out of memory: tiles were halved")
            return [job._replace(tile=half) for half in halves]
        if self.prepared.device.type != "cpu":
            self.prepared = on_cpu(self.prepared)
            _note(self._fallbacks, "out of memory: went on with float32 on the CPU")
            return [job]
        raise InputError(
            "There is not enough memory even for the smallest tile",
            "close other programs, or use a smaller model",
            code="out-of-memory",
        ) from None


def _range(part: slice) -> range:
    return range(part.start, part.stop)


def _note(fallbacks: list[str], text: str) -> None:
    if text not in fallbacks:
        fallbacks.append(text)
