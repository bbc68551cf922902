"""Checkpoints: an interrupted training goes on as if nothing had happened."""

from __future__ import annotations

import errno
import functools
import itertools
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_unet.dataset.example import Example
from napari_unet.errors import FileError, TrainingError
from napari_unet.network.model import Model
from napari_unet.samples import load_sample
from napari_unet.training.loop import TrainingLoop
from napari_unet.training.steps import TrainStep
from napari_unet.training.train import iter_train, train

SAMPLE = load_sample("nuclei_2d")
IMAGE, TRUTH = SAMPLE.image[:72, :72], SAMPLE.truth[:72, :72]
EXAMPLE = Example(IMAGE, TRUTH)
HELD_OUT = Example(IMAGE.T, TRUTH.T)
SETTINGS: dict[str, Any] = {
    "threads": 1,  # others may follow the load, which changes the last bits
    "features": (4, 8),
    "patch": (32, 32),
    "batch_size": 2,
    "steps": 9,
    "validation_every": 3,
    "learning_rate": 1e-2,
    "device": "cpu",
    "precision": "float32",
}


def interrupt(path: Path, after: int, **settings: Any) -> list[TrainStep]:
    """A training that ends, without a result, after some steps."""
    arguments = {"validation": [HELD_OUT]} | SETTINGS | settings
    job = iter_train([EXAMPLE], checkpoint=path, **arguments)
    steps = list(itertools.islice(job, after))
    job.close()
    return steps


def finish(job: Generator[TrainStep, str | None, Model]) -> tuple[list[TrainStep], Model]:
    """All steps and the model."""
    steps = []
    while True:
        try:
            steps.append(next(job))
        except StopIteration as end:
            return steps, end.value


@functools.cache
def undisturbed_run(*, validated: bool) -> tuple[list[TrainStep], Model]:
    """The same training without an interruption."""
    return finish(iter_train([EXAMPLE], validation=[HELD_OUT][: int(validated)], **SETTINGS))


def same_weights(first: Model, second: Model) -> bool:
    a, b = first.network.state_dict(), second.network.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    path = tmp_path / "run.ckpt"
    interrupt(path, 4)
    return path


@pytest.mark.parametrize(
    ("after", "held_out"), [(n, [HELD_OUT]) for n in (1, 3, 5, 9)] + [(5, []), (9, [])]
)
def test_a_resumed_training_gives_the_same_weights(
    tmp_path: Path, after: int, held_out: list[Example]
) -> None:
    path = tmp_path / "run.ckpt"
    expected, undisturbed = undisturbed_run(validated=bool(held_out))
    interrupt(path, after, validation=held_out)
    saved = after // 3 * 3  # the step of the last checkpoint
    rest, resumed = finish(iter_train([EXAMPLE], validation=held_out, checkpoint=path, **SETTINGS))

    def told(step: TrainStep) -> tuple[Any, ...]:
        return (step.step, step.loss, step.learning_rate, step.metric, step.best)

    assert [told(s) for s in rest] == [told(s) for s in expected[saved:]]
    assert same_weights(resumed, undisturbed)
    assert resumed.card.training is not None
    assert resumed.card.training.steps == 9


def test_a_stop_is_kept_while_the_model_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_unet.training.train._finalize", die)
    path = tmp_path / "run.ckpt"
    job = iter_train([EXAMPLE], validation=[HELD_OUT], checkpoint=path, **SETTINGS)
    for _ in range(5):
        next(job)
    with pytest.raises(KeyboardInterrupt):
        job.send("stop")
    assert torch.load(path, weights_only=True)["state"]["step"] == 5


def test_the_caller_may_remove_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    job = iter_train(
        [EXAMPLE], validation=[HELD_OUT], checkpoint=path, leave_checkpoint=True, **SETTINGS
    )
    steps, model = finish(job)
    assert path.is_file()
    job = iter_train([EXAMPLE], validation=[HELD_OUT], checkpoint=path, **SETTINGS)
    again, resumed = finish(job)
    assert (len(steps), again) == (9, [])
    assert same_weights(model, resumed)
    assert not path.exists()


