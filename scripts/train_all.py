"""Train all bundled models, each with its own log and checkpoint.

    python scripts/train_all.py DATA runs --device cuda --minutes 25
    python scripts/train_all.py DATA runs --minutes 240            # on the CPU, one after another

On a GPU they run side by side, as none of them fills it by itself; on the CPU each has its share
of the minutes. Run once more, each goes on from its checkpoint. Nothing is put into the package:
look at the scores in ``runs/*.log`` first, then copy what is better.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from train_model import RECIPES

HERE = Path(__file__).parent


def write_command(name: str, data: Path, runs: Path, device: str, minutes: float) -> list[str]:
    """What trains a model."""
    script = [HERE / "train_model.py", name]
    words = [sys.executable, *script, data, "--device", device, "--minutes", minutes]
    words += ["--checkpoint", runs / f"{name}.checkpoint"]
    words += ["--output", runs / f"{name}.safetensors"]
    return [str(word) for word in words]


def main() -> int:
    """Start the trainings and wait for them; 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--models", nargs="+", choices=RECIPES)
    arguments = parser.parse_args()
    names = arguments.models or RECIPES
    arguments.runs.mkdir(parents=True, exist_ok=True)
    together = arguments.device.startswith("cuda")
    minutes = arguments.minutes if together else arguments.minutes / len(names)
    running: list[tuple[str, subprocess.Popen[bytes]]] = []
    for name in names:
        command = write_command(name, arguments.data, arguments.runs, arguments.device, minutes)
        with (arguments.runs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        running.append((name, process))
        if not together:
            process.wait()
    failed = [name for name, process in running if process.wait()]
    for name in names:
        print(name, "failed, see its log" if name in failed else "is trained")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
