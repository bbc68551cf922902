"""Training a U-Net on examples, plainly or step by step."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from napari_unet.dataset.example import Example
from napari_unet.errors import TrainingError, TrainingInterruptedError, UNetError
from napari_unet.network.model import Model
from napari_unet.progress import drain
from napari_unet.settings import TrainConfig, resolve
from napari_unet.training.checkpoint import Checkpoint
from napari_unet.training.finalize import complete
from napari_unet.training.loop import DEFAULT_MINUTES, TrainingLoop
from napari_unet.training.setup import set_up
from napari_unet.training.steps import MoreLabels, Preview, Request, TrainStep


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
) -> Generator[TrainStep, Request, Model]:
    """`train` as a generator: yields a `TrainStep` per step, returns the `Model`.

    ``send("stop")`` ends it with the best model so far; ``send(Preview(image))`` puts a
    preview into the next step; ``send(MoreLabels(examples))`` takes in new labels before the
    next step, unless the one that was yielded is the last; closing it discards the training.
    ``first`` is what would be sent before the first step.

    A checkpoint belongs to the examples that training began with: to resume, begin with those,
    and with the additions as ``first``. With ``leave_checkpoint`` it is not removed at the end,
    but by the caller, who has put the model into a safe place by then.
    """
    started_s = time.perf_counter()
    wanted = resolve(TrainConfig, config, overrides)
    if wanted.minutes is None and wanted.steps is None:
        wanted = wanted.model_copy(update={"minutes": DEFAULT_MINUTES})
    setup = set_up(
        examples if isinstance(examples, Example) else list(examples),
        base=None if base is None else Model.load(base),
        config=wanted,
        validation=validation,
    )
    store = Checkpoint(checkpoint, setup) if checkpoint is not None else None
    loop = TrainingLoop(setup, started_s, store)
    loop.resume()
    try:
        model = yield from loop.run(first)
    except Exception as error:
        raise _interrupted(error, loop) from error
    model = _complete(model, loop)
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
            model = complete(model, loop.setup, loop.state.precision)
    return TrainingInterruptedError(error.problem, model, **error.fields)


def _complete(model: Model, loop: TrainingLoop) -> Model:
    try:
        return complete(model, loop.setup, loop.state.precision)
    except Exception as error:
        raise TrainingInterruptedError(
            f"The model was trained but could not be calibrated and scored: "
            f"{type(error).__name__}: {error}",
            model,
        ) from error
