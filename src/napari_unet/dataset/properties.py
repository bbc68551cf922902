"""What the examples of a training have in common: axes, channels, pixel size, object diameter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.card import ClassInfo, ModelCard
from napari_unet.dataset.example import Example
from napari_unet.dataset.frames import Frame
from napari_unet.dataset.label_statistics import LabelStatistics
from napari_unet.dataset.labelled_image import LabelledImage, open_example_image
from napari_unet.errors import InputError, TrainingError
from napari_unet.image.source import ImageSource
from napari_unet.instances.maps import DISTANCE
from napari_unet.renumbering import compact_labels
from napari_unet.settings import TrainConfig
from napari_unet.tiling import Region

MIN_VOLUME_PLANES = 8  # of a stack that is trained on as a volume
FEW_PLANES = 16  # fewer: a 3D network of three levels sees past both ends from every plane
WIDE_PLANE_RATIO = 16  # of the shorter side of a plane to the number of planes
KNOWN_SHARE = 0.1  # of boundary and interior, for each pixel of objects that is left open
SAMPLED_OBJECTS = 8  # of a frame, whose distances are computed
SAMPLE_REACH_PIXELS = {2: 96, 3: 32}  # pixels to each side of them


def find_ndim(examples: Sequence[Example], base: ModelCard | None, config: TrainConfig) -> int:
    """Spatial axes of the network: those of the base, of the settings, or of the images.

    Raises
    ------
    InputError, TrainingError
        If an image cannot be used, or settings and base do not fit one another.
    """
    if base is not None:
        ndim: int = base.architecture.ndim
        if config.ndim not in ("auto", ndim):
            raise TrainingError(
                f"⟨ndim⟩ {config.ndim} does not fit the base model {base.name!r}, which is {ndim}D",
                parameter="ndim",
                value=config.ndim,
            )
        return ndim
    if config.ndim != "auto":
        return config.ndim
    if config.patch is None:
        return _suggest_ndim(examples, config)
    if len(config.patch) not in (2, 3):
        raise TrainingError(
            f"⟨patch⟩ {config.patch} needs 2 or 3 sizes, one per spatial axis",
            parameter="patch",
            value=config.patch,
        )
    return len(config.patch)


def check_task(base: ModelCard, config: TrainConfig) -> None:
    """Raise `TrainingError` if a base model is for another task."""
    if base.task != config.task:
        raise TrainingError(
            f"The base model {base.name!r} is for the task ⟨task:{base.task!r}⟩, "
            f"not ⟨task:{config.task!r}⟩",
            "choose another base, or train a new network",
            parameter="base",
            value=base.name,
        )


def choose_classes(
    base: ModelCard | None, config: TrainConfig, values: set[int]
) -> tuple[ClassInfo, ...]:
    """Classes of the settings, or of a base that names every value; none: to be found."""
    if config.classes or base is None:
        return config.classes
    return base.classes if values <= {c.value for c in base.classes} else ()


def lacks_background(
    examples: Sequence[tuple[LabelledImage, LabelStatistics]], config: TrainConfig
) -> bool:
    """Whether objects are painted but no background."""
    if config.task != "instance" or any(0 in seen.values for _, seen in examples):
        return False
    return all(e.regions == ("painted",) and not e.masks for e, _ in examples)


def find_channels(examples: Sequence[Example], base: ModelCard | None, ndim: int) -> int:
    """Channels that all examples have.

    Raises
    ------
    InputError, TrainingError
        If an image cannot be used, or the numbers differ.
    """
    wanted = base.architecture.in_channels if base is not None else None
    counts = {_count_channels(e, ndim, wanted) for e in examples}
    if len(counts) > 1:
        raise TrainingError(
            f"The examples have different numbers of channels {sorted(counts)}",
            "choose equal numbers with ⟨channels=⟩",
            parameter="channels",
        )
    return counts.pop()


def _count_channels(example: Example, ndim: int, wanted: int | None) -> int:
    """Channels of an example; an array without axes is read as the base model would."""
    if wanted is not None and example.axes is None and example.channels is None:
        try:
            return len(open_example_image(example, ndim=ndim, in_channels=wanted).channels)
        except InputError:
            pass  # the base takes another number
    return len(open_example_image(example, ndim=ndim, in_channels=None).channels)


def _suggest_ndim(examples: Sequence[Example], config: TrainConfig) -> int:
    """3 for stacks; but 2 for classes in a few wide planes, or objects known in single planes.

    A plane does not tell how far its objects reach through the others, so that a 3D network
    could learn no distances from it. Classes need no linking through z; where there are few
    planes, nearly all of the context lies within them, and a 2D network sees more of it at a
    fraction of the time a step (docs/results/training.md).
    """
    sources = [open_example_image(e, ndim=2, in_channels=None) for e in examples]
    if min(s.size("Z") for s in sources) < MIN_VOLUME_PLANES:
        return 2
    if config.task == "semantic" and all(_has_few_wide_planes(s) for s in sources):
        return 2
    planes = all(isinstance(e.region, str) and e.region == "planes" for e in examples)
    return 2 if planes and config.task == "instance" else 3


def _has_few_wide_planes(source: ImageSource) -> bool:
    planes, side = source.size("Z"), min(source.size("Y"), source.size("X"))
    return planes < FEW_PLANES and side >= WIDE_PLANE_RATIO * planes


def median_diameter(
    examples: Iterable[tuple[LabelledImage, LabelStatistics]], ndim: int
) -> float | None:
    """Of disks (2D) or balls (3D) as large as the objects, in pixels.

    Strokes say nothing of an object's size, nor do single planes of its size in 3D.
    """
    sizes: list[int] = []
    for labelled, seen in examples:
        if "painted" in labelled.regions or (ndim == 3 and labelled.planes is not None):
            continue
        for frame in seen.frames:
            sizes += [size for value, size in frame.sizes.items() if value]
    if not sizes:
        return None
    pixels = np.array(sizes, float)
    diameters = np.sqrt(4 / np.pi * pixels) if ndim == 2 else np.cbrt(6 / np.pi * pixels)
    return round(float(np.median(diameters)), 2)


def common_pixel_size(sources: Iterable[ImageSource], ndim: int) -> tuple[float, ...] | None:
    """The pixel size, where all examples know it and agree within 5 %."""
    sizes = [source.pixel_size[-ndim:] for source in sources]
    if any(value is None for size in sizes for value in size):
        return None
    table = np.array(sizes, float)
    middle = np.median(table, axis=0)
    if np.abs(table / middle - 1).max() > 0.05:
        return None
    return tuple(round(float(v), 6) for v in middle)


def median_extents(frames: Sequence[Frame]) -> tuple[float, ...] | None:
    """Median lengths of the objects' bounding boxes, of frames in memory that are complete."""
    found = []
    for frame in frames:
        if frame.cached is None or not frame.statistics.complete:
            continue
        labels, _ = frame.read_labels(tuple(slice(0, n) for n in frame.shape))
        boxes = ndimage.find_objects(compact_labels(labels[0]).astype(np.int32))
        found += [[p.stop - p.start for p in box] for box in boxes if box is not None]
    return tuple(np.median(found, axis=0).tolist()) if found else None


