"""The record of a run: what made a result, complete enough to make it again, and what it holds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.axes import in_order
from napari_unet.card import ModelCard
from napari_unet.image.domain import doubt_domain
from napari_unet.image.identity import describe_shape, identify
from napari_unet.installation import versions
from napari_unet.io.record import in_unicode

if TYPE_CHECKING:
    from napari_unet.inference.plan import PredictionPlan
    from napari_unet.network.model import Model


@dataclass(frozen=True)
class RunRecord:
    """A record that is being kept; `finish` closes it.

    Attributes
    ----------
    content : dict
        JSON-ready.
    fallbacks : list of str
        What the run had to do otherwise than its settings say, for want of memory.
    """

    content: dict[str, Any]
    clock: float
    fallbacks: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, operation: str, plan: PredictionPlan, model: Model) -> RunRecord:
        """Open the record of a prediction or segmentation."""
        import torch

        source, threads = plan.source, plan.settings.threads
        content = {
            "operation": operation,
            "model": {"name": model.card.name, "sha256": model.sha256},
            **locate_model(model),
            "task": model.card.task,
            "classes": [each.model_dump(mode="json") for each in model.card.classes],
            "input": list(describe_input(source.arrays, source.origins)),
            "settings": plan.settings.model_dump(mode="json"),
            "axes": source.axes,
            "axes_doubt": "" if source.doubt is None else str(source.doubt),
            "domain_doubt": doubt_domain(plan.limits.profile, model.card),
            "channels": list(source.channels),
            "shape": [int(n) for n in source.arrays[0].shape],
            "extent": {
                axis: [part.start, part.stop]
                for axis, part in plan.roi.items()
                if axis in source.axes
            },
            "pixel_size": list(in_order(source.pixel_size, source.axes)),
            "pixel_size_unit": "micrometer",
            "zoom": list(plan.zoom),
            "intensity_limits": plan.limits.as_list(),
            "left_out": dict(plan.limits.left_out),  # of the sample that the limits come from
            "without_border": {
                axis: [part.start, part.stop] for axis, part in plan.limits.window.items()
            },
            "constant": plan.constant,
            "tiles": len(plan.tiles),
            "halo": list(plan.tiles.halo),
            "threads": threads if isinstance(threads, int) else torch.get_num_threads(),
            "versions": dict(versions()),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return cls(content, time.perf_counter())

    def finish(self, **more: Any) -> dict[str, Any]:
        """The complete record, with the seconds that the run took."""
        seconds = round(time.perf_counter() - self.clock, 3)
        return {**self.content, "fallbacks": self.fallbacks, **more, "seconds": seconds}


def locate_model(model: Model) -> dict[str, str]:
    """The file of a model for a record, where it is none of those that are found by name."""
    from napari_unet.network.files import model_files

    path = model.path
    if path is None or path.absolute() in (known.absolute() for known in model_files().values()):
        return {}
    return {"model_file": in_unicode(path.absolute())}


def describe_input(
    arrays: Sequence[Any], origins: Sequence[Mapping[str, Any]] = ()
) -> Iterator[dict[str, Any]]:
    """Arrays for a run record: where each is from, as far as it is known, and what it holds."""
    for number, array in enumerate(arrays):
        origin = origins[number] if number < len(origins) else {}
        # what is computed as it is read, and is in no file, is not computed once more
        known = isinstance(array, np.ndarray) or origin.get("path") is not None
        yield {"path": None, **origin, **(identify if known else describe_shape)(array)}


class ResultSummary:
    """What a result holds, gathered while it is made."""

    def __init__(
        self,
        card: ModelCard,
        *,
        constant: bool = False,
        left_out: Mapping[str, int] | None = None,
        doubt: str = "",
    ) -> None:
        self.card = card
        self.constant = constant
        self.doubt = doubt
        self.missing = sum((left_out or {}).get(reason, 0) for reason in ("nan", "infinite"))
        self.odd_frames = (left_out or {}).get("frames", 0)
        self.speckled = bool((left_out or {}).get("speckles"))
        self.noise = bool((left_out or {}).get("noise"))
        self.objects: int | None = None
        self.pixels = np.zeros(len(card.classes), np.int64)  # by class
        self.low = [np.inf] * card.architecture.out_channels
        self.high = [-np.inf] * card.architecture.out_channels

    def see(self, scores: NDArray[Any]) -> None:
        """Take in some scores (C, *spatial)."""
        axes = tuple(range(1, scores.ndim))
        self.low = np.minimum(self.low, scores.min(axes)).tolist()
        self.high = np.maximum(self.high, scores.max(axes)).tolist()

    def see_classes(self, channels: NDArray[Any]) -> None:
        """Take in which channel of the scores is the largest at some pixels."""
        self.pixels += np.bincount(channels.ravel(), minlength=self.pixels.size)

    def as_dict(self) -> dict[str, Any]:
        """Score range per channel, whether the result is empty, and a message."""
        ranges = [[round(a, 4), round(b, 4)] for a, b in zip(self.low, self.high, strict=True)]
        out: dict[str, Any] = {"score_range": ranges, "empty": False}
        if self.card.task == "instance":
            low, high = ranges[0]
            out["objects"] = self.objects or 0
            out["empty"] = not self.objects
            out["message"] = (
                count_in_words(self.objects)
                if self.objects
                else "No objects were found: the image is constant, so there is nothing to see; "
                "check the channel and the normalisation."
                if self.constant
                else "No objects were found: the foreground probability lies between "
                f"{low:.3g} and {high:.3g}; lower threshold, or check the channel, the axes "
                "and the object diameter."
            )
        else:
            out["pixels"] = {
                c.name: int(n) for c, n in zip(self.card.classes, self.pixels, strict=True)
            }
            out["empty"] = self.pixels.size > 1 and not self.pixels[1:].any()
            out["message"] = self._classes_in_words(ranges)
        if self.missing:
            out["message"] += (
                f" ({self.missing} pixels of the image are NaN or infinite: they are background)"
            )
        if self.noise:
            out["message"] += (
                " (The image shows nothing but noise, which was not stretched to its full range; "
                "where there is more in it, give a fixed range of intensities)"
            )
        if self.speckled:
            out["message"] += (
                " (More than 5 % of the pixels are far brighter than their neighbours, as hot "
                "pixels are: the rest cannot be seen beside them; take them out first, for "
                "instance with a median filter)"
            )
        if self.odd_frames:
            verb = "is" if self.odd_frames == 1 else "are"
            out["message"] += (
                f" ({self.odd_frames} of the frames {verb} unlike all others and did not count "
                "for the intensity limits: look at what was found there)"
            )
        if self.doubt:
            out["message"] = f"{out['message'].removesuffix('.')}. {self.doubt}"
        return out

    def _classes_in_words(self, ranges: list[list[float]]) -> str:
        first, *others = self.card.classes
        if others and not self.pixels[1:].any():
            best, name = max(
                (high, c.name) for (_, high), c in zip(ranges[1:], others, strict=True)
            )
            return (
                f"Only {first.name} was found: the highest probability of another class is "
                f"{best:.3g} ({name}); check the channel, the axes and the object diameter."
            )
        total = max(int(self.pixels.sum()), 1)
        shares = zip(self.card.classes, self.pixels, strict=True)
        return ", ".join(f"{c.name} {n / total:.1%}" for c, n in shares)


def count_in_words(objects: int) -> str:
    """How many objects there are.

    >>> count_in_words(1), count_in_words(12)
    ('1 object', '12 objects')
    """
    return f"{objects} object" + ("" if objects == 1 else "s")
