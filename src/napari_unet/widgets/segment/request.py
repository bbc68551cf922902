"""What a form asks for, checked before it is run."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_unet.axes import check_axes
from napari_unet.card import ModelCard
from napari_unet.errors import FileError, InputError, SettingsError
from napari_unet.image.roi import Roi
from napari_unet.image.source import ImageSource, open_image
from napari_unet.io.scratch import ScratchFolder
from napari_unet.progress import Progress
from napari_unet.settings import DECODING_FIELDS, SegmentSettings, resolve
from napari_unet.widgets.qt.fields import FieldError, parse_channels
from napari_unet.widgets.segment.image_picker import PER_CHANNEL
from napari_unet.widgets.viewer.label_colours import compile_colours

if TYPE_CHECKING:
    from napari_unet.inference.cost import CostEstimate
    from napari_unet.inference.results import Segmentation
    from napari_unet.inference.roi import RoiPrediction
    from napari_unet.widgets.viewer.layer_image import LayerImage


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a run gives.

    Attributes
    ----------
    found : RoiPrediction
        The scores.
    labels : Segmentation or None
        None for a regression model: the scores are the result.
    scratch : ScratchFolder or None
        Where the scores lie that are too large for memory.
    """

    found: RoiPrediction
    labels: Segmentation | None
    scratch: ScratchFolder | None = None

    def discard(self) -> None:
        """Remove scores from the disk."""
        if self.scratch is not None:
            self.scratch.remove()


@dataclass(frozen=True, eq=False)
class Request:
    """A run in every detail; it holds arrays and values only.

    Attributes
    ----------
    image : LayerImage
        What is segmented.
    opened : ImageSource
        Its pixels, as the model takes them.
    axes : str
        Of its array.
    channels : tuple of int or None
        Input channels where there is an axis C.
    card : ModelCard
        Of the model.
    source : str or Path
        Its name or file.
    settings : SegmentSettings
        How.
    roi : Roi
        Which part.
    """

    image: LayerImage
    opened: ImageSource
    axes: str
    channels: tuple[int, ...] | None
    card: ModelCard
    source: str | Path
    settings: SegmentSettings
    roi: Roi = field(default_factory=Roi)

    @classmethod
    def check(
        cls,
        image: LayerImage,
        card: ModelCard,
        axes: str,
        channels: str,
        values: Mapping[str, Any],
        *,
        source: str | Path | None = None,
    ) -> Request:
        """Check what stands in the form, for the whole image.

        Raises
        ------
        FieldError
            For the first field that cannot be used.
        """
        try:
            axes = check_axes(axes.strip(), image.shape)
        except InputError as error:
            raise FieldError("axes", error) from None
        config = card.architecture
        if config.ndim == 3 and "Z" not in axes:
            problem = f"The model is 3D, but the axes {axes} have no Z"
            raise FieldError("axes", InputError(problem, "choose a 2D model"))
        if len(image.arrays) > 1 and "C" in axes:
            problem = f"Each layer is a channel, so the axes {axes} must not name a C"
            raise FieldError("axes", InputError(problem))
        grey = card.takes_colours and len(image.arrays) == 1
        if len(image.arrays) == 1 < config.in_channels and "C" not in axes and not grey:
            names = ", ".join(card.channels)
            problem = f"The model takes {config.in_channels} channels ({names}), one image has none"
            remedy = f"choose ‘{PER_CHANNEL}’ here, or name the axis C of the image"
            raise FieldError("image", InputError(problem, remedy))
        chosen = None
        if "C" in axes:
            chosen = parse_channels(channels)
        try:
            opened = open_image(
                image.image,
                axes=axes,
                channels=chosen,
                pixel_size=image.pixel_size(axes),
                ndim=config.ndim,
                in_channels=config.in_channels,
                origins=image.origins,
                takes_colours=card.takes_colours,
            )
        except InputError as error:
            by_channel = error.parameter == "channels" and "C" in axes
            raise FieldError("channels" if by_channel else "image", error) from None
        if values.get("object_diameter") is not None and card.object_diameter is None:
            problem = "The model does not record the diameter of its objects"
            raise FieldError("object_diameter", SettingsError(problem, "tick auto"))
        try:
            settings = resolve(SegmentSettings, None, dict(values))
        except SettingsError as error:
            field = error.parameter if error.parameter in values else None
            raise FieldError(field or "image", error) from None
        return cls(image, opened, axes, chosen, card, source or card.name, settings)

    def within(self, roi: Roi) -> Request:
        """The same for a part of the image.

        Raises
        ------
        FieldError
            If it is no part of the image.
        """
        try:
            roi.of(self.opened)
        except InputError as error:
            raise FieldError("region", error) from None
        return replace(self, roi=roi)

    def job(self) -> Generator[Progress, None, Outputs]:
        """Predict, and find the objects or classes; scores that are too large go to disk."""
        # torch is imported here, in the worker thread
        from napari_unet.inference.segmentation import iter_run

        scratch = _scratch_folder() if self._is_large() else None
        output = None if scratch is None else scratch.path / "scores.zarr"
        try:
            result = yield from iter_run(
                self.opened,
                self.source,
                roi=self.roi,
                labels=self.card.task != "regression",
                scores=output or True,
                settings=self.settings,
            )
            found, labels = result.scores, result.labels
            assert found is not None
            if labels is not None and self.card.task == "semantic":
                compile_colours(labels.labels.dtype)
        except BaseException:
            if scratch is not None:
                scratch.remove()
            raise
        return Outputs(found, labels, scratch)

    def cost(self, rates: dict[Any, float]) -> Generator[Progress, None, CostEstimate]:
        """What the run will cost; ``rates`` keeps what is measured."""
        from napari_unet.inference.cost import estimate_cost

        yield Progress(0, 1, "estimating")
        return estimate_cost(self.opened, self.source, self.settings, roi=self.roi, rates=rates)

    def same_scores(self, other: Request) -> bool:
        """Whether another request of an image gives the same scores there."""
        mine, theirs = (
            (
                [id(array) for array in request.image.arrays],
                request.axes,
                request.channels,
                request.source,
                request.image.pixel_size(request.axes),
                request.settings.model_dump(exclude=DECODING_FIELDS),
            )
            for request in (self, other)
        )
        return bool(mine == theirs)

    def same_run(self, other: Request) -> bool:
        """Whether another request runs the same."""
        regions = [
            (each.roi.t, each.roi.z, each.roi.y, each.roi.x, each.roi.inside is None)
            for each in (self, other)
        ]
        same_place = regions[0] == regions[1] and np.array_equal(
            np.asarray(self.roi.inside), np.asarray(other.roi.inside)
        )
        return same_place and self.settings == other.settings and self.same_scores(other)

    def _is_large(self) -> bool:
        """Whether the scores would take more than a quarter of the free memory."""
        from napari_unet.inference.frames import score_bytes  # imports scipy

        shape = [part.stop - part.start for part in self.roi.of(self.opened).values()]
        size = score_bytes(self.card.architecture.out_channels, shape)
        return bool(size > psutil.virtual_memory().available // 4)


def _scratch_folder() -> ScratchFolder:
    """A folder for scores, which goes with the object; one of a killed process goes later."""
    try:
        return ScratchFolder(Path(gettempdir()), temporary=True)
    except OSError as error:
        raise FileError(
            "The scores do not fit in memory, and there is no folder for temporary files to put "
            f"them in ({error})",
            "make room on the disk, set the environment variable TMPDIR to a "
            "folder that can be written, or segment a part of the image",
        ) from error
