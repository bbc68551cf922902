"""A recorded training: repeated, as Python, as a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_unet.dataset.correction import CorrectedLabels, Correction
from napari_unet.dataset.example import Example
from napari_unet.errors import InputError
from napari_unet.io.record import write_record
from napari_unet.network.files import SUFFIX
from napari_unet.network.model import Model
from napari_unet.replay.commands import run_command
from napari_unet.replay.kept_arrays import HeldArray
from napari_unet.replay.recorded import RecordedRun
from napari_unet.replay.references import (
    ArrayReference,
    ModelReference,
    Part,
    describe_model,
)
from napari_unet.replay.repeated import Job, Repeated
from napari_unet.replay.segmenting import array_source
from napari_unet.replay.source_code import Expression, call
from napari_unet.settings import TrainConfig


class ExampleReference(Part):
    """An example of a training: its arrays, and how they count.

    Attributes
    ----------
    image : tuple of ArrayReference
        One array, or one per channel.
    labels : ArrayReference
        Or the target of a regression.
    region : tuple of str or ArrayReference
        Where the labels can be trusted.
    background, axes, channels, pixel_size
        As of `napari_unet.Example`.
    correction : dict or None
        What somebody has looked at, as `Correction.as_json` tells it.
    """

    image: tuple[ArrayReference, ...]
    labels: ArrayReference
    region: tuple[Literal["all", "planes", "painted"] | ArrayReference, ...] = ("all",)
    background: int | None = None
    axes: str | None = None
    channels: tuple[int, ...] | None = None
    pixel_size: tuple[float | None, ...] | None = None
    correction: dict[str, Any] | None = None

    def open(self) -> Example:
        """The example, its files compared with the record."""
        images = [each.open().array for each in self.image]
        labels: Any = self.labels.open().array
        if self.correction is not None:
            labels = CorrectedLabels(labels, Correction.from_json(self.correction))
        parts = [
            each if isinstance(each, str) else np.asarray(each.open().array) for each in self.region
        ]
        return Example(
            images[0] if len(images) == 1 else images,
            labels,
            region=parts[0] if len(parts) == 1 else tuple(parts),
            background=self.background,
            axes=self.axes,
            channels=self.channels,
            pixel_size=self.pixel_size,
        )

    def lines(self, number: int) -> list[str]:
        """Source that makes it."""
        sources = [_plain(each) for each in self.image]
        image = sources[0] if len(sources) == 1 else f"[{', '.join(sources)}]"
        lines = [
            f"image_{number} = {image}",
            f"labels_{number} = {_plain(self.labels)}",
        ]
        if self.correction is not None:
            corrected = [f"labels_{number}", f"Correction.from_json({self.correction!r})"]
            lines.append(call(f"labels_{number} = CorrectedLabels", corrected))
        parts = []
        for each in self.region:
            if isinstance(each, str):
                parts.append(repr(each))
                continue
            name = f"mask_{number}"
            lines.append(f"{name} = {_plain(each)}")
            parts.append(name)
        region = parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
        keywords: dict[str, Any] = {"region": Expression(region)}
        for name in ("background", "axes", "channels"):
            if getattr(self, name) is not None:
                keywords[name] = getattr(self, name)
        if self.pixel_size is not None and any(size is not None for size in self.pixel_size):
            keywords["pixel_size"] = tuple(self.pixel_size)
        arguments = [f"image_{number}", f"labels_{number}"]
        return [*lines, call(f"example_{number} = nu.Example", arguments, keywords)]


def _plain(reference: ArrayReference) -> str:
    source = array_source(reference)
    return source if reference.channel is not None else f"{source}.array"


@dataclass(frozen=True)
class ExampleOrigin:
    """Where the arrays of an example may be from, and what they are called."""

    image: Sequence[Mapping[str, Any]] = ()
    labels: Mapping[str, Any] = field(default_factory=dict)
    image_name: str = "image"
    labels_name: str = "labels"


def describe_training(
    examples: Sequence[Example],
    base: str | Path | None,
    config: TrainConfig,
    validation: Sequence[Example] | None = None,
    origins: Sequence[ExampleOrigin] = (),
) -> dict[str, Any]:
    """The record of a training; arrays stand in it as `HeldArray`, for `settle`.

    Parameters
    ----------
    examples, base, config, validation
        As `napari_unet.train` takes them.
    origins : sequence of ExampleOrigin
        One per example, those of the validation behind the others; left out: nothing is known.
    """
    held_out = list(validation or ())
    known = list(origins) or [ExampleOrigin()] * (len(examples) + len(held_out))
    described = [
        _describe_example(example, origin, config.task)
        for example, origin in zip([*examples, *held_out], known, strict=True)
    ]
    return {
        "operation": "train",
        "base": None if base is None else describe_model(base),
        "config": {**config.model_dump(mode="json", exclude_defaults=True), "task": config.task},
        "examples": described[: len(examples)],
        "validation": described[len(examples) :] if validation is not None else None,
    }


def _describe_example(example: Example, origin: ExampleOrigin, task: str) -> dict[str, Any]:
    images = example.image if isinstance(example.image, list | tuple) else [example.image]
    places = [*origin.image, *[{}] * len(images)]
    parts = example.region if isinstance(example.region, tuple) else (example.region,)
    labels, as_labels = example.labels, task != "regression"
    corrected = isinstance(labels, CorrectedLabels)
    sizes = example.pixel_size
    return {
        "image": [
            HeldArray(array, origin.image_name, place)
            for array, place in zip(images, places, strict=False)
        ],
        "labels": HeldArray(
            np.asarray(labels) if corrected else labels,
            origin.labels_name,
            origin.labels,
            as_labels,
        ),
        "correction": labels.correction.as_json() if corrected else None,
        "region": [
            each
            if isinstance(each, str)
            else HeldArray(np.asarray(each), f"{origin.labels_name} known", as_labels=True)
            for each in parts
        ],
        "background": example.background,
        "axes": example.axes,
        "channels": None if example.channels is None else list(example.channels),
        "pixel_size": list(sizes) if isinstance(sizes, list | tuple) else sizes and [sizes],
    }


class TrainRun(RecordedRun):
    """A training that can be run.

    Attributes
    ----------
    base : ModelReference or None
        What it starts from.
    config : TrainConfig
        How.
    examples, validation : tuple of ExampleReference
        What is learned from, and what is never trained on; None: a share is held out.
    """

    operation: Literal["train"] = "train"
    base: ModelReference | None = None
    config: TrainConfig
    examples: tuple[ExampleReference, ...]
    validation: tuple[ExampleReference, ...] | None = None

    def repeat(self, given: Any = None, output: str | Path | None = None) -> Job:
        """Train again; see `napari_unet.run`."""
        from napari_unet.training.train import iter_train

        if given is not None:
            raise InputError(
                "A recorded training is repeated on its own examples",
                "leave ⟨input⟩ out, or train with napari_unet.train",
                parameter="input",
            )
        base = None if self.base is None else self.base.load()
        examples = [each.open() for each in self.examples]
        held_out = None if self.validation is None else [each.open() for each in self.validation]
        model: Model = yield from iter_train(
            examples, base=base, config=self.config, validation=held_out
        )
        target = None
        if output is not None:
            path = Path(output)
            target = path / self.result_name if path.is_dir() or not path.suffix else path
            target = model.save(target, overwrite=False)
            write_record(target, self.as_record())
        steps = model.card.training.steps if model.card.training is not None else 0
        return Repeated(model, f"{model.card.name}: {steps} steps", target, self.as_record())

    @property
    def result_name(self) -> str:
        """The file of the model."""
        return f"{self.config.name}{SUFFIX}"

    def as_record(self) -> dict[str, Any]:
        """What is needed to run it, JSON-ready."""
        found = self.model_dump(mode="json", exclude_none=True)
        found["config"] = self.config.model_dump(mode="json", exclude_defaults=True)
        return {"operation": self.operation, **found}

    def as_python(self) -> str:
        """A script that does the same."""
        lines = ["import napari_unet as nu"]
        held_out = self.validation or ()
        if any(each.correction is not None for each in (*self.examples, *held_out)):
            lines.append("from napari_unet.dataset.correction import Correction, CorrectedLabels")
        for number, each in enumerate((*self.examples, *held_out), 1):
            lines += ["", *each.lines(number)]
        names = [f"example_{number + 1}" for number in range(len(self.examples) + len(held_out))]
        keywords: dict[str, Any] = {"base": None if self.base is None else self.base.source}
        if held_out:
            keywords["validation"] = Expression(f"[{', '.join(names[len(self.examples) :])}]")
        fields = self.config.model_dump(mode="python", exclude_defaults=True)
        keywords |= {"task": self.config.task, **fields}
        learned = f"[{', '.join(names[: len(self.examples)])}]"
        lines += ["", call("model = nu.train", [learned], keywords)]
        return "\n".join([*lines, f"model.save({self.result_name!r})", ""])

    def as_command(self) -> str:
        """A line for a shell that does the same."""
        return run_command(self.as_record(), self.result_name)
