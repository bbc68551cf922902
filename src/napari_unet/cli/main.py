"""The entry of the command line: parses, runs a command, turns faults into one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from napari_unet.cli.parser import build_parser
from napari_unet.cli.wording import worded
from napari_unet.errors import UNetError

EXIT_FAULT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: done; 2: a fault in the arguments, the files or the settings, told in one line on
    standard error; 130: interrupted; 141: who read the output has gone.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        status = _run(words)
        sys.stdout.flush()
    except UNetError as error:
        print(f"napari-unet: error: {worded(error)}", file=sys.stderr)
        return EXIT_FAULT
    except KeyboardInterrupt:
        print("napari-unet: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # as in `napari-unet models list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
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
        print(f"napari-unet: warning: {repair}", file=sys.stderr)
    status: int = getattr(commands, options.run)(options)
    return status
