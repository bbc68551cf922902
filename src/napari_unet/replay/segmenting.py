"""A recorded segmentation or prediction: repeated, as Python, as a command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from napari_unet.axes import in_order, spatial_in_order
from napari_unet.errors import InputError, UNetError
from napari_unet.image.given import Given
from napari_unet.image.roi import Roi, unpack_mask
from napari_unet.image.source import open_image
from napari_unet.io import read_image, write_image, write_labels
from napari_unet.io.naming import plain_stem
from napari_unet.network.files import read_header
from napari_unet.replay.commands import run_command
from napari_unet.replay.recorded import RecordedRun
from napari_unet.replay.references import (
    ArrayReference,
    ModelReference,
    fits,
    open_arrays,
)
from napari_unet.replay.repeated import Job, Repeated, target_of
from napari_unet.replay.source_code import Expression, call, quote
from napari_unet.settings import SegmentSettings

Range = tuple[int, int]


class SegmentRun(RecordedRun):
    """A segmentation or prediction that can be run.

    Attributes
    ----------
    operation : str
        "segment" or "predict".
    model : ModelReference
        What predicts.
    input : tuple of ArrayReference
        The image, one array or one per channel.
    axes, channels, pixel_size
        As `napari_unet.segment` takes them; sizes in the order of the axes, None: unknown.
    settings : SegmentSettings
        Resolved ones, where it was run.
    extent : dict
        The part of the image, first pixel and one past the last by axis; empty: all of it.
    outline : dict or None
        The mask inside that part, as `pack_mask` packs it.
    shape : tuple of int or None
        Of the image.
    """

    operation: Literal["segment", "predict"] = "segment"
    model: ModelReference
    input: tuple[ArrayReference, ...]
    axes: str
    channels: tuple[int, ...] | None = None
    pixel_size: tuple[float | None, ...] | None = None
    settings: SegmentSettings = SegmentSettings()
    extent: Mapping[str, Range] = Field(default_factory=dict)
    outline: dict[str, Any] | None = None
    shape: tuple[int, ...] | None = None
    output: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_file(cls, values: Any) -> Any:
        """Records of files name the file beside its pixels, those of before 0.3 it alone."""
        if not isinstance(values, Mapping) or "source" not in values:
            return values
        known = list(values.get("input") or [{}])
        if len(known) == 1 and isinstance(known[0], Mapping) and not known[0].get("path"):
            place = {"path": values["source"], "scene": values.get("scene")}
            return {**values, "input": [{**known[0], **place}]}
        return values

    # repeated

    def repeat(self, given: Any = None, output: str | Path | None = None) -> Job:
        """Run it again; see `napari_unet.run`."""
        from napari_unet.inference.segmentation import iter_run

        model = self.model.load()
        arrays = open_arrays(self.input, given)
        image = self._source(arrays, other=given is not None, model=model)
        labelled = self.operation == "segment"
        ending = "labels.tif" if labelled else "scores.tif"
        target = target_of(output, f"{self._stem(arrays)}_{ending}")
        store = target if target is not None and ".zarr" in target.name else None
        roi = self.roi
        arguments: dict[str, Any] = {} if store is None else {"output": store}
        if store is not None and roi is not None:
            raise InputError(
                "Labels of a part of an image are not written to ⟨output⟩ as zarr",
                "name a file that ends in .tif",
                parameter="output",
                value=str(store),
            )
        found: Any
        if labelled:
            result = yield from iter_run(image, model, roi=roi, settings=self.settings, **arguments)
            assert result.labels is not None
            found = result.labels
            array = value = found.labels
        else:
            scores = True if store is None else store
            done = yield from iter_run(
                image, model, roi=roi, settings=self.settings, labels=False, scores=scores
            )
            assert done.scores is not None
            found = value = done.scores.prediction
            array = done.scores.scores
        record = {**found.record, "repeats": self.as_record()["operation"]}
        if target is not None and store is None:
            record["output"] = str(target.absolute())
            write = write_labels if labelled else write_image
            sizes = in_order(found.pixel_size, found.axes)
            write(target, array, axes=found.axes, pixel_size=sizes, record=record)
        message = str(record.get("message", "scores"))
        return Repeated(value, message, target, record)

    def _source(self, arrays: list[Given], *, other: bool, model: Any) -> Any:
        axes: str | None = self.axes
        if other and not fits(axes, arrays[0]):
            axes = arrays[0].axes if len(arrays[0].axes or "") == arrays[0].array.ndim else None
        sizes: Any = self._sizes
        if other:
            own = arrays[0].pixel_size(axes or "")
            sizes = own if own is not None else sizes if axes == self.axes else None
        config = model.card.architecture
        single = len(arrays) == 1 and "C" not in (axes or self.axes)
        return open_image(
            arrays,
            axes=axes,
            channels=None if single else self.channels,
            pixel_size=sizes,
            ndim=config.ndim,
            in_channels=config.in_channels,
        )

    @property
    def _sizes(self) -> list[float | None]:
        """Sizes as they were, an unknown one too: the file may know one that did not count."""
        count = len(spatial_in_order(self.axes))
        return [None] * count if self.pixel_size is None else list(self.pixel_size)

    @property
    def roi(self) -> Roi | None:
        """The part of the image; None: all of it."""
        sizes = dict(zip(self.axes, self.shape or (), strict=False))
        parts = {a: p for a, p in self.extent.items() if tuple(p) != (0, sizes.get(a))}
        if not parts and self.outline is None:
            return None
        if self.outline is not None:  # its size is that of the ranges y and x
            parts = {**parts, **{a: self.extent[a] for a in "YX" if a in self.extent}}
        inside = None if self.outline is None else unpack_mask(self.outline)
        return Roi(**{axis.lower(): part for axis, part in parts.items()}, inside=inside)

    @property
    def result_name(self) -> str:
        """What the result is called where nobody says."""
        written = None if self.output is None else Path(self.output).name
        return (
            written or f"{self._name}_{'labels' if self.operation == 'segment' else 'scores'}.tif"
        )

    def _stem(self, arrays: list[Given]) -> str:
        path = arrays[0].origin.get("path")
        return "image" if path is None else plain_stem(Path(path))

    # in words

    def as_record(self) -> dict[str, Any]:
        """What is needed to run it, JSON-ready."""
        found = self.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        found["operation"] = self.operation
        found["settings"] = self.settings.model_dump(mode="json", exclude_defaults=True)
        found["pixel_size"] = self._sizes
        return found

    def as_python(self) -> str:
        """A script that does the same."""
        keywords = self._keywords()
        roi = self.roi
        lines = ["import napari_unet as nu"]
        name = "labels" if self.operation == "segment" else "prediction"
        function = f"{name} = nu.{self.operation}"
        image = self._image_source()
        body = [f"image = {image}"]
        arguments = ["image", repr(self._model_source)]
        if roi is None:
            body.append(call(function, arguments, keywords))
        else:
            whole = roi.inside is None
            lines += [
                f"from napari_unet.image.roi import {'Roi' if whole else 'Roi, unpack_mask'}",
                "from napari_unet.inference.segmentation import iter_run",
                "from napari_unet.progress import drain",
            ]
            parts: dict[str, Any] = {
                axis: part for axis in "tzyx" if (part := getattr(roi, axis)) is not None
            }
            if self.outline is not None:
                parts["inside"] = Expression(f"unpack_mask({self.outline!r})")
            body.append(call("part = Roi", [], parts))
            more = {"labels": False, "scores": True} if self.operation == "predict" else {}
            inner = call("iter_run", arguments, {"roi": Expression("part"), **more, **keywords})
            body.append(f"result = drain({inner})")
            got = "labels.labels" if self.operation == "segment" else "scores.prediction"
            body.append(f"{name} = result.{got}")
        if self.operation == "segment":
            sizes = self.pixel_size
            known = sizes is not None and any(size is not None for size in sizes)
            axes = self.axes.replace("C", "")
            size = {"pixel_size": tuple(sizes)} if known and sizes is not None else {}
            target = repr(f"{self._name}_labels.tif")
            body.append(call("nu.write_labels", [target, name], {"axes": axes, **size}))
        else:
            lines.append("from napari_unet.io import write_image")
            target = repr(f"{self._name}_scores.tif")
            scores = f"{name}.scores"
            axes_of = {"axes": Expression(f"{name}.axes")}
            body.append(call("write_image", [target, scores], axes_of))
        return "\n".join([*lines, "", *body, ""])

    def as_command(self) -> str:
        """A line for a shell that does the same."""
        options = self._options()
        if options is None:
            return run_command(self.as_record(), self.result_name)
        return quote(["napari-unet", self.operation, *options])

    def _options(self) -> list[str] | None:
        """Arguments of the command; None where it has none for all of this."""
        (first, *others) = self.input
        whole = first.is_whole_file and not others and self.roi is None
        sizes = self._sizes_to_give()
        if not whole or (sizes is not None and None in sizes):
            return None
        words = [str(first.path), "-m", self._model_source, "-o", "results", "--axes", self.axes]
        if first.scene is not None:
            words += ["--scene", str(first.scene)]
        if "C" in self.axes and self.channels is not None:
            words += ["--channels", ",".join(map(str, self.channels))]
        if sizes is not None:
            words += ["--pixel-size", ",".join(map(repr, sizes))]
        return [*words, *setting_options(self._settings())]

    def _keywords(self) -> dict[str, Any]:
        keywords: dict[str, Any] = {"axes": self.axes}
        if self.channels is not None and (len(self.input) > 1 or "C" in self.axes):
            keywords["channels"] = tuple(self.channels)
        sizes = self._sizes_to_give()
        if sizes is not None:
            keywords["pixel_size"] = tuple(sizes)
        return {**keywords, **self._settings()}

    def _sizes_to_give(self) -> list[float | None] | None:
        """Micrometres, unless the file says the same by itself."""
        first = self.input[0]
        known: list[float | None] | None = None
        if first.path is not None:
            try:
                file = read_image(first.path, scene=first.scene, eager_bytes=0)
                known = file.pixel_size_along(self.axes)
            except (UNetError, OSError):
                known = [0.0]  # nobody can tell: they are given
        count = len(self._sizes)
        return None if (known or [None] * count) == self._sizes else self._sizes

    def _settings(self) -> dict[str, Any]:
        return settings_to_tell(self.settings, self.model)

    def _image_source(self) -> str:
        sources = [array_source(each) for each in self.input]
        return sources[0] if len(sources) == 1 else f"[{', '.join(sources)}]"

    @property
    def _model_source(self) -> str:
        return self.model.source

    @property
    def _name(self) -> str:
        path = self.input[0].path
        return "image" if path is None else plain_stem(Path(path))


def array_source(reference: ArrayReference) -> str:
    """Source that opens an array.

    >>> array_source(ArrayReference(path="a.tif", scene=1))
    "nu.read_image('a.tif', scene=1)"
    """
    if reference.path is None:
        raise InputError(
            "The image is in no file", "save it first, or give it with ⟨input⟩", parameter="input"
        )
    from napari_unet.io.zarr_files import level_paths

    path = reference.path
    if reference.level:
        path = str(level_paths(Path(path))[reference.level])
    keywords = {} if reference.scene is None else {"scene": reference.scene}
    if reference.as_labels:
        keywords["as_labels"] = True
    opened = call("nu.read_image", [repr(path)], keywords)
    if reference.channel is None:
        return opened
    axes = read_image(path, scene=reference.scene, eager_bytes=0).axes or "C"
    index = ", ".join(str(reference.channel) if a == "C" else ":" for a in axes)
    return f"{opened}.array[{index}]"


def settings_to_tell(settings: SegmentSettings, model: ModelReference) -> dict[str, Any]:
    """Fields that are not as they would be by themselves."""
    values = settings.model_dump(exclude_defaults=True)
    if "normalization" in values:
        try:
            own = read_header(model.find()).normalization
        except (UNetError, OSError):
            own = None
        if own == settings.normalization:
            del values["normalization"]
    return values


def setting_options(values: Mapping[str, Any]) -> list[str]:
    """Options of the command line for single settings.

    >>> setting_options({"flips": True, "tile": (64, 64), "min_size": 9})
    ['--flips', '--tile', '64,64', '--min-size', '9']
    """
    words: list[str] = []
    for name, value in values.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool | np.bool_):
            words.append(option if value else option.replace("--", "--no-", 1))
            continue
        if isinstance(value, Mapping):
            text = json.dumps(value)
        elif isinstance(value, list | tuple):
            simple = all(isinstance(each, int | float) for each in value)
            text = ",".join(map(str, value)) if simple else json.dumps(value)
        else:
            text = str(value)
        words += [option, text]
    return words
