"""The tiles of a plan, frame by frame: their scores kept, each frame decoded when it is there."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, closing
from typing import Any

from napari_unet.inference.frames import FrameWriter, ScoreBuffer, frame_reader
from napari_unet.inference.plan import PredictionPlan
from napari_unet.inference.tiles import run_plan
from napari_unet.progress import Phase, Progress


def iter_tiles(
    plan: PredictionPlan,
    fallbacks: list[str],
    kept: Any,
    writer: FrameWriter | None,
) -> Generator[Progress, None, None]:
    """Predict the tiles of a plan, keep their scores, decode each frame when it is complete.

    Parameters
    ----------
    plan : PredictionPlan
        All frames of an image, or one of them.
    fallbacks : list of str
        Gets what had to be done otherwise than planned.
    kept : OutputArray, RegionView or None
        Where the scores are kept.
    writer : FrameWriter or None
        Decodes the frames.
    """
    phase: Phase = "predicting" if writer is None else "segmenting"
    # a class is known from the scores of its pixel alone, once no tile adds to them any more
    tilewise = plan.card.task == "semantic" and not plan.blended
    store: Any = kept
    with ExitStack() as stack:
        if store is None and writer is not None and not tilewise:
            store = stack.enter_context(closing(writer.make_buffer()))
        for block in run_plan(plan, fallbacks):
            if store is not None:
                put = store.add if plan.blended else store.write
                put(block.time, block.region, block.scores)
            if writer is not None and tilewise:
                writer.write_classes(block.time, block.region, block.scores)
            elif writer is not None and store is not None and block.last_of_frame:
                plane = block.region[0].start if plan.planewise else None
                yield from writer.iter_write(
                    block.time, plane, frame_reader(store, block.time, plane)
                )
                if isinstance(store, ScoreBuffer) and plan.blended:
                    store.clear()
            yield Progress(block.done, block.total, phase, phase)
