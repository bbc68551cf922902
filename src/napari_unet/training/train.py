"""Training a U-Net on examples, plainly or step by step."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Unpack

from napari_unet.dataset.example import Example
from napari_unet.errors import TrainingError, TrainingInterruptedError, UNetError
from napari_unet.network.model import Model
from napari_unet.progress import drain
from napari_unet.settings import DEFAULT_MINUTES, TrainConfig, TrainOverrides, resolve
from napari_unet.training.checkpoint import Checkpoint, own_checkpoint, read_choice
from napari_unet.training.finalize import finalize_model
from napari_unet.training.loop import TrainingLoop
from napari_unet.training.setup import prepare_training
from napari_unet.training.steps import MoreLabels, Preview, Request, TrainStep


def train(
    examples: Sequence[Example],
    *,
    base: Model | str | Path | None = None,
    config: TrainConfig | None = None,
    validation: Sequence[Example] | None = None,
    checkpoint: str | Path | None = None,
    **overrides: Unpack[TrainOverrides],
) -> Model:
    """Train a model on labelled images.

    Parameters
    ----------
    examples : sequence of Example
        Images with labels.
    base : Model, str or Path, optional
        A model to start from (object, name or file); it is not changed. None: a new network.
        Of objects it is asked first: where it finds next to nothing of those that are labelled,
        a new network is trained all the same, unless ``start`` is "base". The card says which.
    config : TrainConfig, optional
        Settings.
    validation : sequence of Example, optional
        Examples that are never trained on; None: a share of ``examples`` is held out, whole
        images where there are three or more, else a block of each.
    checkpoint : str or Path, optional
        A file that is written now and then; where it exists, training goes on from it. It is
        removed at the end.
    **overrides
        Single fields of `TrainConfig`, which win over ``config``: ``task``, ``minutes`` or
        ``steps`` (neither: 10 minutes), ``patch`` (pixels per spatial axis), ``seed``, ...

    Returns
    -------
    Model
        With the weights that scored best on what was held out, or the last ones where
        nothing was. The decoding of instances, and how readily each class is given, are
        calibrated there, and the card tells the scores there, beside those of the base.

    Raises
    ------
    UNetError
        If examples, base and settings do not fit one another.
    TrainingInterruptedError
        If training cannot go on; its ``model`` is the best until then.

    See Also
    --------
    iter_train : the same, step by step.
    napari_unet.check_examples : finds mistakes in the examples first.

    Examples
    --------
    Three steps teach nothing; they show what comes back.

    >>> import numpy as np
    >>> labels = np.zeros((64, 64), np.uint8)
    >>> labels[8:24, 8:24], labels[40:56, 30:50] = 1, 2
    >>> example = Example(labels > 0, labels, axes="YX")
    >>> model = train([example], steps=3, patch=(32, 32), batch_size=1, name="squares")
    >>> model.card.name, model.card.task, model.card.training.steps
    ('squares', 'instance', 3)
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
    **overrides: Unpack[TrainOverrides],
) -> Generator[TrainStep, Request, Model]:
    """`train` as a generator, which shows each step and can be asked between two.

    Closing it discards the training.

    Parameters
    ----------
    examples, base, config, validation, checkpoint, **overrides
        As in `train`. A checkpoint belongs to the examples that training began with: to
        resume, begin with those, and give the additions as ``first``.
    first : Preview or MoreLabels, optional
        What would be sent before the first step.
    leave_checkpoint : bool
        The checkpoint is not removed at the end, but by the caller, who has put the model
        into a safe place by then.

    Yields
    ------
    TrainStep
        One per step: loss, score where it was just measured, time, what there is to be told.

    Receives
    --------
    "stop"
        Ends with the best model so far.
    Preview
        Puts the labels of a view into the next step.
    MoreLabels
        Takes in new labels before the next step, unless the one yielded is the last.

    Returns
    -------
    Model
        As `train`.

    Raises
    ------
    UNetError
        If examples, base and settings do not fit one another.
    TrainingInterruptedError
        If training cannot go on; its ``model`` is the best until then.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.zeros((64, 64), np.uint8)
    >>> labels[8:24, 8:24], labels[40:56, 30:50] = 1, 2
    >>> example = Example(labels > 0, labels, axes="YX")
    >>> job = iter_train([example], steps=1000, patch=(32, 32), batch_size=1)
    >>> step = next(job)
    >>> step.step, step.total
    (1, 1000)
    >>> try:
    ...     _ = job.send("stop")
    ... except StopIteration as end:
    ...     model = end.value
    >>> model.card.training.steps
    1
    """
    started_s = time.perf_counter()
    wanted = resolve(TrainConfig, config, overrides)
    if wanted.minutes is None and wanted.steps is None:
        wanted = wanted.model_copy(update={"minutes": DEFAULT_MINUTES})
    with own_checkpoint(checkpoint):
        setup = prepare_training(
            examples if isinstance(examples, Example) else list(examples),
            base=None if base is None else Model.load(base),
            config=wanted,
            validation=validation,
            choice=read_choice(checkpoint) if base is not None and wanted.start == "auto" else None,
        )
        store = Checkpoint(checkpoint, setup) if checkpoint is not None else None
        with contextlib.closing(TrainingLoop(setup, started_s, store)) as loop:
            loop.resume()
            try:
                model = yield from loop.run(first)
            except Exception as error:
                raise _interrupted(error, loop) from error
            model = _finalize(model, loop)
        if store is not None and not leave_checkpoint:
            store.remove()
        return model


def _interrupted(error: Exception, loop: TrainingLoop) -> TrainingInterruptedError:
    """What stopped a training, in words, with the best model until then."""
    if not isinstance(error, UNetError):
        problem = f"Training stopped at step {loop.state.step + 1}: {type(error).__name__}: {error}"
        error = TrainingError(problem, code="unexpected")
    model = error.model if isinstance(error, TrainingInterruptedError) else loop.rescue_model()
    if isinstance(model, Model):
        with contextlib.suppress(Exception):  # better without scores than not at all
            model = finalize_model(model, loop.setup, loop.state.precision)
    return TrainingInterruptedError(error.problem, model, **error.fields)


def _finalize(model: Model, loop: TrainingLoop) -> Model:
    try:
        return finalize_model(model, loop.setup, loop.state.precision)
    except Exception as error:
        raise TrainingInterruptedError(
            f"The model was trained but could not be calibrated and scored: "
            f"{type(error).__name__}: {error}",
            model,
        ) from error
