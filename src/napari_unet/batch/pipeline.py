"""Files run one after the other: the next is read and the last written while the network works."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from napari_unet.batch.destinations import Targets
from napari_unet.batch.file_job import (
    FileRequest,
    open_task,
    predict_task,
    write_task,
)
from napari_unet.batch.inputs import Task
from napari_unet.batch.opened import OpenedTask
from napari_unet.batch.result import BatchStep, FileDone, FileResult
from napari_unet.batch.state import BatchState
from napari_unet.errors import Note
from napari_unet.network.model import Model
from napari_unet.unexpected import explain_error


@dataclass
class _Writing:
    """A file whose results are being written."""

    number: int
    future: Future[dict[str, Any]]
    notes: tuple[Note, ...]
    began: float


def iter_pipeline(
    tasks: Sequence[Task],
    targets: Sequence[Targets],
    waiting: Sequence[int],
    model: Model,
    request: FileRequest,
    state: BatchState,
    client: Any = None,
) -> Generator[BatchStep, None, None]:
    """Run files in order, each fault that of its file.

    Parameters
    ----------
    tasks, targets : sequence
        All files of the batch, and where their results go.
    waiting : sequence of int
        Numbers of those that need work.
    model : Model
        What predicts.
    request : FileRequest
        How.
    state : BatchState
        Gets the results.
    client : distributed.Client, optional
        Where the blocks of each file are run; None: here.
    """
    state.begin(waiting)
    readers = ThreadPoolExecutor(1, "batch-read")
    writers = ThreadPoolExecutor(1, "batch-write")
    last: _Writing | None = None
    unused: list[Future[OpenedTask]] = []

    def read(number: int) -> Future[OpenedTask]:
        future = readers.submit(open_task, tasks[number], targets[number], request, model.card)
        unused.append(future)
        return future

    try:
        coming = read(waiting[0])
        for place, number in enumerate(waiting):
            began = time.perf_counter()
            present = coming
            yield state.step(number, "reading", phase="reading")
            opened: OpenedTask | None = None
            fault: Exception | None = None
            result = None
            try:
                opened = present.result()
                unused.remove(present)
            except Exception as error:  # noqa: BLE001 - whatever a file does is its own failure
                fault = error
            if place + 1 < len(waiting):
                coming = read(waiting[place + 1])
            if opened is not None:
                job = predict_task(opened, targets[number], model, request, client)
                try:
                    with closing(job):
                        while True:
                            try:
                                step = next(job)
                            except StopIteration as end:
                                result = end.value
                                break
                            share = step.done / max(step.total, 1)
                            yield state.step(number, step.message, share, phase=step.phase)
                            if last is not None and last.future.done():
                                yield from _end(last, tasks, targets, state)
                                last = None
                except Exception as error:  # noqa: BLE001 - as above
                    fault = error
                except BaseException:
                    opened.stack.close()
                    raise
            if last is not None:
                yield from _end(last, tasks, targets, state)
                last = None
            if fault is not None or opened is None or result is None:
                if opened is not None:
                    opened.stack.close()
                notes = tasks[number].notes if opened is None else opened.notes
                yield _failed(number, tasks[number], fault, notes, began, state)
                continue
            yield state.step(number, "writing", 1.0, state="writing")
            write = _writer(tasks[number], opened, result, targets[number], request)
            last = _Writing(number, writers.submit(write), opened.notes, began)
        if last is not None:
            yield from _end(last, tasks, targets, state)
            last = None
    finally:
        # what is complete is written, also where the batch is cancelled
        writers.shutdown(wait=True)
        if last is not None and last.future.exception() is None:
            for _ in _end(last, tasks, targets, state):
                pass
        readers.shutdown(wait=True, cancel_futures=True)
        for future in unused:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().stack.close()


def _writer(
    task: Task,
    opened: OpenedTask,
    result: Any,
    targets: Targets,
    request: FileRequest,
) -> Callable[[], dict[str, Any]]:
    return lambda: write_task(task, opened, result, targets, request)


def _end(
    last: _Writing, tasks: Sequence[Task], targets: Sequence[Targets], state: BatchState
) -> Iterator[FileDone]:
    """Wait for the results of a file to be written."""
    task, its = tasks[last.number], targets[last.number]
    try:
        record = last.future.result()
    except Exception as error:  # noqa: BLE001 - a full disk, say
        yield _failed(last.number, task, error, last.notes, last.began, state)
        return
    seconds = time.perf_counter() - last.began
    result = FileResult(task.source, its.main, record, None, seconds, None, last.notes, its.files)
    yield state.end(last.number, result)


def _failed(
    number: int,
    task: Task,
    error: Exception | None,
    notes: tuple[Note, ...],
    began: float,
    state: BatchState,
) -> FileDone:
    fault = explain_error(error or RuntimeError("no result"))
    seconds = time.perf_counter() - began
    result = FileResult(task.source, None, None, str(fault), seconds, fault, notes)
    return state.end(number, result)
