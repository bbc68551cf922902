"""Training on files: what ``napari-unet train`` does."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.cli.bars import run_with_bar, seconds_left
from napari_unet.cli.interruption import StopWish, first_press_stops
from napari_unet.cli.json_lines import prints_json
from napari_unet.cli.parser import chosen_settings
from napari_unet.cli.printing import one_line, print_notes, print_result, say, tell, tell_fault
from napari_unet.cli.training_files import (
    TrainingFiles,
    find_files,
    name_classes,
    read_examples,
    refuse_predictions,
)
from napari_unet.cli.wording import option_of
from napari_unet.errors import (
    FileError,
    ModelError,
    SettingsError,
    TrainingInterruptedError,
    UNetError,
)
from napari_unet.installation import versions
from napari_unet.io import write_record
from napari_unet.io.folders import check_writable
from napari_unet.network.files import (
    SUFFIX,
    bundled_names,
    file_sha256,
    model_files,
    user_models_folder,
)
from napari_unet.network.model import Model
from napari_unet.replay.kept_arrays import settle
from napari_unet.replay.training import ExampleOrigin, describe_training
from napari_unet.settings import TrainConfig, resolve
from napari_unet.training.train import iter_train
from napari_unet.training.verdict import describe_scores

if TYPE_CHECKING:
    from napari_unet.dataset.example import Example

REFUSED = ("labels-are-a-mask",)
"""Causes of doubts that would surely spoil a training, which here nobody dismisses."""


def run_training(options: Namespace) -> int:
    """Train a model on image and label files, save it, and say how good it is."""
    base = None if options.base is None else Model.load(options.base)
    target, name = _new_model(options.output, base)
    settings = chosen_settings(options)
    if base is not None:
        settings.setdefault("task", base.card.task)
    config = resolve(TrainConfig, None, {**settings, "name": name})
    pairs = [(options.images, options.labels or options.images), *(options.also or ())]
    files = find_files(pairs, options.region_masks)
    given = options.validation and find_files([options.validation], options.region_masks)
    if not options.no_checks:
        refuse_predictions([*files.labels, *(given.labels if given else ())])
    for line in [*files.recognised, *(given.recognised if given else ())]:
        say(one_line(line))
    examples = read_examples(files, options, config.task)
    validation = read_examples(given, options, config.task) if given else None
    print_notes([*files.notes, *(given.notes if given else ())])
    if options.named:
        classes = _classes(options.named, [*examples, *(validation or ())], config)
        config = resolve(TrainConfig, config, {"classes": classes})
    images = [*files.images, *(given.images if given else ())]
    if not options.no_checks and not _pass_checks(examples, validation, images, base, config):
        return 2
    record = _describe_run(examples, validation, [files, *([given] if given else [])], base, config)
    job = iter_train(
        examples,
        base=base,
        config=config,
        validation=validation,
        checkpoint=options.checkpoint,
        leave_checkpoint=True,
    )
    again = "discards the training."
    if options.checkpoint is not None:
        again = f"ends it at once, and {options.checkpoint} keeps its state."
    said = f"napari-unet: stopping; the best model so far is kept. Ctrl+C again {again}"
    try:
        with first_press_stops(one_line(said)) as wish:
            report = _Report(options.checkpoint, wish)
            model = run_with_bar(job, report)
            path = _save(model, target)
            _write_record(path, model, record)
            if options.checkpoint is not None:
                options.checkpoint.unlink(missing_ok=True)  # not before the model is safe
    except TrainingInterruptedError as error:
        if not isinstance(error.model, Model):
            raise
        path = _save(error.model, target)
        told = f"{error.problem.template}; the best model until then was saved as {path}"
        raise TrainingInterruptedError(told, error.model, **error.fields) from None
    learning = model.card.training
    if learning is not None:
        # it counts what was learned from, without what was held out
        learned = f"{_count(learning.steps, 'step')} on {_count(learning.examples, 'example')}"
        print_result(
            one_line(f"{path}: {learned} ({learning.seconds:.1f} s)"),
            output=path,
            name=model.card.name,
            steps=learning.steps,
            examples=learning.examples,
            seconds=learning.seconds,
            training=learning,
        )
    for line in describe_scores(model.card):
        say(one_line(line))
    return 0


def _describe_run(
    examples: Sequence[Example],
    validation: Sequence[Example] | None,
    files: Sequence[TrainingFiles],
    base: Model | None,
    config: TrainConfig,
) -> dict[str, Any] | None:
    """The record of a training, taken before it starts; None where labels cannot be kept."""
    origins = [
        ExampleOrigin(
            [{"path": str(path.absolute())} for path in pair.images],
            {"path": str(pair.labels[0].absolute())},
            pair.images[0].stem,
            pair.labels[0].stem,
        )
        for each in files
        for pair in each.pairs
    ]
    try:
        draft = describe_training(
            examples, None if base is None else base.path, config, validation, origins
        )
        content, _ = settle(draft)
    except (UNetError, OSError) as error:
        tell("note", one_line(f"the training leaves no record: {error}"))
        return None
    import torch

    return {**content, "versions": dict(versions()), "threads": torch.get_num_threads()}


def _write_record(path: Path, model: Model, record: dict[str, Any] | None) -> None:
    """Put the record beside the model; what was learned must not be lost to that."""
    if record is None:
        return
    made = {"name": model.card.name, "sha256": file_sha256(path)}
    try:
        write_record(path, {**record, "model": made, "output": str(path.absolute())})
    except FileError as error:
        tell_fault(error, kind="note")


class _Report:
    """Tells what happens in a training, and answers with the user's wish to stop."""

    def __init__(self, checkpoint: Path | None, wish: StopWish) -> None:
        self.checkpoint = checkpoint
        self.wish = wish

    def __call__(self, step: Any) -> str | None:
        if not self.wish.armed and step.step > 1:
            say(one_line(f"{self.checkpoint}: goes on after step {step.step - 1}"))
        self.wish.armed = True
        if step.notes:
            told = " ".join(note.worded(option_of) for note in step.notes)
            say(one_line(told))
        if step.metric is not None and not prints_json():  # there it is in the progress
            say(self._describe(step))
        return "stop" if self.wish.wanted else None

    def _describe(self, step: Any) -> str:
        """One line on a validation."""
        best = " (the best)" if step.metric == step.best else f" (best {step.best:.3f})"
        left = seconds_left(step)
        ahead = f", {_in_words(left)} left" if left else ""
        return (
            f"step {step.step} of {step.total}: loss {step.loss:.3f}, {step.metric_name} "
            f"{step.metric:.3f}{best}{ahead}"
        )