TRAIN_AND_TELL = """
import sys
from napari_unet import Example, iter_train, load_sample
sample = load_sample("nuclei_2d")
image, truth = sample.image[:72, :72], sample.truth[:72, :72]
settings = eval(sys.argv[2])
job = iter_train(
    [Example(image, truth)], validation=[Example(image.T, truth.T)], checkpoint=sys.argv[1],
    **settings,
)
for step in job:
    print(step.step, flush=True)
"""


@pytest.mark.process
def test_a_killed_process_is_resumed_as_if_nothing_had_happened(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    settings = SETTINGS | {"steps": 300}  # long enough to be killed in the middle of it
    child = subprocess.Popen(
        [sys.executable, "-c", TRAIN_AND_TELL, str(path), repr(settings)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 8:
            break
    child.kill()  # SIGKILL: nothing is tidied up
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    job = iter_train([EXAMPLE], validation=[HELD_OUT], checkpoint=path, **settings)
    first = next(job)
    assert 6 < first.step < 300
    rest = list(itertools.islice(job, 15 - first.step))
    expected = iter_train([EXAMPLE], validation=[HELD_OUT], **settings)
    told = {step.step: step for step in itertools.islice(expected, 15)}
    assert [s.loss for s in (first, *rest)] == [told[s.step].loss for s in (first, *rest)]
    resumed = stop(job)
    assert same_weights(resumed, stop(expected))
    assert resumed.card.training is not None
    assert resumed.card.training.config["threads"] == 1


def stop(job: Generator[TrainStep, Any, Model]) -> Model:
    with pytest.raises(StopIteration) as end:
        job.send("stop")
    model: Model = end.value.value
    return model


def test_checkpoints_are_written_between_validations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unet.training.loop.CHECKPOINT_INTERVAL_S", 0.0)
    path = tmp_path / "run.ckpt"
    interrupt(path, 4)  # a step after the validation
    rest, resumed = finish(
        iter_train([EXAMPLE], validation=[HELD_OUT], checkpoint=path, **SETTINGS)
    )
    assert rest[0].step == 5
    assert same_weights(resumed, undisturbed_run(validated=True)[1])


def test_a_full_disk_is_told_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.ckpt"
    job = iter_train([EXAMPLE], validation=[HELD_OUT], checkpoint=path, **SETTINGS)
    steps = list(itertools.islice(job, 4))
    kept = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        steps += list(itertools.islice(job, 2))
    assert "space" in steps[-1].message
    assert "Training goes on" in steps[-1].message
    assert path.read_bytes() == kept
    rest, model = finish(job)
    assert [s.step for s in rest] == [7, 8, 9]
    assert not any("space" in s.message for s in rest)
    assert same_weights(model, undisturbed_run(validated=True)[1])


def test_the_best_weights_survive_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.ckpt"
    seen: list[dict[str, torch.Tensor]] = []
    metrics = iter([0.9, 0.2, 0.1])

    def scripted(loop: TrainingLoop) -> float:
        seen.append({k: v.clone() for k, v in loop.state.network.state_dict().items()})
        return next(metrics)

    monkeypatch.setattr(TrainingLoop, "score_network", scripted)
    interrupt(path, 4)
    model = train([EXAMPLE], validation=[HELD_OUT], checkpoint=path, **SETTINGS)
    found = model.network.state_dict()
    assert len(seen) == 3
    assert all(torch.equal(found[key], seen[0][key]) for key in found)


def test_a_resumed_time_budget_counts_what_was_spent(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    settings = SETTINGS | {"steps": None, "minutes": 0.05, "validation_every": 1}
    job = iter_train([EXAMPLE], validation=[], checkpoint=path, **settings)
    spent = 0.0
    for step in job:
        spent = step.seconds
        if spent > 1.5:
            break
    job.close()
    first = next(iter_train([EXAMPLE], validation=[], checkpoint=path, **settings))
    assert first.seconds > spent * 0.8
    assert first.step > 1


def test_the_file_is_removed_at_the_end_and_kept_when_interrupted(interrupted: Path) -> None:
    assert [p.name for p in interrupted.parent.iterdir()] == ["run.ckpt"]
    train([EXAMPLE], validation=[HELD_OUT], checkpoint=interrupted, **SETTINGS)
    assert list(interrupted.parent.iterdir()) == []


def test_stopping_removes_the_file(interrupted: Path) -> None:
    job = iter_train([EXAMPLE], validation=[HELD_OUT], checkpoint=interrupted, **SETTINGS)
    next(job)
    with pytest.raises(StopIteration):
        job.send("stop")
    assert list(interrupted.parent.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_noticed_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "run.ckpt"):
        with pytest.raises(FileError):
            next(iter_train([EXAMPLE], validation=[], checkpoint=path, **SETTINGS))


# --------------------------------------------------------------------- another training's file


OTHER_IMAGE = IMAGE.copy()
OTHER_IMAGE[-1, -1] += 1
OTHER = Example(OTHER_IMAGE, TRUTH)


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 2e-2},
        {"steps": 10},
        {"seed": 1},
        {"features": (4, 6)},
        {"examples": [OTHER]},
        {"examples": [EXAMPLE, EXAMPLE]},
        {"validation": [OTHER]},
        {"validation": []},
        {"base": True},
    ],
    ids=str,
)
def test_the_file_of_another_training_is_refused(
    interrupted: Path, changes: dict[str, Any]
) -> None:
    before = interrupted.read_bytes()
    arguments = {"examples": [EXAMPLE], "validation": [HELD_OUT]} | SETTINGS | changes
    if "base" in changes:
        arguments["base"] = train([EXAMPLE], **(SETTINGS | {"steps": 1}))
    with pytest.raises(TrainingError, match="belongs to a training with other examples"):
        next(iter_train(checkpoint=interrupted, **arguments))
    assert interrupted.read_bytes() == before


def test_name_and_description_may_change(interrupted: Path) -> None:
    arguments = SETTINGS | {"name": "new", "description": "Better."}
    job = iter_train([EXAMPLE], validation=[HELD_OUT], checkpoint=interrupted, **arguments)
    assert next(job).step == 4  # after the checkpoint of step 3


# -------------------------------------------------------------------------------- damaged files


class Harmful:
    """Would make a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["truncated", "empty", "noise", "text", "keys", "shapes"])
def test_a_damaged_file_is_refused(interrupted: Path, kind: str) -> None:
    content = interrupted.read_bytes()
    if kind in ("keys", "shapes"):
        stored = torch.load(interrupted, weights_only=True)
        state = stored["state"]
        if kind == "keys":
            del state["optimizer"]
        else:
            state["network"] = {k: torch.zeros(7) for k in state["network"]}
        torch.save(stored, interrupted)
    else:
        interrupted.write_bytes(
            {
                "truncated": content[: len(content) // 2],
                "empty": b"",
                "noise": np.random.default_rng(0).bytes(1000),
                "text": b"not a checkpoint",
            }[kind]
        )
    with pytest.raises(TrainingError, match="is damaged; remove it"):
        next(iter_train([EXAMPLE], validation=[HELD_OUT], checkpoint=interrupted, **SETTINGS))


def test_nothing_in_the_file_executes(tmp_path: Path) -> None:
    path, mark = tmp_path / "run.ckpt", tmp_path / "mark"
    for save in (torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))):
        save({"identity": Harmful(mark)}, path)
        with pytest.raises(TrainingError, match="is damaged"):
            next(iter_train([EXAMPLE], checkpoint=path, **SETTINGS))
        assert not mark.exists()


def test_a_second_training_with_the_same_checkpoint_is_refused_while_the_first_lives(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.pt"
    first = iter_train([EXAMPLE], validation=[HELD_OUT], checkpoint=path, **SETTINGS)
    next(first)
    for again in (path, str(path), tmp_path / "." / "state.pt"):
        with pytest.raises(TrainingError, match="in use: another training") as raised:
            train([EXAMPLE], validation=[HELD_OUT], checkpoint=again, **SETTINGS)
        assert raised.value.parameter == "checkpoint"
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from napari_unet.io.locks import hold_file\n"
        "with hold_file(Path(sys.argv[1])) as owned:\n"
        "    print(owned)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"  # in another process too
    other = train([EXAMPLE], validation=[], checkpoint=tmp_path / "other.pt", **SETTINGS)
    assert other.card.training is not None
    assert first.send(None).step == 2  # the first goes on
    first.close()
    assert [each.name for each in tmp_path.iterdir()] == ["state.pt"]
    train([EXAMPLE], validation=[HELD_OUT], checkpoint=path, **SETTINGS)
    assert list(tmp_path.iterdir()) == []
