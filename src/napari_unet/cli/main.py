"""The entry of the command line: parses, runs a command, turns faults into one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from napari_unet.cli.json_lines import json_lines, prints_json, start_command, write_end
from napari_unet.cli.parser import build_parser
from napari_unet.cli.printing import others_in_the_log, tell, tell_fault
from napari_unet.unexpected import explain_error

EXIT_UNEXPECTED = 1
EXIT_FAULT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: done; 1: some of the files failed, or something that nobody foresaw, told in one line that
    names a log; 2: a fault in the arguments, the files or the settings, told in one line on
    standard error; 130: interrupted; 141: who read the output has gone.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if "_ARGCOMPLETE" in os.environ:
        from napari_unet.cli.completion import complete

        complete()
    try:
        with others_in_the_log(), json_lines(active="--json" in words):
            status = _run_told(words)
            if prints_json():
                write_end(status)
            sys.stdout.flush()
    except BrokenPipeError:  # as in `napari-unet models list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    return status


def _run_told(words: list[str]) -> int:
    """Run the command line, and tell what goes wrong."""
    try:
        return _run(words)
    except KeyboardInterrupt:
        if prints_json():
            tell("error", "interrupted", code="interrupted")
        else:
            sys.stderr.write("napari-unet: interrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the user gets a sentence, the log the rest
        fault = explain_error(error)
        tell_fault(fault)
        return EXIT_UNEXPECTED if fault.code == "unexpected" else EXIT_FAULT


def _run(words: list[str]) -> int:
    if hasattr(sys.stdout, "reconfigure"):
        # a file name that the terminal cannot show must not end the run
        sys.stdout.reconfigure(errors="backslashreplace")
    options = build_parser(words).parse_args(words)
    start_command(options.run.replace("_", " "), active=options.json)
    # not before the help: it needs none of this
    from napari_unet.cli import commands
    from napari_unet.installation import foreign_distribution

    repair = foreign_distribution()
    if repair is not None:
        tell("warning", str(repair))
    status: int = getattr(commands, options.run)(options)
    return status
