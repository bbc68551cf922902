"""What is left of a training that ends while nobody has its model yet."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet.dataset.example import Example
from napari_unet.network.model import Model
from napari_unet.progress import drain
from napari_unet.recovery.training import (
    CHECKPOINT,
    MODEL,
    TrainingSession,
    begin_session,
    find_interrupted_sessions,
    sessions_folder,
)
from napari_unet.samples import load_sample
from napari_unet.settings import TrainConfig
from napari_unet.widgets.train import job as _training_job
from napari_unet.widgets.train.job import training_job
from napari_unet.widgets.train.link import TrainingLink

pytestmark = pytest.mark.windowless

# trains, and is killed when the model is ready and not on disk yet
CHILD = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_training_end import train
from napari_unet.recovery.training import TrainingSession

TrainingSession.keep = lambda session, model: os.kill(os.getpid(), signal.SIGKILL)
train()
"""


def begin() -> TrainingSession:
    sample = load_sample("nuclei_2d")
    image, truth = sample.image[:64, :64], np.asarray(sample.truth)[:64, :64]
    config = TrainConfig(steps=3, features=(4, 8), batch_size=2, patch=(32, 32), device="cpu")
    values = {"examples": [{"image": "nuclei"}]}
    return begin_session(values, [Example(image, truth, axes="YX")], None, config)


def train() -> Any:
    return drain(training_job(begin, TrainingLink()))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_model_survives_the_moment_until_it_is_on_disk() -> None:
    child = subprocess.run([sys.executable, "-c", CHILD], timeout=120, check=False)
    assert child.returncode == -signal.SIGKILL
    (found,) = find_interrupted_sessions()
    assert found.model is None
    again = drain(training_job(found.resume, TrainingLink()))  # no step is left
    assert again.model.card.training.steps == 3
    assert isinstance(Model.load(again.session.folder / MODEL), Model)
    assert not (again.session.folder / CHECKPOINT).exists()  # it has done its part


def test_a_model_that_cannot_be_kept_leaves_the_checkpoint(
    monkeypatch: pytest.MonkeyPatch, make_model: Any
) -> None:
    session = begin()
    session.checkpoint.write_bytes(b"weights")
    (session.folder / MODEL).mkdir()  # a folder is in the way
    session.keep(make_model())
    assert session.checkpoint.is_file()
    (session.folder / MODEL).rmdir()
    session.keep(make_model())
    assert session.model is not None
    assert not session.checkpoint.exists()


@pytest.mark.parametrize("learned", [True, False])
def test_a_fault_between_two_steps_does_not_cost_what_was_learned(
    monkeypatch: pytest.MonkeyPatch, learned: bool
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("the screen is full")

    if learned:
        monkeypatch.setattr(TrainingLink, "add_news", fail)
    else:
        monkeypatch.setattr(_training_job, "_Views", fail)
    with pytest.raises(OSError, match="screen"):
        train()
    assert len(find_interrupted_sessions()) == learned
    assert bool(list(sessions_folder().iterdir())) == learned


def test_what_the_user_cancels_leaves_nothing() -> None:
    link = TrainingLink()
    job = training_job(begin, link)
    while not list(sessions_folder().glob(f"*/{CHECKPOINT}")):
        next(job)
    link.cancel()
    job.close()
    assert not list(sessions_folder().iterdir())
