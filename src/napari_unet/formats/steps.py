"""Work of a library that calls back, as a generator that can be watched and closed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator

from napari_unet.progress import Progress

Steps = Generator[Progress, None, None]
"""A writer: it yields how far it is, and may be closed at any step."""


class _StoppedError(Exception):
    """The generator was closed."""


def in_steps(work: Callable[[Callable[[], None]], None], total: int, message: str) -> Steps:
    """Run a function in a thread, and wait for each of its steps.

    Parameters
    ----------
    work : callable
        Is given a function to call before each step. That raises where the generator was closed,
        so that the work ends there.
    total : int
        Number of steps.
    message : str
        What is being done, in words.

    Examples
    --------
    >>> done = []
    >>> steps = in_steps(lambda step: [(step(), done.append(i)) for i in range(3)], 3, "adding")
    >>> [(each.done, each.total) for each in steps], done
    ([(0, 3), (1, 3), (2, 3)], [0, 1, 2])
    """
    reached: queue.SimpleQueue[BaseException | bool] = queue.SimpleQueue()
    go_on: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def step() -> None:
        reached.put(True)  # noqa: FBT003
        if not go_on.get():
            raise _StoppedError

    def run() -> None:
        try:
            work(step)
        except BaseException as error:  # noqa: BLE001 - it is raised where the generator is
            reached.put(error)
        else:
            reached.put(False)  # noqa: FBT003

    thread = threading.Thread(target=run, name="export", daemon=True)
    thread.start()
    done = 0
    try:
        while (found := reached.get()) is True:
            yield Progress(min(done, total), total, message)
            done += 1
            go_on.put(True)  # noqa: FBT003
    except GeneratorExit:
        go_on.put(False)  # noqa: FBT003
        thread.join()
        raise
    thread.join()
    if isinstance(found, BaseException):
        raise found
