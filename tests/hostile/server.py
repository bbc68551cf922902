"""One process that has imported everything and forks for each case, with limits.

It reads a JSON object a line: words of the command line or Python code, a folder to work in, a file
for what is printed, and perhaps after how many seconds the case is killed. It answers with how the
case ended.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

LIMIT_BYTES = 6 << 30
LIMIT_CPU_S = 30
LIMIT_S = 60.0


def run_case(case: dict[str, Any]) -> dict[str, Any]:
    """Run a case in a process of its own."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 99
        try:
            resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
            resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_CPU_S, LIMIT_CPU_S))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            said = os.open(case["said"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.dup2(said, 1)
            os.dup2(said, 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            os.chdir(case["folder"])
            from napari_unet.cli import main

            if "code" in case:
                exec(case["code"], {})
                status = 0
            else:
                status = main(case["words"])
        except Exception:  # noqa: BLE001 - it is printed, and the status tells
            traceback.print_exc()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    while True:
        ended, code, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - began > case.get("kill_after_s", LIMIT_S):
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    return {
        "status": os.waitstatus_to_exitcode(code),
        "seconds": time.monotonic() - began,
        "megabytes": usage.ru_maxrss / 1024,
    }


def serve(warm_up: list[str]) -> None:
    """Answer cases until the input ends."""
    from napari_unet.cli import main

    # imported once for all cases: what a store, a picture and a training need besides
    for module in ("zarr", "PIL.Image", "napari_unet.cli.training", "napari_unet.training.train"):
        importlib.import_module(module)

    answers = os.fdopen(os.dup(1), "w")
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    main(warm_up)
    gc.collect()
    gc.freeze()  # no process of a case searches, and so copies, what all of them share
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        answers.write(json.dumps(run_case(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
