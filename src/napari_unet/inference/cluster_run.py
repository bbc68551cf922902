"""An image run block by block on a Dask cluster, with the labels of a run in one process.

Where there are frames (planes of a 2D model, time points) for all workers, each is predicted and
decoded by one worker, which writes its own zarr chunks; linking and numbering, which need all
frames, follow. Else the tiles are predicted by the workers, and the frames put together here. A
block whose worker is lost is done again by another one: it reads other arrays than it writes.
"""

from __future__ import annotations

import itertools
import tempfile
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.errors import FileError
from napari_unet.inference.cluster import (
    RETRIES,
    count_workers,
    explain_loss,
    iter_completed,
    send_model,
)
from napari_unet.inference.cluster_blocks import (
    BlockJob,
    FrameFound,
    Piece,
    PieceStore,
    predict_tile,
    renumber_frame,
    run_frame,
)
from napari_unet.inference.frames import FrameWriter, frame_reader, label_dtype
from napari_unet.inference.output import OutputArray
from napari_unet.inference.plan import PredictionPlan
from napari_unet.inference.region_view import RegionView
from napari_unet.inference.sharing import share_source
from napari_unet.instances.linking import PlaneLinker
from napari_unet.io.scratch import ScratchFolder
from napari_unet.network.model import Model
from napari_unet.progress import Phase, Progress

Frame = tuple[int, int | None]
_WITHOUT_NETWORK: dict[str, Any] = {"prepared": None}  # each worker has it


def iter_blocks_on_cluster(
    client: Any,
    plan: PredictionPlan,
    model: Model,
    fallbacks: list[str],
    kept: OutputArray | None,
    target: OutputArray | None,
    writer: FrameWriter | None,
) -> Generator[Progress, None, None]:
    """Run the blocks of a plan on the workers of a cluster.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    plan : PredictionPlan
        The same as of a run in one process.
    model : Model
        Each worker loads it once.
    fallbacks : list of str
        Gets what had to be done otherwise than planned.
    kept, target : OutputArray or None
        Zarr arrays for scores and labels that all workers see.
    writer : FrameWriter or None
        Of the labels; it gets what is found.
    """
    send_model(client, model)
    near = next(each for each in (target, kept) if each is not None)
    planes = range(plan.sizes["Z"]) if plan.planewise else (None,)
    frames: list[Frame] = list(itertools.product(range(plan.sizes["T"]), planes))
    with ExitStack() as stack:
        folder = _shared_folder(near, stack)
        shared = replace(plan, source=share_source(plan.source, folder), **_WITHOUT_NETWORK)
        if len(frames) >= count_workers(client):
            yield from _iter_frames(
                client, shared, model, fallbacks, frames, kept, target, writer, folder
            )
        else:
            yield from _iter_tiles(client, shared, model, fallbacks, frames, kept, writer, folder)


def _iter_frames(
    client: Any,
    plan: PredictionPlan,
    model: Model,
    fallbacks: list[str],
    frames: Sequence[Frame],
    kept: OutputArray | None,
    target: OutputArray | None,
    writer: FrameWriter | None,
    folder: str,
) -> Generator[Progress, None, None]:
    """A worker per frame; objects are linked and numbered when all frames are there."""
    instance = plan.card.task == "instance"
    labels = None if target is None else target.view
    if target is not None and instance:
        sizes = plan.sizes
        # what was found frame by frame, from which the labels are written
        first = OutputArray(
            plan.source.axes,
            sizes,
            None,
            label_dtype(plan.card),
            f"{folder}/frames.zarr",
            planewise=plan.planewise,
        )
        labels = first.view
    job = BlockJob(plan, model.sha256, labels, None if kept is None else kept.view)
    phase: Phase = "predicting" if writer is None else "segmenting"
    total = len(frames) * (2 if labels is not None and instance else 1)
    found: list[FrameFound] = yield from _iter_results(
        client, run_frame, [(job, *frame) for frame in frames], phase, 0, total
    )
    for each in found:
        fallbacks += [text for text in each.fallbacks if text not in fallbacks]
    if writer is None or labels is None or target is None:
        return
    writer.take_in(found)
    if not instance:
        return
    tables, writer.objects = link_frames(plan, labels, frames, found)
    shape = (1, *plan.spatial_sizes[1:]) if plan.planewise else plan.spatial_sizes
    work = [
        (labels.at(time, plane), target.view.at(time, plane), shape, table)
        for (time, plane), table in zip(frames, tables, strict=True)
    ]
    yield from _iter_results(client, renumber_frame, work, "numbering", len(frames), total)
    first.discard()


