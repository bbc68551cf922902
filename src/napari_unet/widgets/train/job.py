"""A training as a job of a worker thread: it learns, shows and listens, until it has a model."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import label_axes, score_axes
from napari_unet.card import Normalization
from napari_unet.errors import Note, TrainingInterruptedError, UNetError, note_of
from napari_unet.progress import Progress, drain
from napari_unet.settings import TrainConfig
from napari_unet.unexpected import explain_error
from napari_unet.widgets.train.link import Addition, Previewed, TrainingLink
from napari_unet.widgets.train.view import TrainingView

if TYPE_CHECKING:
    from napari_unet.network.model import Model
    from napari_unet.recovery.training import StoredTraining, TrainingSession
    from napari_unet.training.steps import MoreLabels, Preview, TrainStep

logger = logging.getLogger(__name__)

PACE_STEPS = 9  # steps whose median tells how long one takes without a preview
UNITS_PER_S = 10  # units of progress in a second, where time is what is budgeted


@dataclass(frozen=True, eq=False)
class Comparison:
    """One part of an image as the base and as the new model see it.

    Attributes
    ----------
    image : (C, Y, X) array
        Its pixels.
    base, new : (Y, X) array or None
        Labels, or values of the first channel; None where there are none.
    """

    image: NDArray[Any]
    base: NDArray[Any] | None
    new: NDArray[Any] | None


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training leaves.

    Attributes
    ----------
    model : Model
        The best one.
    fault : UNetError or None
        Why it ended early; mostly None.
    comparison : Comparison or None
        Of the last view.
    session : StoredTraining
        What is on disk of it, until the model is kept or discarded.
    """

    model: Model
    fault: UNetError | None
    comparison: Comparison | None
    session: StoredTraining


def training_job(
    begin: Callable[[], TrainingSession],
    link: TrainingLink,
) -> Generator[Progress, None, Trained]:
    """Train, and tell the dock; closing it leaves no model.

    Parameters
    ----------
    begin : callable
        Gives the session: examples, base and settings. Called in the worker.
    link : TrainingLink
        To the dock.

    Raises
    ------
    UNetError
        If the training cannot begin, or ended before anything was learned.
    """
    yield Progress(0, 0, "preparing", "preparing")
    from napari_unet.dataset.properties import find_ndim
    from napari_unet.network.model import Model
    from napari_unet.training.steps import MoreLabels
    from napari_unet.training.train import iter_train

    session = begin()
    resumed = session.checkpoint.is_file()
    config = session.config
    fault: UNetError | None = None
    try:
        base = None if session.base is None else Model.load(session.base)
        card = None if base is None else base.card
        ndim = find_ndim(session.first, card, config)
        views = _Views(link, base, ndim, card.normalization if card else config.normalization)
        if base is not None:
            yield Progress(0, 0, "asking the base model", "asking base")
            views.show_base()  # at once: it takes seconds until there is anything else to see
            yield Progress(0, 0, "preparing", "preparing")
        first = views.next_preview() if session.added is None else MoreLabels(session.added)
        steps = iter_train(
            session.first,
            base=base,
            config=config,
            checkpoint=session.checkpoint,
            first=first,
            leave_checkpoint=True,  # until the model is kept
        )
        try:
            with closing(steps):
                model = yield from _run(steps, link, views, session, config)
        except TrainingInterruptedError as error:
            if error.model is None:
                raise
            model, fault = cast("Model", error.model), error
        session.keep(model)
        yield Progress(0, 0, "comparing", "comparing")
        comparison = views.compare(model)
    except BaseException as end:
        # closed without a word: the dock is gone, and another may go on
        left = isinstance(end, GeneratorExit) and not link.cancelled
        # what is no fault of the user's must not cost what was learned
        fatal = not isinstance(end, UNetError) and session.checkpoint.is_file()
        if left or (isinstance(end, Exception) and (resumed or fatal)):
            session.release()
        else:
            session.remove()
        raise
    link.hand_over(session)
    return Trained(model, fault, comparison, session)


