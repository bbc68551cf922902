"""Measure training: fine-tuning, scribbles, planes, denoising, speed, batch norm, and more.

    python studies/study_training.py DATA RESULTS.json finetune scribbles
    python studies/study_training.py DATA RESULTS.json all --seeds 0 --list
    python studies/write_training_results.py RESULTS.json              # the tables of the page

DATA holds the folders of the data sets. Every run is added to RESULTS.json as it ends; runs that
are there already are not made again, so that the study can be stopped and resumed.
"""

from __future__ import annotations

import argparse
import logging
import sys
from importlib import import_module
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "scripts"))  # the recipes of the bundled models

from training_study.records import Plan, Records

from napari_unet.network.devices import resolve_device

MODULES = {
    "bases": "bases",
    "keeping": "keeping",
    "finetune": "finetuning",
    "scribbles": "painting",
    "planes": "planes",
    "regression": "regression",
    "speed": "speed",
    "start": "start",
    "statistics": "batch_norm",
    "patches": "patches",
    "configuration": "configuration",
    "batches": "batches",
    "ablation": "ablation",
}


def main() -> None:
    """Make the runs that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("results", type=Path, help="JSON file, made or added to")
    parser.add_argument("experiments", nargs="+", choices=[*MODULES, "all"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="of every training, instead of the usual")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    parser.add_argument("--again", action="store_true", help="make runs anew that are there")
    parser.add_argument("--matching", default="", help="only runs that have this in their name")
    parser.add_argument("--list", action="store_true", help="list the runs and stop")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    arguments = parser.parse_args()
    # calibration tries thresholds that leave nothing: no news here
    logging.getLogger("napari_unet").setLevel(logging.ERROR)
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    plan = Plan(
        data=arguments.data,
        seeds=tuple(arguments.seeds),
        steps=arguments.steps,
        quick=arguments.quick,
        device=str(resolve_device(arguments.device)),
        threads=arguments.threads,
    )
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    records = Records(arguments.results, quick=plan.quick)
    names = MODULES if "all" in arguments.experiments else arguments.experiments
    for name in names:
        for run in import_module(f"training_study.{MODULES[name]}").iter_runs(plan):
            if arguments.matching not in run.name:
                continue
            if arguments.list:
                print("done" if records.has(run) else "to do", run.name)
            elif arguments.again or not records.has(run):
                entry = records.make(run, plan)
                told = entry.get("error") or f"{entry['score']:.4f}"
                print(f"{run.name}: {told} ({entry['seconds']:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