def link_frames(
    plan: PredictionPlan,
    labels: RegionView,
    frames: Sequence[Frame],
    found: Sequence[FrameFound],
) -> tuple[list[NDArray[np.int32]], int]:
    """The final label of each object of each frame, and the number of objects.

    Planes are linked one after the other, as in one process.
    """
    tables: list[NDArray[np.int32]] = []
    objects = 0
    if not plan.planewise or plan.settings.volume_mode == "slices":
        for each in found:
            table = np.arange(objects, objects + each.objects + 1, dtype=np.int32)
            table[0] = 0
            tables.append(table)
            objects += each.objects
        return tables, objects
    shape = plan.spatial_sizes
    for time in range(plan.sizes["T"]):
        linker = PlaneLinker(plan.settings.link_overlap, objects)
        linked = []
        for plane in range(shape[0]):
            region = (slice(plane, plane + 1), *(slice(0, n) for n in shape[1:]))
            linker.link(labels.read(time, region)[0])
            linked.append(linker.table.copy())
        final = linker.finish()
        changed = final.changes
        tables += [
            final.renumber(plane, table) if changed else table for plane, table in enumerate(linked)
        ]
        objects = final.count
    assert len(tables) == len(frames)
    return tables, objects


def _iter_tiles(
    client: Any,
    plan: PredictionPlan,
    model: Model,
    fallbacks: list[str],
    frames: Sequence[Frame],
    kept: OutputArray | None,
    writer: FrameWriter | None,
    folder: str,
) -> Generator[Progress, None, None]:
    """A worker per tile, whose scores it writes; frames are decoded here, in their order."""
    job = BlockJob(plan, model.sha256, None, None)
    count = len(plan.tiles)
    work = [(job, folder, *frame, number) for frame in frames for number in range(count)]
    phase: Phase = "predicting" if writer is None else "segmenting"
    done: list[tuple[list[Piece], list[str]]] = yield from _iter_results(
        client, predict_tile, work, phase, 0, len(work)
    )
    for _, texts in done:
        fallbacks += [text for text in texts if text not in fallbacks]
    channels = plan.card.architecture.out_channels
    for number, (time, plane) in enumerate(frames):
        mine = done[number * count : (number + 1) * count]
        pieces = [piece for its, _ in mine for piece in its]
        store = PieceStore(pieces, channels)
        if kept is not None:
            for piece in pieces:
                put = kept.add if plan.blended else kept.write
                put(time, piece.region, PieceStore([piece], channels).read(time, piece.region))
                yield Progress(len(work), len(work), "putting scores together", "joining")
        if writer is not None:
            yield from writer.iter_write(time, plane, frame_reader(store, time, plane))
            yield Progress(len(work), len(work), phase, phase)


def _iter_results(
    client: Any,
    function: Callable[..., Any],
    work: Sequence[tuple[Any, ...]],
    phase: Phase,
    before: int,
    total: int,
) -> Generator[Progress, None, list[Any]]:
    """Results of a function for each piece of work, in their order, however they come in."""
    run = uuid.uuid4().hex[:8]
    futures = [
        client.submit(
            function, *arguments, pure=False, retries=RETRIES, key=f"{function.__name__}-{run}-{i}"
        )
        for i, arguments in enumerate(work)
    ]
    numbers = {future: number for number, future in enumerate(futures)}
    results: list[Any] = [None] * len(work)
    done = 0
    coming = iter_completed(client, futures)
    try:
        for future in coming:
            if future is not None:
                try:
                    results[numbers[future]] = future.result()
                except Exception as error:
                    raise explain_loss(error) from error
                done += 1
            yield Progress(before + done, total, phase, phase)
    finally:
        coming.close()
    return results


def _shared_folder(near: OutputArray, stack: ExitStack) -> str:
    """A folder beside the output that all workers see; it is removed again."""
    location = near.view.location
    if "://" not in location:
        assert near.folder is not None
        scratch = ScratchFolder(near.folder)
        stack.callback(scratch.remove)
        return str(scratch.path.absolute())
    import fsspec

    url = f"{location.rstrip('/')}.{uuid.uuid4().hex[:8]}.partial"
    system, path = fsspec.core.url_to_fs(url)

    def remove() -> None:
        with suppress(Exception):
            system.rm(path, recursive=True)

    stack.callback(remove)
    return url


def temporary_output(stack: ExitStack) -> Path:
    """A folder for results that come back to memory, in that for temporary files."""
    try:
        folder = ScratchFolder(Path(tempfile.gettempdir()), temporary=True)
    except OSError as error:
        raise FileError(
            f"There is no folder for temporary files that the workers could write to ({error})",
            "name an ⟨output⟩ that they see",
        ) from None
    stack.callback(folder.remove)
    return folder.path