def _run(
    steps: Generator[TrainStep, Any, Model],
    link: TrainingLink,
    views: _Views,
    session: TrainingSession,
    config: TrainConfig,
) -> Generator[Progress, None, Model]:
    wish: Any = None
    addition: Addition | None = None  # that the wish is about
    notes: tuple[Note, ...] = ()
    while True:
        start = time.perf_counter()
        try:
            step = steps.send(wish)
        except StopIteration as end:
            return cast("Model", end.value)
        views.record_step(step, time.perf_counter() - start)
        if addition is not None:
            link.answer()
            if step.taken_in:  # what was refused must not stand in the way of a resumption
                lost = session.add(wish.examples, addition.values)
                notes = () if lost is None else (lost,)
        link.add_news(replace(step, notes=(*step.notes, *notes)))
        views.show_base()
        addition = None if link.stopping else link.take_addition()
        added, notes = (None, ()) if addition is None else _copied(addition, link, config)
        addition = None if added is None else addition
        wish = "stop" if link.stopping else added or views.next_preview()
        last = wish == "stop" or step.step >= step.total
        yield _progress(step, config) if not last else Progress(0, 0, "scoring", "scoring")


def _copied(
    addition: Addition, link: TrainingLink, config: TrainConfig
) -> tuple[MoreLabels | None, tuple[Note, ...]]:
    """Labels that were added meanwhile, as the training takes them; or why they cannot be."""
    from napari_unet.checks import check_examples
    from napari_unet.training.steps import MoreLabels

    try:
        examples = addition.copy()
        for found in check_examples(examples, config=config):
            if (found.severity, found.field) == ("fault", "image"):  # its pixels, since it began
                raise found.as_error()
        return MoreLabels(examples), ()
    except Exception as error:  # noqa: BLE001 - they must not cost what was learned
        link.answer()
        said = note_of("labels-refused", explain_error(error), "The new labels were not taken in: ")
        return None, (said,)


def _progress(step: TrainStep, config: TrainConfig) -> Progress:
    if config.minutes is None:
        return Progress(step.step, step.total, "training", "training")
    total = round(config.minutes * 60 * UNITS_PER_S)
    return Progress(min(round(step.seconds * UNITS_PER_S), total), total, "training", "training")


