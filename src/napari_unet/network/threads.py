"""Work of a network on the threads of a CPU, side by side.

The threads inside a layer wait for each other at its end. Where another process takes a core, one
of them stands still and all the others with it: two threads beside two busy processes did a
twentieth of what they do alone. Whole pieces of work side by side (tiles, patches), each on a
thread of its own, wait for each other only at their end, and lose no more than their share
(docs/results/load.md).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import torch

Result = TypeVar("Result")

_DEFAULT_LOCK = threading.Lock()


class Workers:
    """Threads that compute side by side, each with its share of torch's threads.

    A single worker is the caller itself, with all threads.

    Parameters
    ----------
    threads : int
        Of torch, in all.
    pieces : int
        How many pieces of work there are at a time; no more workers are made.

    Attributes
    ----------
    count : int
        How many workers.
    threads_each : int
        Threads of torch that each of them uses.
    """

    def __init__(self, threads: int, pieces: int) -> None:
        self.count = max(1, min(threads, pieces)) if _openmp() else 1
        self.threads_each = max(1, threads // self.count)
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[..., Result], *given: Any) -> Future[Result]:
        """Begin a piece of work; it is done at once where there is a single worker."""
        if self.count > 1:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(
                    self.count, "napari-unet", _set_own_threads, (self.threads_each,)
                )
            return self._pool.submit(work, *given)
        future: Future[Result] = Future()
        try:
            with limit_threads(self.threads_each):
                future.set_result(work(*given))
        except Exception as error:  # noqa: BLE001 - as a pool does: raised by `result`
            future.set_exception(error)
        return future

    def close(self) -> None:
        """End the threads; what has begun is finished first, what waits is dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def count_threads(setting: int | str) -> int:
    """Threads of torch for a setting: all there are just now for "auto"."""
    return setting if isinstance(setting, int) else torch.get_num_threads()


@contextmanager
def limit_threads(threads: int) -> Iterator[None]:
    """Let torch use so many threads in this thread, and in no other one."""
    before = torch.get_num_threads()
    if threads == before or not _openmp():
        yield
        return
    _set_own_threads(threads)
    try:
        yield
    finally:
        _set_own_threads(before)


def _openmp() -> bool:
    """Whether each thread can have a number of its own; torch's other back end has one for all."""
    return torch.backends.openmp.is_available()  # type: ignore[no-untyped-call,no-any-return]


def _set_own_threads(threads: int) -> None:
    """As `torch.set_num_threads`, which also changes what later threads begin with."""
    torch.get_num_threads()  # a new thread takes the default at its first call
    with _DEFAULT_LOCK:  # two threads at a time would take each other's number for the default
        default = _in_new_thread(torch.get_num_threads)
        torch.set_num_threads(threads)
        _in_new_thread(lambda: torch.set_num_threads(default))


def _in_new_thread(call: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]
