"""Training a U-Net on examples, plainly or step by step."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.card import Normalization
from napari_unet.checkpoint import Checkpoint
from napari_unet.completion import complete
from napari_unet.errors import FileError, TrainingInterruptedError
from napari_unet.examples import Example
from napari_unet.model import Model
from napari_unet.prediction import predict
from napari_unet.progress import drain
from napari_unet.segmentation import iter_segmentation
from napari_unet.settings import TrainConfig, resolve
from napari_unet.training_run import DEFAULT_MINUTES, TrainingRun
from napari_unet.training_setup import set_up
from napari_unet.training_step import Preview, TrainStep


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
    **overrides: Any,
) -> Generator[TrainStep, str | Preview | None, Model]:
    """`train` as a generator: yields a `TrainStep` per step, returns the `Model`.

    ``send("stop")`` ends it with the best model so far; ``send(Preview(image))`` puts a
    preview into the next step; closing it discards the training.
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
    run = TrainingRun(setup, start)
    store = Checkpoint(checkpoint, setup) if checkpoint is not None else None
    if store is not None and not store.restore(run):
        store.save(run)  # a place that cannot be written to is noticed before the work
    wish: str | Preview | None = None
    notes = " ".join(setup.notes)
    while not run.finished:
        try:
            step = run.advance()
        except TrainingInterruptedError as error:
            if isinstance(error.model, Model):
                error.model = complete(error.model, setup, run.precision)
            raise
        fault = _save(store, run) if store is not None and run.at_milestone else ""
        step = replace(step, message=" ".join(filter(None, (notes, step.message, fault))))
        notes = ""
        if isinstance(wish, Preview):
            step = replace(step, preview=_show(wish, run))
        wish = yield step
        if wish == "stop":
            break
    model = complete(run.best_model(), setup, run.precision)
    if store is not None:
        store.remove()
    return model


def _save(store: Checkpoint, run: TrainingRun) -> str:
    """Write a checkpoint; what is wrong where it cannot be written, and training goes on."""
    try:
        store.save(run)
    except FileError as error:
        return f"{error} Training goes on; the last checkpoint is kept."
    return ""


def _show(wish: Preview, run: TrainingRun) -> Any:
    """Labels, or values, of a view."""
    model = run.current_model()
    settings: dict[str, Any] = {"device": run.setup.config.device, "precision": run.precision}
    if wish.limits is not None:
        settings["normalization"] = Normalization(mode="range", limits=tuple(wish.limits))
    place: dict[str, Any] = {
        "axes": wish.axes,
        "channels": wish.channels,
        "pixel_size": wish.pixel_size,
    }
    if model.card.task == "regression":
        return np.asarray(predict(wish.image, model, **place, **settings).scores)
    return drain(iter_segmentation(wish.image, model, **place, **settings)).labels
