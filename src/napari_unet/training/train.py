"""Training a U-Net on examples, plainly or step by step."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.card import Normalization
from napari_unet.dataset.example import Example
from napari_unet.errors import (
    FileError,
    Note,
    TrainingError,
    TrainingInterruptedError,
    UNetError,
    note_of,
)
from napari_unet.inference.prediction import predict
from napari_unet.inference.segmentation import iter_segmentation
from napari_unet.network.model import Model
from napari_unet.progress import drain
from napari_unet.settings import TrainConfig, resolve
from napari_unet.training.checkpoint import Checkpoint
from napari_unet.training.finalize import complete
from napari_unet.training.loop import DEFAULT_MINUTES, TrainingLoop
from napari_unet.training.setup import set_up
from napari_unet.training.steps import MoreLabels, Preview, TrainStep

PAUSE = 120.0  # seconds between two checkpoints, at most


def train(
    examples: Sequence[Example],
    *,
    base: Model | str | Path | None = None,
    config: TrainConfig | None = None,
    validation: Sequence[Example] | None = None,
    checkpoint: str | Path | None = None,
    **overrides: Any,
) -> Model:
    """Train a model on labelled images.

    Parameters
    ----------
    examples : sequence of Example
        Images with labels.
    base : Model, str or Path, optional
        A model to start from; it is not changed. None: a new network.
    config : TrainConfig, optional
        Settings; ``overrides`` are single fields of it. Without a budget: 10 minutes.
    validation : sequence of Example, optional
        Examples that are never trained on; None: a share of ``examples`` is held out, whole
        images where there are three or more, else a block of each.
    checkpoint : str or Path, optional
        A file that is written now and then; where it exists, training goes on from it. It is
        removed at the end.

    Returns
    -------
    Model
        With the weights that scored best on what was held out, or the last ones where
        nothing was. The decoding of instances is calibrated there, and the card tells the
        scores there, beside those of the base.

    Raises
    ------
    UNetError
        If examples, base and settings do not fit one another.
    TrainingInterruptedError
        If training cannot go on; its ``model`` is the best until then.
    """
    return drain(
        iter_train(
            examples,
            base=base,
            config=config,
            validation=validation,
            checkpoint=checkpoint,
            **overrides,
        )
    )


def iter_train(
    examples: Sequence[Example],
    *,
    base: Model | str | Path | None = None,
    config: TrainConfig | None = None,
    validation: Sequence[Example] | None = None,
    checkpoint: str | Path | None = None,
    first: Preview | MoreLabels | None = None,
    leave_checkpoint: bool = False,
    **overrides: Any,
) -> Generator[TrainStep, str | Preview | MoreLabels | None, Model]:
    """`train` as a generator: yields a `TrainStep` per step, returns the `Model`.

    ``send("stop")`` ends it with the best model so far; ``send(Preview(image))`` puts a
    preview into the next step; ``send(MoreLabels(examples))`` takes in new labels before the
    next step, unless the one that was yielded is the last; closing it discards the training.
    ``first`` is what would be sent before the first step.

    A checkpoint belongs to the examples that training began with: to resume, begin with those,
    and with the additions as ``first``. With ``leave_checkpoint`` it is not removed at the end,
    but by the caller, who has put the model into a safe place by then.
    """
    start = time.perf_counter()
    wanted = resolve(TrainConfig, config, overrides)
    if wanted.minutes is None and wanted.steps is None:
        wanted = wanted.model_copy(update={"minutes": DEFAULT_MINUTES})
    setup = set_up(
        examples if isinstance(examples, Example) else list(examples),
        base=None if base is None else Model.load(base),
        config=wanted,
        validation=validation,
    )
    run = TrainingLoop(setup, start)
    store = Checkpoint(checkpoint, setup) if checkpoint is not None else None
    if store is not None and not store.restore(run):
        store.save(run)  # a place that cannot be written to is noticed before the work
    wish: str | Preview | MoreLabels | None = first
    notes = setup.notes
    taken_in: bool | None = None
    if isinstance(wish, MoreLabels):  # at once: of a run that is resumed no step may be left
        taken_in, taken = _take_in(wish, run)
        notes, wish = (*notes, *taken), None
    saved = run.seconds
    try:
        while not run.finished:
            if isinstance(wish, MoreLabels):
                taken_in, taken = _take_in(wish, run)
                notes = (*notes, *taken)
            step = replace(run.advance(), taken_in=taken_in)
            told = [*notes, *step.notes]
            notes, taken_in = (), None
            if store is not None and (run.at_milestone or run.seconds - saved > PAUSE):
                told += _save(store, run)
                saved = run.seconds
            if isinstance(wish, Preview):
                preview, fault = _show(wish, run)
                early = preview is not None and not run.validated
                step = replace(step, preview=preview, preview_early=early)
                told += fault
            wish = yield replace(step, notes=tuple(told))
            if wish == "stop":
                if not run.at_milestone:
                    run.validate()
                    if store is not None:
                        _save(store, run)  # calibrating and scoring take a while
                break
        model = run.best_model()
    except Exception as error:
        raise _interrupted(error, run) from error
    model = _complete(model, run)
    if store is not None and not leave_checkpoint:
        store.remove()
    return model


def _interrupted(error: Exception, run: TrainingLoop) -> TrainingInterruptedError:
    """What stopped a training, in words, with the best model until then."""
    if not isinstance(error, UNetError):
        problem = f"Training stopped at step {run.step + 1}: {type(error).__name__}: {error}"
        error = TrainingError(problem, code="unexpected")
    model = error.model if isinstance(error, TrainingInterruptedError) else run.rescue()
    if isinstance(model, Model):
        with contextlib.suppress(Exception):  # better without scores than not at all
            model = complete(model, run.setup, run.precision)
    return TrainingInterruptedError(error.problem, model, **error.fields)


def _complete(model: Model, run: TrainingLoop) -> Model:
    try:
        return complete(model, run.setup, run.precision)
    except Exception as error:
        raise TrainingInterruptedError(
            f"The model was trained but could not be calibrated and scored: "
            f"{type(error).__name__}: {error}",
            model,
        ) from error


def _save(store: Checkpoint, run: TrainingLoop) -> list[Note]:
    """Write a checkpoint; what is wrong where it cannot be written, and training goes on."""
    try:
        store.save(run)
    except FileError as error:
        kept = "Training goes on; the last checkpoint is kept"
        return [note_of("checkpoint-not-written", error), Note("training-goes-on", kept)]
    return []


def _take_in(wish: MoreLabels, run: TrainingLoop) -> tuple[bool, tuple[Note, ...]]:
    """Whether new labels were accepted, and notes; if not, training goes on without them."""
    try:
        return True, run.take_in(wish.examples)
    except Exception as error:  # noqa: BLE001 - they must not cost what was learned
        return False, (note_of("labels-refused", error, "The new labels were not taken in: "),)


def _show(wish: Preview, run: TrainingLoop) -> tuple[Any, list[Note]]:
    """Labels, or values, of a view; or what is wrong with it."""
    settings: dict[str, Any] = {"device": run.setup.config.device, "precision": run.precision}
    place: dict[str, Any] = {
        "axes": wish.axes,
        "channels": wish.channels,
        "pixel_size": wish.pixel_size,
    }
    try:
        if wish.limits is not None:
            settings["normalization"] = Normalization(mode="range", limits=tuple(wish.limits))
        model = run.preview_model()
        if model.card.task == "regression":
            return np.asarray(predict(wish.image, model, **place, **settings).scores), []
        return drain(iter_segmentation(wish.image, model, **place, **settings)).labels, []
    except (UNetError, ValueError) as error:
        return None, [note_of("no-preview", error, "There is no preview: ")]
