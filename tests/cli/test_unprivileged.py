"""What a user may not read or write ends in a sentence; root may do all, so another user tries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_unet.network.model import Model

NOBODY = 65534
TRY = """
import contextlib, io, json, os, sys
from napari_unet.cli.main import main

def run(words):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            status = main(words)
        except SystemExit as end:
            status = end.code
    return status, out.getvalue()

warm_up, tried, user = json.loads(sys.argv[1])
for words in warm_up:  # imports all that is needed: the interpreter may be root's alone
    status, said = run(words)
    assert status == 0, said
os.setgroups([])
os.setgid(user)
os.setuid(user)
print(json.dumps([run(words) for words in tried]))
"""

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user"
    ),
]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that another user can look into; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="unprivileged-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_an_unprivileged_user_is_told_in_a_sentence(
    place: Path, bright_model: Callable[..., Model]
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OMP_NUM_THREADS": "1",
        "HOME": str(place / "home"),
        "NAPARI_UNET_MODELS": str(place / "models"),
        "NAPARI_UNET_STATE": str(place / "home" / "state"),
    }
    image = np.random.default_rng(0).integers(0, 99, (48, 48)).astype(np.uint16)
    image[10:30, 10:30] += 900
    for name in ("secret.tif", "open.tif"):
        tifffile.imwrite(place / name, image)
    (place / "secret.tif").chmod(0o600)
    tifffile.imwrite(place / "labels.tif", (image > 500).astype(np.uint8))
    for name in ("models", "closed"):
        (place / name).mkdir()
    bright_model().save(place / "models" / "mine")
    (place / "models" / "mine.safetensors").chmod(0o644)
    (place / "models").chmod(0o555)
    (place / "closed").chmod(0o700)
    secret, image_file, closed = (
        str(place / name) for name in ("secret.tif", "open.tif", "closed")
    )
    device = ["--device", "cpu", "--precision", "float32"]
    small = ["--steps", "1", "--features", "2,4", "--patch", "16,16", "--batch-size", "1"]
    small += ["--no-checks", *device]
    pair = [image_file, str(place / "labels.tif")]
    home, table = str(place / "home"), str(place / "closed" / "table.csv")
    model = ["-m", "mine", *device]
    checkpoint = ["--checkpoint", str(place / "closed" / "state.pt")]
    tried: dict[str, tuple[list[str], str]] = {
        "an unreadable image": (["segment", secret, *model, "-o", home], "may not be read by you"),
        "an unwritable output": (["segment", image_file, *model, "-o", closed], closed),
        "an unreadable folder": (["segment", closed, *model, "-o", home], closed),
        "unreadable labels": (
            ["train", image_file, secret, "-o", f"{home}/m", *small],
            "may not be read",
        ),
        "a read-only models folder": (["train", *pair, "-o", "new", *small], "models"),
        "a closed checkpoint": (
            ["train", *pair, "-o", f"{home}/n", *small, *checkpoint],
            "state.pt",
        ),
        "a closed table": (["measure", str(place / "labels.tif"), "-o", table], "table.csv"),
    }
    (place / "home").mkdir()
    os.chown(home, NOBODY, NOBODY)
    warm = str(place / "warm")
    warm_up = [
        ["segment", image_file, *model, "-o", warm],
        ["train", *pair, "-o", f"{warm}/w", *small, "--checkpoint", f"{warm}/w.pt"],
        ["measure", str(place / "labels.tif"), "-o", f"{warm}/table.csv"],
        ["models", "list"],
    ]
    listed = [["models", "list"]]
    found = run_as_nobody(warm_up, [words for words, _ in tried.values()] + listed, environment)
    for (name, (_, words)), (status, said) in zip(tried.items(), found[:-1], strict=True):
        assert status == 2, (name, said)
        assert words in said, (name, said)
        assert "Traceback" not in said, (name, said)
        assert said.count("napari-unet:") == 1, (name, said)
    assert found[-1][0] == 0  # what can be read is listed
    assert "mine" in found[-1][1]
    (place / "models").chmod(0o700)
    ((_, said),) = run_as_nobody(warm_up[-1:], listed, environment)
    assert "Traceback" not in said
    assert str(place / "models") in said, said


def run_as_nobody(
    warm_up: list[list[str]], tried: list[list[str]], environment: dict[str, str]
) -> list[tuple[int, str]]:
    """Status and text of each command, in a process that becomes another user after the others."""
    command = [sys.executable, "-c", TRY, json.dumps([warm_up, tried, NOBODY])]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "setuid" in answer.stderr or "setgroups" in answer.stderr:
        pytest.skip("the process cannot drop its rights")
    assert answer.returncode == 0, answer.stderr
    found: list[tuple[int, str]] = json.loads(answer.stdout)
    return found
