"""Ctrl+C as a wish to stop, and only then as an interruption."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType


@dataclass
class StopWish:
    """Whether the user wants a job to stop and to keep what it has.

    Attributes
    ----------
    armed : bool
        Whether there is something to keep; until then Ctrl+C interrupts.
    wanted : bool
        Whether Ctrl+C was pressed since.
    """

    armed: bool = False
    wanted: bool = False


@contextmanager
def first_press_stops(said: str) -> Iterator[StopWish]:
    """Make the first Ctrl+C a wish to stop; the second raises KeyboardInterrupt.

    Parameters
    ----------
    said : str
        One line to be shown after the first press.

    Yields
    ------
    StopWish
        To be armed, and looked at.
    """
    wish = StopWish()

    def press(number: int, frame: FrameType | None) -> None:
        del number, frame
        if not wish.armed or wish.wanted:
            raise KeyboardInterrupt
        wish.wanted = True
        # print could be in the middle of a line of its own, and would refuse
        with suppress(OSError):
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"\n{said}\n".encode())

    before = signal.getsignal(signal.SIGINT)
    # a job that a shell started in the background ignores the signal, and goes on doing so
    if threading.current_thread() is not threading.main_thread() or before in (
        signal.SIG_IGN,
        None,
    ):
        yield wish
        return
    signal.signal(signal.SIGINT, press)
    try:
        yield wish
    finally:
        signal.signal(signal.SIGINT, before)
