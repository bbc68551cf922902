"""The training loop: from batches of patches to the best weights."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from napari_unet.dataset.assembly import TrainingData
from napari_unet.dataset.example import Example
from napari_unet.dataset.update import update_data
from napari_unet.dataset.validation_pieces import ValidationPiece, crop_pieces
from napari_unet.errors import FileError, Note, TrainingInterruptedError, UNetError, note_of
from napari_unet.network.devices import resolve_device
from napari_unet.network.model import Model
from napari_unet.network.threads import count_threads, limit_threads
from napari_unet.settings import DEFAULT_MINUTES
from napari_unet.training.batch_norm import freeze_statistics
from napari_unet.training.checkpoint import Checkpoint
from napari_unet.training.class_balance import choose_loss
from napari_unet.training.data_parallel import DataParallel
from napari_unet.training.learning_rate import KEEPING_FACTOR, schedule_learning_rate
from napari_unet.training.network_choice import reduce_batch
from napari_unet.training.patch_sampling import BatchSampler
from napari_unet.training.precision import choose_training_precision, recover
from napari_unet.training.preview import make_preview
from napari_unet.training.scoring import score_for_training
from napari_unet.training.setup import TrainingSetup
from napari_unet.training.snapshot import make_model
from napari_unet.training.state import LoopState, Validation
from napari_unet.training.steps import MoreLabels, Preview, Request, TrainStep
from napari_unet.unexpected import out_of_memory

CHECKPOINT_INTERVAL_S = 120.0  # at most; each validation is followed by a checkpoint too
FINAL_VALIDATIONS = 5  # time kept for the end of a training, in durations of a validation
STATISTICS_PATCHES = 64  # that batch norm is measured on before a validation
EARLY_PREVIEW_PATCHES = 8  # for the statistics of a preview before the first validation
PREVIEW_PATCHES = 16  # of later ones
VALIDATION_PIXELS = 2_000_000  # of the pieces that are validated on, in all


class TrainingLoop:
    """Trains a network; its state can be read, saved and restored between any two steps.

    Parameters
    ----------
    setup : TrainingSetup
        What is trained on what.
    started_s : float, optional
        When the training was asked for, by `time.perf_counter`; the time budget starts then.
    checkpoint : Checkpoint, optional
        Where the state is saved at intervals.
    """

    def __init__(
        self,
        setup: TrainingSetup,
        started_s: float | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        config = setup.config
        self.setup = setup
        self.checkpoint = checkpoint
        self.state = LoopState.initialize(setup, resolve_device(config.device), started_s)
        self.loss = choose_loss(setup)
        self.batches = BatchSampler(setup, self.state.device)
        threads = count_threads(config.threads)
        self.parallel = DataParallel(self.state.network, threads, config.batch_size)
        self._set_train_mode()
        with limit_threads(threads):
            self.state.precision = choose_training_precision(
                config.precision, self.state, self.batches, self.loss
            )
        self.validation = crop_pieces(setup.data.validation, VALIDATION_PIXELS)

    def close(self) -> None:
        """End the threads of the training."""
        self.parallel.close()

    def resume(self) -> None:
        """Continue from the checkpoint, or write the first one.

        Raises
        ------
        FileError
            If the checkpoint cannot be written: better now than after minutes of training.
        TrainingError
            If it is damaged or belongs to another training.
        """
        if self.checkpoint is None:
            return
        if not self.checkpoint.restore(self.state):
            self.checkpoint.save(self.state)
        elif self.state.validation_sha256 != self.setup.data.validation_sha256:
            # the best score was measured on labels that are not known yet
            self.state.best_score = self._score_best(self.setup, self.validation)
            self.state.validation_sha256 = self.setup.data.validation_sha256

    def run(self, request: Request = None) -> Generator[TrainStep, Request, Model]:
        """Train until the budget is used up or "stop" is sent; returns the best model.

        Parameters
        ----------
        request : Preview or MoreLabels, optional
            For the first step; those for later steps are sent.

        Raises
        ------
        TrainingInterruptedError
            If a loss or gradient is not finite for the third time, or no smaller batch or
            patch fits into memory.
        """
        state, notes = self.state, list(self.setup.notes)
        accepted: bool | None = None
        if isinstance(request, MoreLabels):  # here, as a resumed training may have no step left
            accepted, new = self._try_update_labels(request)
            request = None
            notes += new
        saved_s = state.seconds
        while not state.finished:
            if isinstance(request, MoreLabels):
                accepted, new = self._try_update_labels(request)
                notes += new

            # draw a batch, forward, loss, backward, step
            self._set_train_mode()
            while True:
                learning_rate = self._set_learning_rate()
                try:
                    loss = self._take_step()
                    if loss is not None:
                        break
                    notes.append(self._recover())
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error):
                        raise
                    notes.append(Note("memory-short", self._reduce_batch()))
            state.step += 1

            # validate; decided once, as the clock must not end the run between the two
            state.finished = self.fraction_done >= 1
            validated = self._validation_is_due()
            score = self.validate() if validated else None

            # checkpoint
            if validated or state.seconds - saved_s > CHECKPOINT_INTERVAL_S:
                notes += self._try_save()
                saved_s = state.seconds

            preview = None
            if isinstance(request, Preview):
                preview, new = self._try_preview(request)
                notes += new

            request = yield TrainStep(
                step=state.step,
                total=self._estimate_steps(),
                loss=loss,
                learning_rate=learning_rate,
                metric=score,
                best=state.best_score,
                seconds=state.seconds,
                notes=tuple(notes),
                preview=preview,
                preview_early=preview is not None and not state.history,
                taken_in=accepted,
                metric_name=self.setup.metric_name,
            )
            accepted, notes = None, []
            if request == "stop":
                if not validated:
                    self.validate()
                    self._try_save()  # calibrating and scoring take a while
                break
        return self.best_model()

    def _take_step(self) -> float | None:
        """One step on a new batch; its loss, or None where the step is dropped."""
        state = self.state
        with limit_threads(self.parallel.threads_each):
            batch = self.batches.draw(state)
            loss = self.parallel.compute_gradients(batch, self.loss, state.precision)
            if loss is not None:
                state.optimizer.step()
        return loss

    def _set_learning_rate(self) -> float:
        rate: float = self.setup.config.learning_rate * schedule_learning_rate(self.fraction_done)
        rate *= self.state.learning_rate_factor
        if self.setup.replay:
            rate *= KEEPING_FACTOR
        self.state.optimizer.learning_rate = rate
        return rate

    def _recover(self) -> Note:
        """Prepare another try after a dropped step; a note that says how."""
        note = recover(self.state)
        if note is None:
            raise TrainingInterruptedError(
                f"The loss or a gradient was not finite at step {self.state.step + 1}, for the "
                "third time",
                self.rescue_model(),
                remedy="lower the ⟨learning_rate⟩ "
                f"(now {self.setup.config.learning_rate:g}), or look at the images",
                parameter="learning_rate",
                value=self.setup.config.learning_rate,
            )
        return note

    @property
    def fraction_done(self) -> float:
        """Share of the budget that is used, 0 to 1."""
        config, state = self.setup.config, self.state
        if config.steps is not None:
            return state.step / config.steps
        final_s = min(FINAL_VALIDATIONS * state.validation_s, self._budget_s / 2)
        return min(state.seconds / (self._budget_s - final_s), 1.0)

    @property
    def _budget_s(self) -> float:
        return (self.setup.config.minutes or DEFAULT_MINUTES) * 60

    def _estimate_steps(self) -> int:
        """Steps of the whole training."""
        return self.setup.config.steps or round(self.state.step / max(self.fraction_done, 1e-6))

    def _validation_is_due(self) -> bool:
        config, state = self.setup.config, self.state
        if state.finished:
            return True
        if config.validation_every is not None:
            return state.step % config.validation_every == 0
        if config.steps is not None:
            return state.step % max(20, config.steps // 10) == 0
        # about twenty in the budget, and never more than a tenth of the time for them
        return state.since_validation_s >= max(self._budget_s / 20, 9 * state.validation_s)

    def validate(self) -> float | None:
        """Score the current weights and keep them if they are the best; None: no pieces."""
        state, start_s = self.state, self.state.seconds
        score = None
        if self.validation:
            self._measure_statistics()
            score = self.score_network()
            if state.best_score is None or score >= state.best_score:
                state.best_score, state.best_weights = score, state.copy_weights()
        else:
            state.sound_weights = state.copy_weights()
        now_s = state.seconds
        duration_s = now_s - start_s if self.validation else 0.0
        state.history.append(Validation(state.step, score, now_s, duration_s))
        return score

    def score_network(self) -> float:
        """Score of the current weights on the validation pieces; higher is better."""
        model = Model(self.setup.make_card(0, 0.0), self.state.network)
        return self._score(model, self.setup, self.validation)

    def _score_best(self, setup: TrainingSetup, pieces: Sequence[ValidationPiece]) -> float | None:
        """Score of the best weights on other pieces."""
        if self.state.best_weights is None or not pieces:
            return self.state.best_score
        return self._score(
            make_model(self.setup, self.state, self.state.best_weights), setup, pieces
        )

    def _score(
        self, model: Model, setup: TrainingSetup, pieces: Sequence[ValidationPiece]
    ) -> float:
        # the precision of the training: "auto" could be another one
        run: dict[str, Any] = {
            "device": setup.config.device,
            "precision": self.state.precision,
            "threads": setup.config.threads,
        }
        return score_for_training(model, pieces, distance_known=setup.distance_known, **run)

    def update_labels(self, examples: Sequence[Example]) -> list[Note]:
        """Continue with the labels as they are now; notes that say so.

        The best weights are scored again, so that later ones are compared with them on the
        same labels. Where the labels do not fit, nothing changes.

        Raises
        ------
        UNetError
            If the examples do not fit the training.
        """
        data = update_data(self.setup.data, examples, self.setup.config)
        setup = replace(self.setup, data=data)
        pieces = crop_pieces(data.validation, VALIDATION_PIXELS)
        best_score = self._score_best(setup, pieces)
        batches = BatchSampler(setup, self.state.device)
        notes = [Note("labels-taken-in", _describe_data(data, len(examples)))]
        if pieces and setup.metric_name != self.setup.metric_name:
            metric = "mean AP" if setup.distance_known else "Dice of the foreground"
            notes.append(Note("score-changed", f"From now on, the score is the {metric}"))
        self.setup, self.validation, self.batches = setup, pieces, batches
        self.loss = choose_loss(setup)
        self.state.best_score = best_score
        self.state.validation_sha256 = data.validation_sha256
        return notes

    def _try_update_labels(self, request: MoreLabels) -> tuple[bool, list[Note]]:
        """Whether new labels were accepted, and notes; training goes on either way."""
        try:
            return True, self.update_labels(request.examples)
        except Exception as error:  # noqa: BLE001 - must not cost what was learned
            return False, [note_of("labels-refused", error, "The new labels were not taken in: ")]

    def _try_save(self) -> list[Note]:
        """Write a checkpoint; where it cannot be written, notes, and training goes on."""
        try:
            if self.checkpoint is not None:
                self.checkpoint.save(self.state)
        except FileError as error:
            kept = "Training goes on; the last checkpoint is kept"
            return [note_of("checkpoint-not-written", error), Note("training-goes-on", kept)]
        return []

    def _try_preview(self, request: Preview) -> tuple[NDArray[Any] | None, list[Note]]:
        """Labels or values of a view, or notes that say what is wrong with it."""
        config = self.setup.config
        run = {"device": config.device, "precision": self.state.precision}
        try:
            model = self.preview_model()
            return make_preview(request, model, threads=config.threads, **run), []
        except (UNetError, ValueError) as error:
            return None, [note_of("no-preview", error, "There is no preview: ")]

    def best_model(self) -> Model:
        """The model with the best weights, on the CPU."""
        if self.state.best_weights is None:
            return self.current_model()
        return make_model(self.setup, self.state, self.state.best_weights)

    def current_model(self, patches: int = STATISTICS_PATCHES) -> Model:
        """The model with the current weights, on the CPU; its statistics from so many patches."""
        self._measure_statistics(patches)
        return make_model(self.setup, self.state, self.state.copy_weights())

    def preview_model(self) -> Model:
        """The model with the current weights and statistics from few patches, quickly made."""
        return self.current_model(PREVIEW_PATCHES if self.state.history else EARLY_PREVIEW_PATCHES)

    def rescue_model(self) -> Model | None:
        """The best model after an error; None where nothing was learned yet."""
        state = self.state
        if state.best_weights is not None:
            return make_model(self.setup, state, state.best_weights)
        if state.sound_weights is None:
            return None
        state.network.load_state_dict(state.sound_weights)
        return self.current_model()

    def _reduce_batch(self) -> str:
        """Take a smaller batch, or a smaller patch; a sentence that says it."""
        state = self.state
        state.optimizer.zero_gradients()
        smaller = reduce_batch(state.batch_size, state.patch, state.network.config)
        if smaller is None:
            raise TrainingInterruptedError(
                f"There is not enough memory for ⟨batch_size⟩ {state.batch_size} with ⟨patch⟩ "
                f"{state.patch}, and no smaller one would do",
                self.rescue_model(),
                remedy="take fewer ⟨features⟩ or levels, or close other programs",
                code="no-memory-left",
            )
        state.batch_size, state.patch = smaller
        return (
            f"The memory is short: training goes on with ⟨batch_size⟩ {state.batch_size} and "
            f"⟨patch⟩ {state.patch}."
        )

    def _set_train_mode(self) -> None:
        self.state.network.train()
        if self.setup.statistics == "frozen":
            freeze_statistics(self.state.network)

    def _measure_statistics(self, patches: int = STATISTICS_PATCHES) -> None:
        """Batch-norm statistics of the current weights, where the settings ask for them."""
        if self.setup.statistics != "settled":
            return
        state = self.state
        batches = max(1, patches // state.batch_size)
        with state.preserve_random_state(), limit_threads(self.parallel.threads_each):
            images = (self.batches.draw(state).image for _ in range(batches))
            self.parallel.update_statistics(images)


def _describe_data(data: TrainingData, count: int) -> str:
    """A sentence about so many examples, validation examples included."""
    examples = "1 example" if count == 1 else f"{count} examples"
    held = f", and {data.held_out_pixels} that are held out" if data.held_out_pixels else ""
    return (
        f"The new labels were taken in: {examples}, {data.labelled_pixels} labelled pixels{held}."
    )
