"""Levels, pooling, patch and object diameter of a new network, proposed from the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import ValidationError

from napari_unet.errors import SettingsError, describe_validation
from napari_unet.unet_config import UNetConfig

Sizes = tuple[int, ...]
Strides = tuple[Sizes, ...]

_LEVELS = {2: (3, 5, 5), 3: (2, 3, 4)}  # fewest, usual, most
_MOST_PLANAR_LEVELS = 5  # in 3D, where z is left out of the pooling: as many as in 2D
_MIN_DEEPEST_PIXELS = 4  # that pooling leaves along an axis, as in nnU-Net
_COARSE_RATIO = 2.0  # of an axis's spacing to the finest, from which it is not pooled (nnU-Net)
_WIDE_DIAMETERS = 6.0  # object diameters to each side in the receptive field of few levels
_USUAL_DIAMETERS = 0.75  # and of the usual number of levels
_PATCH_DIAMETERS = 1.5  # object diameters that a patch should hold
_MAX_PATCH_PIXELS = {2: 256**2, 3: 32 * 96**2}
_MAX_PATCH_SIDE = {2: 256, 3: 192}
_CPU_PATCH_PIXELS = {2: 128**2, 3: 16 * 64**2}  # where a larger patch would take seconds a step
_ROWS_PER_PLANE = 3.0  # rows of a 3D patch to its planes, also where these lie as close


@dataclass(frozen=True)
class DataProperties:
    """What is known of the examples, per axis in the order ZYX or YX.

    ``ndim`` is 2 or 3; ``shapes`` are those of the frames, at least one; ``pixel_size`` is in
    any one unit, None where unknown. In pixels, ``object_diameter`` is that of a disk or ball
    as large as a typical object, ``object_extents`` are the median sides of its bounding box.
    """

    ndim: int
    shapes: tuple[Sizes, ...]
    pixel_size: tuple[float | None, ...] | None = None
    object_diameter: float | None = None
    object_extents: tuple[float, ...] | None = None

    @property
    def lengths(self) -> Sizes:
        """Pixels per axis, the longest of all frames."""
        return tuple(map(max, zip(*self.shapes, strict=True)))

    @property
    def spacing(self) -> tuple[float, ...]:
        """Relative distance of pixels per axis: by their size, else by the objects' extents."""
        size = tuple(s for s in self.pixel_size or () if s is not None and 0 < s < math.inf)
        if len(size) == self.ndim:
            return size
        if self.ndim == 3 and self.object_extents:
            # rows and columns of a camera lie alike, and planes hardly ever closer than they
            z, y, x = self.object_extents
            return (max(1.0, math.sqrt(y * x) / z), 1.0, 1.0)
        return (1.0,) * self.ndim

    @property
    def extents(self) -> tuple[float, ...] | None:
        """Pixels per axis of a typical object, measured or those of a ball; None: unknown."""
        extents = self.object_extents
        if not extents and self.object_diameter is not None:
            across = self.object_diameter * math.prod(self.spacing) ** (1 / self.ndim)
            extents = tuple(across / s for s in self.spacing)
        return tuple(map(min, extents, self.lengths)) if extents else None


@dataclass(frozen=True)
class Proposal:
    """Architecture as in `UNetConfig`, patch and diameter in pixels, and sentences that say why."""

    features: Sizes
    strides: Strides
    patch: Sizes
    object_diameter: float | None
    reasons: tuple[str, ...]


def propose_architecture(
    properties: DataProperties,
    *,
    features: Sizes | None = None,
    strides: Strides | None = None,
    patch: Sizes | None = None,
    for_cpu: bool = False,
) -> Proposal:
    """Propose what is not given (None or empty); a given patch is raised to a pooling multiple.

    An axis is pooled while it has 8 pixels and is sampled less than twice as coarsely as the
    finest: the rule of nnU-Net (Isensee et al. 2021). Levels, 16 channels and doubling: five in
    2D, three in 3D; fewer if these see six object diameters to each side, a fourth in 3D if
    three see less than about one. Each of the steps in 3D that leaves out z, since it is short
    or coarse, allows one more level for the plane, up to five. A patch holds an object with its
    surroundings, within the image and what a CPU trains on in minutes; short or coarse axes
    leave room for others. With ``for_cpu``, which is for a CPU, it is no larger than objects
    need, from 128 x 128 pixels (3D: 16 x 64 x 64) on: see docs/results/training.md.

    Raises
    ------
    SettingsError
        If given values do not fit one another or the number of axes.

    Examples
    --------
    >>> proposal = propose_architecture(
    ...     DataProperties(3, ((24, 512, 512),), (1.0, 0.25, 0.25), 16.0)
    ... )
    >>> proposal.features, proposal.strides, proposal.patch
    ((16, 32, 64), ((1, 2, 2), (1, 2, 2)), (24, 108, 108))
    >>> proposal.reasons[1]
    'Axis z, sampled 4 times as coarsely as the finest axis, is pooled in 0 of 2 steps.'
    """
    if patch and (len(patch) != properties.ndim or min(patch) < 1):
        raise SettingsError(
            f"⟨patch⟩ {patch} does not suit the data",
            f"give {properties.ndim} sizes >= 1",
            parameter="patch",
            value=patch,
        )
    lengths = tuple(map(min, properties.lengths, patch or properties.lengths))
    try:
        config = _choose_levels(properties, lengths, features, strides)
    except ValidationError as error:
        raise describe_validation(error) from None
    size = (
        _round_up(patch, config.stride)
        if patch
        else _choose_patch(properties, config.stride, for_cpu)
    )
    diameter = properties.object_diameter
    if diameter is None and properties.extents:
        diameter = round(math.prod(properties.extents) ** (1 / properties.ndim), 2)
    why = _explain(properties, config, size)
    return Proposal(config.features, config.strides, size, diameter, why)