def knows_distance(frames: Sequence[Frame]) -> bool:
    """Whether the distances, or boundaries, of any object are determined.

    Of frames that are not in memory, only windows around a few objects are read.
    """
    with_objects = [frame for frame in frames if 1 in frame.statistics.places]
    if any(frame.statistics.complete and _parts_objects(frame) for frame in with_objects):
        return True
    if any(_has_height(frame, frame.cached[1]) for frame in with_objects if frame.cached):
        return True
    return any(
        _has_height(frame, frame.read_target(part))
        for frame in with_objects
        if frame.cached is None
        for part in object_windows(frame)
    )


def _parts_objects(frame: Frame) -> bool:
    """Whether a complete frame shows what parts objects: one object everywhere has no boundary."""
    return frame.target_spec.representation == DISTANCE or len(frame.statistics.sizes) > 1


def _has_height(frame: Frame, target: NDArray[np.float16]) -> bool:
    """Whether a pixel of a target is inside an object, and its height exact.

    Of boundaries both the line and what it encloses must be known to some extent, against what
    is left open: not only where two strokes happen to meet, nor in single planes of a volume,
    of which no pixel is known to lie inside.
    """
    objects, exact = target[0] > 0.5, target[2] > 0.5
    if frame.target_spec.representation == DISTANCE:
        return bool((objects & exact).any())
    inside = np.count_nonzero(objects & exact & (target[1] > 0.5))
    boundary = np.count_nonzero(objects & exact) - inside
    left_open = np.count_nonzero(objects & ~exact)
    return bool(min(inside, boundary) > KNOWN_SHARE * left_open)


def object_windows(frame: Frame) -> Iterator[Region]:
    """Windows around objects, evenly spread among all of them."""
    positions = frame.statistics.places[1].positions
    reach = SAMPLE_REACH_PIXELS[len(frame.shape)]
    for number in np.unique(
        np.linspace(0, len(positions) - 1, SAMPLED_OBJECTS).round().astype(int)
    ):
        yield tuple(
            slice(max(0, int(c) - reach), min(n, int(c) + reach + 1))
            for c, n in zip(positions[number], frame.shape, strict=True)
        )
