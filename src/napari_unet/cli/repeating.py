"""The command ``napari-unet run``: a recorded run, once more."""

from __future__ import annotations

import argparse
import contextlib
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument(
        "record",
        metavar="RECORD",
        help="run record (.json), the result that it stands beside, or its JSON as a text",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="file or folder for the result (default: this folder, under a name that is free)",
    )
    parser.add_argument(
        "--input",
        action="append",
        type=Path,
        metavar="OTHER",
        help="run it on another input; once for each channel (default: the recorded one)",
    )


def _fix_threads(content: Mapping[str, Any], threads: int) -> Mapping[str, Any]:
    """The record with the number of threads that it was made with."""
    fixed = dict(content)
    for name in ("settings", "config"):
        part = content.get(name)
        if isinstance(part, Mapping) and part.get("threads", "auto") == "auto":
            fixed[name] = {**part, "threads": threads}
    return fixed


def run_record(options: Namespace) -> int:
    """Repeat a recorded run, and say what was written."""
    from napari_unet.cli.bars import run_with_bar
    from napari_unet.cli.printing import one_line, print_result, tell
    from napari_unet.network.threads import limit_threads
    from napari_unet.replay.records import read_content, run_of

    content = read_content(options.record)
    threads = content.get("threads")
    limit: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if isinstance(threads, int) and 0 < threads <= 1024:
        limit = limit_threads(threads)  # equal labels need equal sums
        content = _fix_threads(content, threads)
    given: Any = options.input
    if given is not None and len(given) == 1:
        (given,) = given
    run = run_of(content)
    for said in run.differences(content):
        tell("note", said)
    with limit:
        result = run_with_bar(run.repeat(given, run.free_target(options.output)))
    said = one_line(result.message)
    print_result(
        one_line(f"{result.output}: {said}") if result.output is not None else said,
        operation=content.get("operation"),
        output=result.output,
        message=said,
    )
    return result.status
