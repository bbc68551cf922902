"""The entry of the command line: parses, runs a command, turns faults into one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from napari_unet.cli.parser import build_parser
from napari_unet.cli.printing import others_in_the_log, tell
from napari_unet.cli.wording import worded
from napari_unet.unexpected import explain_error

EXIT_UNEXPECTED = 1
EXIT_FAULT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: done; 2: a fault in the arguments, the files or the settings, told in one line on
    standard error; 1: something that nobody foresaw, told in one line that names a log;
    130: interrupted; 141: who read the output has gone.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        with others_in_the_log():
            status = _run(words)
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("napari-unet: interrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # as in `napari-unet models list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the user gets a sentence, the log the rest
        fault = explain_error(error)
        tell("error", worded(fault))
        return EXIT_UNEXPECTED if fault.code == "unexpected" else EXIT_FAULT
    return status


def _run(words: list[str]) -> int:
    if hasattr(sys.stdout, "reconfigure"):
        # a file name that the terminal cannot show must not end the run
        sys.stdout.reconfigure(errors="backslashreplace")
    options = build_parser(words).parse_args(words)
    # not before the help: it needs none of this
    from napari_unet.cli import commands
    from napari_unet.installation import foreign_distribution

    repair = foreign_distribution()
    if repair is not None:
        tell("warning", str(repair))
    status: int = getattr(commands, options.run)(options)
    return status