def _count(number: int, thing: str) -> str:
    """A number of things.

    >>> _count(1, "step"), _count(2, "step")
    ('1 step', '2 steps')
    """
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _in_words(seconds: float) -> str:
    """A time, as far as it matters.

    >>> _in_words(12.3), _in_words(150), _in_words(4000)
    ('12 s', '2 min', '1 h 7 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _new_model(output: str, base: Model | None) -> tuple[Path, str]:
    """Where a new model is saved, and its name.

    Faults are found here, before the training and not after it.
    """
    given = Path(output)
    if output.endswith(SUFFIX) or given.name != output:
        name = given.name.removesuffix(SUFFIX)
        path = given.with_name(name + SUFFIX) if name else given
    else:
        name = output
        path = user_models_folder() / f"{name}{SUFFIX}"
    if name.strip(".") == "" or output.endswith(("/", "\\")):
        raise ModelError(
            f"{output!r} is no name for a model",
            f"give one such as my-model, or a path ending in {SUFFIX}",
        )
    if name in bundled_names():
        raise ModelError(f"{name!r} is the name of a bundled model", "choose another")
    if base is not None and (name == base.card.name or _same_file(path, base.path)):
        raise ModelError(
            f"{output!r} is the base model itself, which is never changed",
            "choose another name for the new one",
        )
    if path.exists() or (given.name == output and name in model_files()):
        raise ModelError(f"There is a model {path} already", "choose another name, or remove it")
    check_writable(path.parent)
    return path, name


def _same_file(path: Path, other: Path | None) -> bool:
    return other is not None and path.resolve() == other.resolve()


def _classes(
    named: Sequence[tuple[int, str]], examples: Sequence[Example], config: TrainConfig
) -> tuple[Any, ...]:
    """The classes that --class names."""
    if config.task != "semantic":
        raise SettingsError(
            f"--class names the classes of a semantic model, but the task is {config.task!r}",
            "leave it out, or add --task semantic",
        )
    if config.classes:
        raise SettingsError("--class and --classes both name classes", "give one of them")
    return name_classes(named, examples)


def _pass_checks(
    examples: Sequence[Example],
    validation: Sequence[Example] | None,
    images: Sequence[Path],
    base: Model | None,
    config: TrainConfig,
) -> bool:
    """Print what is doubtful about the examples; whether nothing is wrong with them.

    ``images`` are the files of the examples, those to validate on behind the others.
    """
    from napari_unet.checks import check_examples

    findings = check_examples(examples, base=base, config=config, validation=validation)
    wrong = [f for f in findings if f.severity == "fault" or f.cause in REFUSED]
    for finding in findings:
        kind = "error" if finding in wrong else "warning"
        place = "" if finding.example is None else f"{images[finding.example]}: "
        source = None if finding.example is None else images[finding.example]
        tell_fault(finding, place, kind=kind, source=source)
    return not wrong


def _save(model: Model, target: Path) -> Path:
    """Save a model; where its place cannot be written to, or is taken by now, in another one.

    Raises
    ------
    FileError
        If it is not at its place; the message says where it is.
    """
    try:
        return model.save(target, overwrite=False)
    except FileError as error:
        fault = error
    # hours of training must not be lost to a full disk, or to another training of the same name
    names = [target.name, *(f"{target.stem}-{number}{SUFFIX}" for number in range(2, 100))]
    folders = (target.parent, user_models_folder(), Path.cwd(), Path(tempfile.gettempdir()))
    for folder in folders:
        if fault.code != "exists" and folder.resolve() == target.parent.resolve():
            continue
        for name in names:
            try:
                kept = model.save(folder / name, overwrite=False)
            except FileError as error:
                if error.code == "exists":
                    continue
                break  # another name would not help here
            told = f"{fault.problem.template}; the model was saved as {kept} instead"
            raise FileError(told, **fault.fields) from None
    raise fault
