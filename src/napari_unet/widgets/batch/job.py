"""A batch as a job of a worker thread, and what it tells the dock of each file."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from napari_unet.batch.result import BatchStep, FileResult
from napari_unet.progress import Progress


@dataclass(frozen=True, eq=False)
class BatchRequest:
    """A batch in every detail; it holds values only.

    Attributes
    ----------
    paths : tuple of str
        Files, folders, patterns, URLs.
    model : str or Path
        Its name or file.
    output : str or None
        Folder of the results; None: beside each image.
    options : dict
        Further arguments of `napari_unet.segment_files`.
    cluster : str
        Where it is run; empty: here.
    told : SimpleQueue
        Gets each step that is about a file: none of them may be lost.
    """

    paths: tuple[str, ...]
    model: Any
    output: str | None
    options: dict[str, Any]
    cluster: str = ""
    told: SimpleQueue[BatchStep] = field(default_factory=SimpleQueue)

    def job(self) -> Generator[Progress, None, list[FileResult]]:
        """Run the files; closing it keeps what is done."""
        yield Progress(0, 0, "preparing", "preparing")
        from napari_unet.batch import iter_segment_files

        with ExitStack() as stack:
            client = None
            if self.cluster:
                from napari_unet.inference.cluster import open_client

                yield Progress(0, 0, "starting the cluster", "preparing")
                client = stack.enter_context(open_client(self.cluster))
            steps = stack.enter_context(
                closing(
                    iter_segment_files(
                        self.paths, self.model, self.output, client=client, **self.options
                    )
                )
            )
            while True:
                try:
                    step = next(steps)
                except StopIteration as end:
                    result: list[FileResult] = end.value
                    return result
                if isinstance(step, BatchStep) and step.file >= 0:
                    self.told.put(step)
                yield step
