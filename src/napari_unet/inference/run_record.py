"""The record of a run: what made a result, complete enough to make it again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from napari_unet.axes import in_order
from napari_unet.installation import versions

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

        source = plan.source
        content = {
            "operation": operation,
            "model": {"name": model.card.name, "sha256": model.sha256},
            "settings": plan.settings.model_dump(mode="json"),
            "axes": source.axes,
            "axes_doubt": "" if source.doubt is None else str(source.doubt),
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
            "constant": plan.constant,
            "tiles": len(plan.tiles),
            "halo": list(plan.tiles.halo),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return cls(content, time.perf_counter())

    def finish(self, **more: Any) -> dict[str, Any]:
        """The complete record, with the seconds that the run took."""
        seconds = round(time.perf_counter() - self.clock, 3)
        return {**self.content, "fallbacks": self.fallbacks, **more, "seconds": seconds}
