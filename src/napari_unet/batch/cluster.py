"""The files of a batch on a Dask cluster: a worker per file, or all workers on each."""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

from napari_unet.batch.destinations import Targets
from napari_unet.batch.file_job import FileRequest, open_task, predict_task, write_task
from napari_unet.batch.inputs import Task
from napari_unet.batch.pipeline import iter_pipeline
from napari_unet.batch.result import BatchStep, FileResult
from napari_unet.batch.state import BatchState
from napari_unet.errors import Note, UNetError
from napari_unet.inference.cluster import (
    RETRIES,
    count_workers,
    explain_loss,
    iter_completed,
    send_model,
)
from napari_unet.network.model import Model
from napari_unet.progress import drain
from napari_unet.unexpected import explain_error


def iter_files_on_cluster(
    tasks: Sequence[Task],
    targets: Sequence[Targets],
    waiting: Sequence[int],
    model: Model,
    request: FileRequest,
    state: BatchState,
    client: Any,
) -> Generator[BatchStep, None, None]:
    """Run files on the workers, which read and write them by themselves.

    Where there are fewer files than workers, the blocks of each file are run on all of them.
    The parameters are those of `iter_pipeline`.
    """
    if len(waiting) < count_workers(client):
        yield from iter_pipeline(tasks, targets, waiting, model, request, state, client)
        return
    state.begin(waiting)
    send_model(client, model)
    run = uuid.uuid4().hex[:8]
    futures = {
        client.submit(
            run_file,
            tasks[number],
            targets[number],
            request,
            model.sha256,
            pure=False,
            retries=RETRIES,
            key=f"file-{run}-{number}",
        ): number
        for number in waiting
    }
    coming = iter_completed(client, futures)
    with closing(coming):
        for future in coming:
            if future is None:
                yield state.step(-1, "running on the cluster")
                continue
            number = futures[future]
            task = tasks[number]
            try:
                record, notes, fault, seconds = future.result()
            except Exception as error:  # noqa: BLE001 - whatever a file does is its own failure
                record, notes, seconds = None, task.notes, 0.0
                fault = explain_error(explain_loss(error))
            its = targets[number]
            result = FileResult(
                task.source,
                None if record is None else its.main,
                record,
                None if fault is None else str(fault),
                seconds,
                fault,
                notes,
                {} if record is None else its.files,
            )
            yield state.end(number, result)


def run_file(
    task: Task, targets: Targets, request: FileRequest, sha256: str
) -> tuple[dict[str, Any] | None, tuple[Note, ...], UNetError | None, float]:
    """Run one file in a worker: its record, notes, fault, and the seconds that it took."""
    from napari_unet.inference.worker_model import loaded_model

    began = time.perf_counter()
    notes = task.notes
    try:
        model = loaded_model(sha256).model
        assert model is not None
        opened = open_task(task, targets, request, model.card)
        with opened.stack:
            notes = opened.notes
            result = drain(predict_task(opened, targets, model, request))
            record = write_task(task, opened, result, targets, request)
    except Exception as error:  # noqa: BLE001 - as above
        return None, notes, explain_error(error), time.perf_counter() - began
    return record, notes, None, time.perf_counter() - began