class _Views:
    """Previews of the view, no more often than the training can spare.

    Parameters
    ----------
    link : TrainingLink
        To the dock.
    base : Model or None
        What training starts from.
    ndim : int
        Spatial axes of the network.
    normalization : Normalization
        How intensities are normalised.
    """

    def __init__(
        self, link: TrainingLink, base: Model | None, ndim: int, normalization: Normalization
    ) -> None:
        self._link = link
        self._base = base
        self._ndim = ndim
        self._normalization = normalization
        self._limits: dict[tuple[Any, ...], Sequence[tuple[float, float]]] = {}
        self._asked: tuple[TrainingView, float] | None = None  # and the seconds it took to ask
        self._last: TrainingView | None = None
        self._base_of: tuple[Any, ...] | None = None  # key of the view that the base has seen
        self._base_result: Any = None
        self._paces: list[float] = []

    def next_preview(self) -> Preview | None:
        """A preview to be asked for, if it is time."""
        view = self._link.due_view()
        if view is None:
            return None
        start = time.perf_counter()
        try:
            preview = view.preview(self._ndim, self._limits_of(view))
        except Exception as error:  # noqa: BLE001 - pictures must not cost what is learned
            logger.info("There is no preview: %s", error)
            self._link.set_view(None)  # another image than a training can be shown on
            return None
        self._asked = view, time.perf_counter() - start
        return preview

    def record_step(self, step: TrainStep, seconds: float) -> None:
        """Take in a step that took so long, and tell of the preview that it brought."""
        if self._asked is None:
            self._paces = [*self._paces, seconds][-PACE_STEPS:]
            return
        (view, asking), self._asked = self._asked, None
        usual = median(self._paces) if self._paces else 0.0
        self._link.shown(max(seconds - usual, 0.0) + asking)
        if step.preview is not None:
            self._last = view
            found = np.asarray(step.preview)
            self._link.add_news(Previewed(view, found, self._ndim, early=step.preview_early))

    def show_base(self) -> None:
        """What the base model says of a view that has just been shown."""
        view = self._last or self._link.due_view()
        if self._base is None or view is None or self._base_of == view.key:
            return
        start = time.perf_counter()
        self._ask_base(self._base, view)
        if self._last is not None:
            self._link.shown(time.perf_counter() - start)
        if self._base_result is not None:
            found = np.asarray(self._base_result)
            self._link.add_news(Previewed(view, found, self._ndim, of_base=True))

    def compare(self, model: Model) -> Comparison | None:
        """The last view by both models, a plane of it."""
        view = self._last or self._link.due_view()
        if view is None:
            return None
        try:
            new = self._predict(model, view)
            # the preview that stays beside the verdict is of the model to be decided on
            self._link.add_news(Previewed(view, np.asarray(new), self._ndim))
            if self._base is not None and self._base_of != view.key:
                self._ask_base(self._base, view)
            image = view.crop(self._ndim)
        except Exception as error:  # noqa: BLE001 - the model is what matters
            logger.info("The models are not compared: %s", error)
            return None
        base = None if self._base is None else self._base_result
        return Comparison(
            self._middle_of_image(image, view),
            None if base is None else self._middle(base, view),
            self._middle(new, view),
        )

    def _ask_base(self, base: Model, view: TrainingView) -> None:
        self._base_of = view.key
        try:
            self._base_result = self._predict(base, view)
        except Exception as error:  # noqa: BLE001 - it takes other channels, for example
            logger.info("The base model is not shown: %s", error)
            self._base_result = None

    def _predict(self, model: Model, view: TrainingView) -> Any:
        from napari_unet.inference.prediction import predict
        from napari_unet.inference.segmentation import iter_segmentation

        arguments: dict[str, Any] = {
            "axes": view.axes,
            "channels": view.channels,
            "pixel_size": view.image.pixel_size(view.axes),
            "normalization": Normalization(mode="range", limits=tuple(self._limits_of(view))),
        }
        pixels = view.crop(self._ndim)
        if model.card.task == "regression":
            return predict(pixels, model, **arguments).scores
        return drain(iter_segmentation(pixels, model, **arguments)).labels

    def _limits_of(self, view: TrainingView) -> Sequence[tuple[float, float]]:
        key = (*map(id, view.image.arrays), view.axes, view.channels, view.view.t, view.view.z)
        if key not in self._limits:
            self._limits[key] = view.limits(self._normalization, self._ndim)
        return self._limits[key]

    def _middle(self, labels: Any, view: TrainingView) -> NDArray[Any]:
        """(Y, X) labels, or values of the first channel, of the plane in view."""
        part = view.part(self._ndim)
        axes, labels = label_axes(view.axes), np.asarray(labels)
        if labels.ndim > len(axes):
            labels = labels.take(0, axis=score_axes(view.axes).index("C"))
        places = {"T": 0, "Z": view.view.z - part["Z"].start if "Z" in part else 0}
        index = tuple(places.get(axis, slice(None)) for axis in axes)
        found: NDArray[Any] = labels[index]
        return found if axes.index("Y") < axes.index("X") else found.T

    def _middle_of_image(self, pixels: Any, view: TrainingView) -> NDArray[Any]:
        """(C, Y, X) pixels of the plane in view."""
        part = view.part(self._ndim)
        places = {"T": 0, "Z": view.view.z - part["Z"].start if "Z" in part else 0}
        arrays = pixels if isinstance(pixels, list) else [pixels]
        index = tuple(places.get(axis, slice(None)) for axis in view.axes)
        kept = [axis for axis in view.axes if axis not in places]
        order = [kept.index(axis) for axis in "CYX" if axis in kept]
        planes = [np.asarray(array)[index].transpose(order) for array in arrays]
        found: NDArray[Any] = planes[0] if planes[0].ndim == 3 else np.stack(planes)
        return found