def _choose_levels(
    properties: DataProperties, lengths: Sizes, features: Sizes | None, strides: Strides | None
) -> UNetConfig:
    def make(levels: int) -> UNetConfig:
        steps = strides or _choose_strides(properties, lengths, levels - 1, fill=bool(features))
        widths = features or tuple(16 << level for level in range(len(steps) + 1))
        return UNetConfig.model_validate(
            {"ndim": properties.ndim, "features": widths, "strides": steps}
        )

    def sees(levels: int, diameters: float) -> bool:
        wanted = (
            min(diameters * e, n) for e, n in zip(properties.extents or (), lengths, strict=True)
        )
        return all(r >= w for r, w in zip(make(levels).receptive_field, wanted, strict=True))

    fewest, usual, most = _LEVELS[properties.ndim]
    extra = _planar_levels(properties, lengths, usual)
    if features or strides or not properties.extents:
        return make(len(features) if features else usual + extra)
    most = max(most, usual + extra)
    for levels in range(fewest, most):
        if sees(levels, _WIDE_DIAMETERS if levels < usual else _USUAL_DIAMETERS):
            return make(levels)
    return make(most)


def _planar_levels(properties: DataProperties, lengths: Sizes, usual: int) -> int:
    """Levels that the planes of a stack get for the steps in which z cannot be pooled.

    Else the few planes of a stack would limit what is seen within a plane as well.
    """
    if properties.ndim == 2:
        return 0
    steps = _choose_strides(properties, lengths, usual - 1, fill=False)
    planar = sum(z == 1 and max(plane) > 1 for z, *plane in steps)
    return min(planar, _MOST_PLANAR_LEVELS - usual)


def _choose_strides(
    properties: DataProperties, lengths: Sizes, count: int, *, fill: bool
) -> Strides:
    """At most ``count`` poolings; with ``fill`` as many, of short axes where none is longer."""
    spacing, left, strides = properties.spacing, lengths, []
    for _ in range(count):
        least = 2 if fill and max(left) < 2 * _MIN_DEEPEST_PIXELS else 2 * _MIN_DEEPEST_PIXELS
        long = [s for s, n in zip(spacing, left, strict=True) if n >= least]
        if not (long or fill):
            break
        limit = _COARSE_RATIO * min(long, default=0.0)
        stride = tuple(1 + (n >= least and s < limit) for n, s in zip(left, spacing, strict=True))
        spacing = tuple(a * s for a, s in zip(spacing, stride, strict=True))
        left = tuple(-(-n // s) for n, s in zip(left, stride, strict=True))
        strides.append(stride)
    return tuple(strides)


def _choose_patch(properties: DataProperties, stride: Sizes, for_cpu: bool) -> Sizes:
    longest, pixels = _MAX_PATCH_SIDE[properties.ndim], _MAX_PATCH_PIXELS[properties.ndim]
    if for_cpu:
        needed = (
            math.prod(_PATCH_DIAMETERS * e for e in properties.extents) if properties.extents else 0
        )
        pixels = min(pixels, max(_CPU_PATCH_PIXELS[properties.ndim], round(needed)))
    bounds = (max(s, longest // s * s) for s in stride)
    upper = tuple(map(min, _round_up(properties.lengths, stride), bounds))
    objects = _round_up(tuple(_PATCH_DIAMETERS * e for e in properties.extents or stride), stride)
    parts = [
        max(_ROWS_PER_PLANE, properties.spacing[0] / math.sqrt(math.prod(properties.spacing[1:]))),
        1.0,
        1.0,
    ]
    share = 1.0
    while math.prod(stride) < pixels:
        for side in range(longest, 0, -1):
            sizes = tuple(
                min(u, max(s, int(o * share) // s * s, int(side / p) // s * s))
                for u, s, o, p in zip(
                    upper, stride, objects, parts[-properties.ndim :], strict=True
                )
            )
            if math.prod(sizes) <= pixels:
                return sizes
        share *= 0.95  # objects too large for the bounds are shown in part
    return stride


def _explain(properties: DataProperties, config: UNetConfig, patch: Sizes) -> tuple[str, ...]:
    extents, steps = properties.extents, len(config.strides)
    objects = (
        f"a typical object is {_format_sizes(extents)} pixels"
        if extents
        else "objects: size unknown"
    )
    field = _format_sizes(config.receptive_field)
    seen = f"each pixel is judged by what lies within {field} pixels of it"
    sentences = [f"Levels: {steps + 1}; {seen}; {objects}."]
    for axis, name in enumerate("zyx"[-properties.ndim :]):
        pooled = sum(stride[axis] > 1 for stride in config.strides)
        ratio = properties.spacing[axis] / min(properties.spacing)
        coarse = f", sampled {ratio:.2g} times as coarsely as the finest axis,"
        why = coarse if ratio >= _COARSE_RATIO else f" of length {properties.lengths[axis]}"
        if pooled < steps:
            sentences.append(f"Axis {name}{why} is pooled in {pooled} of {steps} steps.")
    part = any(e > n for e, n in zip(extents or patch, patch, strict=True))
    shown = (
        "which show objects only in part"
        if part
        else f"multiples of {_format_sizes(config.stride)}"
    )
    return (*sentences, f"Patches are {_format_sizes(patch)} pixels, {shown}.")


def _round_up(sizes: tuple[float, ...], stride: Sizes) -> Sizes:
    return tuple(math.ceil(n / s) * s for n, s in zip(sizes, stride, strict=True))


def _format_sizes(sizes: tuple[float, ...]) -> str:
    return " × ".join(f"{round(n, 1):g}" for n in sizes)
