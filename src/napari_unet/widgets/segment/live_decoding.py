"""Labels that follow their settings: kept scores decoded again, without the network."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.errors import UNetError
from napari_unet.progress import Progress
from napari_unet.widgets.qt.job import JobRunner, Outcome
from napari_unet.widgets.viewer.coordinates import position
from napari_unet.widgets.viewer.lazy_values import lazily

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

    from napari_unet.inference.roi import RoiPrediction
    from napari_unet.settings import SegmentSettings
    from napari_unet.widgets.segment.request import Outputs, Request
    from napari_unet.widgets.viewer.placement import Placement
    from napari_unet.widgets.viewer.result_layers import ResultLayers


@dataclass(frozen=True, eq=False)
class Kept:
    """Scores of the last run.

    Attributes
    ----------
    outputs : Outputs
        The scores.
    request : Request
        What was run.
    image : Image
        The layer that was segmented.
    placement : Placement
        Where the labels lie.
    """

    outputs: Outputs
    request: Request
    image: Image
    placement: Placement

    @property
    def found(self) -> RoiPrediction:
        """The scores."""
        return self.outputs.found

    @cached_property
    def shown(self) -> RoiPrediction:
        """The scores for layers: those on disk are read where they are looked at."""
        return lazily(self.outputs.found, self.outputs.scratch)


class LiveDecoding:
    """Decodes the scores of the last run anew when settings change.

    The plane in view comes first, unless it is too large for memory; the whole follows from
    a worker. Where that fails, the labels are as they were before.

    Parameters
    ----------
    viewer : Viewer
        Whose plane in view is meant.
    results : ResultLayers
        Shows the labels.
    on_result : callable
        Called with the `Segmentation` of the whole.
    on_error : callable
        Called with what went wrong.
    """

    def __init__(
        self,
        viewer: Viewer,
        results: ResultLayers,
        on_result: Callable[[Any], None],
        on_error: Callable[[UNetError], None],
    ) -> None:
        self.kept: Kept | None = None
        self._viewer = viewer
        self._results = results
        self._on_result = on_result
        self._on_error = on_error
        self._settings: SegmentSettings | None = None
        self._index: tuple[Any, ...] = ()
        self._plane_runner = JobRunner(lambda _: None, self._plane_ended)
        self._whole_runner = JobRunner(lambda _: None, self._whole_ended)

    @property
    def running(self) -> bool:
        """Whether labels are being made."""
        return self._plane_runner.running or self._whole_runner.running

    def keep(self, kept: Kept | None, settings: SegmentSettings | None = None) -> None:
        """Decode these scores from now on; ``settings`` are those of the labels shown."""
        self.stop()
        self.kept, self._settings = kept, settings

    def stop(self) -> None:
        """End what is running and forget the scores."""
        kept = self.release()
        if kept is not None:
            kept.outputs.discard()

    def release(self) -> Kept | None:
        """End what is running; the scores are left to the caller."""
        for runner in (self._plane_runner, self._whole_runner):
            runner.drop()
        kept, self.kept = self.kept, None
        return kept

    def can_decode(self, request: Request | None) -> bool:
        """Whether a request differs from the kept one in its decoding at most."""
        return (
            self.kept is not None
            and request is not None
            and request.card.task == "instance"
            and request.same_scores(self.kept.request)
        )

    def decode_anew(self, request: Request) -> None:
        """Decode with the settings of a request, where they differ from those shown."""
        kept, settings = self.kept, request.settings
        if kept is None or settings == self._settings:
            return
        self._settings = settings
        for runner in (self._plane_runner, self._whole_runner):
            runner.drop()
        time, plane, self._index = self._in_view(kept)
        found = kept.found
        several = any(
            isinstance(i, int) and n > 1 for i, n in zip(self._index, _sizes(kept), strict=True)
        )
        if several and not _frame_is_large(found):
            self._plane_runner.start(lambda: _plane_job(found, time, plane, settings), "")
        else:
            self._whole_runner.start(lambda: _whole_job(found, settings), "")

    def _in_view(self, kept: Kept) -> tuple[int, int, tuple[Any, ...]]:
        """Time point and plane that are in view, and the part of the labels that holds them."""
        axes, shown = kept.found.axes, kept.placement.axes
        layer = self._results.layer(kept.image)
        sizes = _sizes(kept)
        point = np.zeros(len(shown))
        if layer is not None:
            point = np.asarray(layer.world_to_data(position(self._viewer, layer)))
        at = {
            axis: int(np.clip(round(float(point[shown.index(axis)])), 0, n - 1))
            for axis, n in zip(axes, sizes, strict=True)
        }
        single = "T" if kept.request.card.architecture.ndim == 3 else "TZ"
        index = tuple(at[axis] if axis in single else slice(None) for axis in axes)
        return at.get("T", 0), at.get("Z", 0), index

    def _plane_ended(self, outcome: Outcome) -> None:
        kept, settings = self.kept, self._settings
        if kept is None or outcome.cancelled:
            return
        if outcome.error is None:  # else the whole says it, if that fails too
            self._results.show_plane(kept.image, kept.placement, self._index, outcome.result)
        found = kept.found
        self._whole_runner.start(lambda: _whole_job(found, settings), "")

    def _whole_ended(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            if self.kept is not None:
                self._results.put_back(self.kept.image, self.kept.placement)
            self._on_error(outcome.error)
        elif not outcome.cancelled:
            self._on_result(outcome.result)


def _sizes(kept: Kept) -> list[int]:
    return [part.stop - part.start for part in kept.found.cut]


def _frame_is_large(found: RoiPrediction) -> bool:
    """Whether a plane, or a volume of a 3D model, is decoded in blocks only."""
    from napari_unet.inference.frames import is_large  # imports scipy

    config, prediction = found.prediction.card.architecture, found.prediction
    sizes = dict(zip(prediction.axes, prediction.scores.shape, strict=True))
    frame = tuple(int(sizes[axis]) for axis in "ZYX"[-config.ndim :])
    return is_large(config.out_channels, frame)


def _plane_job(
    found: RoiPrediction, time: int, plane: int, settings: SegmentSettings
) -> Generator[Progress, None, Any]:
    from napari_unet.inference.roi import decode_plane

    yield Progress(0, 1, "finding objects", "finding")
    return decode_plane(found, time, plane, settings)


def _whole_job(
    found: RoiPrediction, settings: SegmentSettings | None
) -> Generator[Progress, None, Any]:
    from napari_unet.inference.roi import iter_decode_roi

    return iter_decode_roi(found, settings)
