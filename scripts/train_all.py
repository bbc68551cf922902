"""Train all bundled models, each with its own log and checkpoints.

    python scripts/train_all.py DATA runs --device cuda --minutes 25
    python scripts/train_all.py DATA runs --minutes 240            # on the CPU, one after another

On a GPU they run side by side, as none of them fills it by itself; on the CPU each has its share
of the minutes. A model that is made in rounds (`Recipe.rounds`) has its minutes shared among them.
Run once more with the same minutes, each goes on from its checkpoint, or, made in rounds, from the
last of them that is done. Nothing is put into the package: look at the
scores in ``runs/*.log`` first, then copy what is better.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from train_model import RECIPES, find_recipe

HERE = Path(__file__).parent


def write_commands(
    name: str, data: Path, runs: Path, device: str, minutes: float
) -> list[list[str]]:
    """What trains a model: a command for each of its rounds, of which the last writes it."""
    recipe = find_recipe(name)
    commands, base = [], recipe.base
    rounds = recipe.rounds or (None,)
    for number, diameter in enumerate(rounds, start=1):
        stem = name if number == len(rounds) else f"{name}.round{number}"
        words = [sys.executable, HERE / "train_model.py", name, data, "--device", device]
        words += ["--minutes", minutes / len(rounds), "--checkpoint", runs / f"{stem}.checkpoint"]
        words += ["--output", runs / f"{stem}.safetensors"]
        words += ["--base", base] if base else []
        words += ["--diameter", diameter] if diameter else []
        commands.append([str(word) for word in words])
        base = str(runs / f"{stem}.safetensors")
    return commands


def run_commands(commands: list[list[str]], log: Path) -> bool:
    """Run one after the other, up to one that fails; whether all went well.

    An earlier round is left out where its model is there: made again, it would be another base.
    """
    with log.open("ab") as file:
        for number, command in enumerate(commands, start=1):
            output = Path(command[command.index("--output") + 1])
            if number < len(commands) and output.exists():
                continue
            ended = subprocess.run(command, check=False, stdout=file, stderr=subprocess.STDOUT)
            if ended.returncode:
                return False
    return True


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
    with ThreadPoolExecutor(len(names) if together else 1) as pool:
        done = pool.map(
            lambda name: run_commands(
                write_commands(name, arguments.data, arguments.runs, arguments.device, minutes),
                arguments.runs / f"{name}.log",
            ),
            names,
        )
        well = dict(zip(names, done, strict=True))
    for name, trained in well.items():
        print(name, "is trained" if trained else "failed, see its log")
    return 0 if all(well.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
