"""Several processes that want one name: one has it, nobody's model is replaced."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_unet.io import write_image, write_labels
from napari_unet.network.files import read_header
from napari_unet.network.model import Model

pytestmark = pytest.mark.process

ROUNDS = 15

KEEPER = """
import sys
from napari_unet.errors import UNetError
from napari_unet.network.library import export_model, rename_model, save_user_model
from napari_unet.network.model import Model
who, source, shared = sys.argv[1:]
model = Model.load(source)
print("ready", flush=True)
for line in sys.stdin:
    action, name = line.split()
    try:
        if action == "keep":
            save_user_model(model, name, description=who)
        elif action == "rename":
            rename_model(f"{name}-{who}", name)
        else:
            export_model(who, f"{shared}/{name}")
        print("done", flush=True)
    except UNetError as error:
        print(error, flush=True)
"""

MAIN = "import sys; from napari_unet.cli.main import main; sys.exit(main())"


def test_of_two_processes_one_gets_the_name(
    tmp_path: Path, make_model: Callable[..., Model]
) -> None:
    models, shared = tmp_path / "models", tmp_path / "shared"
    shared.mkdir()
    source = make_model().save(tmp_path / "source")
    for who in ("anna", "ben"):
        for name in (who, *(f"new{n}-{who}" for n in range(ROUNDS))):
            card = make_model().card.model_copy(update={"description": who})
            Model(card, make_model().network).save(models / name)
    environment = {**os.environ, "NAPARI_UNET_MODELS": str(models)}
    pipe = subprocess.PIPE
    both = {
        who: subprocess.Popen(
            [sys.executable, "-c", KEEPER, who, str(source), str(shared)],
            stdin=pipe,
            stdout=pipe,
            text=True,
            env=environment,
        )
        for who in ("anna", "ben")
    }
    try:
        for process in both.values():
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for action, folder in (("keep", models), ("rename", models), ("export", shared)):
            for number in range(ROUNDS):
                name = f"new{number}" if action == "rename" else f"{action}{number}"
                for process in both.values():
                    assert process.stdin is not None
                    process.stdin.write(f"{action} {name}\n")
                    process.stdin.flush()
                said = {who: p.stdout.readline().strip() for who, p in both.items() if p.stdout}
                winners = [who for who, text in said.items() if text == "done"]
                assert len(winners) == 1, said
                (loser,) = set(both) - set(winners)
                assert "already" in said[loser]
                card = read_header(folder / f"{name}.safetensors")
                assert card.description == winners[0]
                if action == "rename":
                    assert (models / f"{name}-{loser}.safetensors").is_file()
    finally:
        for process in both.values():
            process.kill()
            process.communicate()


@pytest.mark.slow
def test_two_trainings_with_one_output_replace_nothing(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 99, (48, 48)).astype(np.uint16)
    labels = np.zeros((48, 48), np.int32)
    labels[8:20, 8:20], labels[28:40, 24:40] = 1, 2
    image = write_image(tmp_path / "a.tif", pixels + 900 * (labels > 0), axes="YX", pixel_size=None)
    truth = write_labels(tmp_path / "a_labels.tif", labels, axes="YX", pixel_size=None)
    target = tmp_path / "cells.safetensors"
    command = [sys.executable, "-c", MAIN, "train", str(image), str(truth)]
    command += ["-o", str(target), "--steps", "3", "--features", "4,8", "--patch", "32,32"]
    command += ["--batch-size", "2", "--device", "cpu", "--no-checks"]
    pipe = subprocess.PIPE
    both = [
        subprocess.Popen([*command, "--seed", str(seed)], stdout=pipe, stderr=pipe, text=True)
        for seed in (1, 2)
    ]
    ends = [(*process.communicate(), process.returncode) for process in both]
    assert sorted(code for *_, code in ends) == [0, 2], ends
    winner = 1 + [code for *_, code in ends].index(0)
    record = read_header(target).training
    assert record is not None
    assert record.seed == winner
    (said,) = [error for _, error, code in ends if code]
    assert "already" in said
    if "saved as" in said:
        kept = read_header(tmp_path / "cells-2.safetensors").training
        assert kept is not None
        assert kept.seed == 3 - winner
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
