"""The architecture of a U-Net in numbers: levels, strides, receptive field and halo."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

# No network in use comes near these bounds; beyond them a file of a few kilobytes, or a slip of
# the keyboard, would ask for hours or for more memory than there is.
MAX_LEVELS = 10
MAX_CHANNELS = 4096
MAX_STRIDE = 256  # pixels of an axis that one pixel of the deepest level stands for
MAX_STRIDE_PIXELS = 1 << 16  # of all axes together: what the smallest image is padded to

Channels = Annotated[int, Field(ge=1, le=MAX_CHANNELS)]


class FrozenModel(BaseModel):
    """Values that do not change, all of them known by name: what crosses a file or a form."""

    # JSON has no infinity and no NaN: they would be written as null and not be read again
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def bounded_strides(strides: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """The strides, if they are not out of bounds together; else a ValueError for the validator."""
    pooled = tuple(map(math.prod, zip(*strides, strict=False)))
    if max(pooled, default=1) > MAX_STRIDE or math.prod(pooled) > MAX_STRIDE_PIXELS:
        raise ValueError(
            f"the strides come to {pooled} pixels, more than {MAX_STRIDE} along an axis or "
            f"{MAX_STRIDE_PIXELS} in all"
        )
    return strides


class UNetConfig(FrozenModel):
    """The architecture of a U-Net (Ronneberger et al. 2015; 3D: Cicek et al. 2016).

    ``features[i]`` are the channels of level ``i``; ``strides[i]`` is the pooling between
    the levels ``i`` and ``i + 1``, one integer per spatial axis (ZYX or YX order).

    Examples
    --------
    >>> config = UNetConfig(ndim=2, features=(8, 16, 32))
    >>> config.stride, config.receptive_field, config.halo
    ((4, 4), (23, 23), (24, 24))
    >>> UNetConfig(ndim=3, features=(8, 16), strides=((1, 2, 2),)).stride
    (1, 2, 2)
    """

    ndim: Literal[2, 3] = Field(2, description="Number of spatial axes.")
    in_channels: Channels = Field(1, description="Channels of the input image.")
    out_channels: Channels = Field(1, description="Channels of the output.")
    features: tuple[Channels, ...] = Field(
        (16, 32, 64, 128, 256),
        min_length=1,
        max_length=MAX_LEVELS,
        description="Channels of each level.",
    )
    strides: tuple[tuple[Annotated[int, Field(ge=1, le=8)], ...], ...] = Field(
        (), description="Pooling between the levels, one integer per axis; empty: 2 everywhere."
    )
    norm: Literal["batch", "instance", "group", "none"] = Field(
        "batch", description="Normalisation layer after each convolution."
    )
    upsampling: Literal["nearest", "linear", "transposed"] = Field(
        "nearest", description="How the decoder raises the resolution."
    )

    @model_validator(mode="before")
    @classmethod
    def _default_strides(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("strides"):
            ndim = data.get("ndim", 2)
            features = data.get("features", (16, 32, 64, 128, 256))
            given = isinstance(features, (tuple, list)) and len(features) <= MAX_LEVELS
            if ndim in (2, 3) and given:
                data = {**data, "strides": ((2,) * ndim,) * (len(features) - 1)}
        return data

    @model_validator(mode="after")
    def _matching_strides(self) -> Self:
        if len(self.strides) != len(self.features) - 1:
            raise ValueError(
                f"{len(self.features)} levels need {len(self.features) - 1} strides, "
                f"not {len(self.strides)}"
            )
        if any(len(stride) != self.ndim for stride in self.strides):
            raise ValueError(f"every stride needs {self.ndim} integers: {self.strides}")
        bounded_strides(self.strides)
        return self

    @property
    def stride(self) -> tuple[int, ...]:
        """Product of all strides per axis: the grid on which tiles must start."""
        return tuple(math.prod(s[axis] for s in self.strides) for axis in range(self.ndim))

    @property
    def receptive_field(self) -> tuple[int, ...]:
        """Radius: pixels to each side, per axis, that an output pixel depends on."""
        return tuple(self._radius(axis) for axis in range(self.ndim))

    @property
    def halo(self) -> tuple[int, ...]:
        """The receptive field rounded up to the stride: context that a tile needs."""
        pairs = zip(self.receptive_field, self.stride, strict=True)
        return tuple(-(-radius // stride) * stride for radius, stride in pairs)

    @property
    def widest_channels(self) -> float:
        """Channels of the level that takes the most memory, per pixel of the image."""
        width, pixels = float(self.out_channels), 1
        for level, channels in enumerate(self.features):
            pixels *= math.prod(self.strides[level - 1]) if level else 1
            width = max(width, channels / pixels)
        return width

    def _radius(self, axis: int) -> int:
        """Reach of an output pixel through the deepest level, which no shorter way exceeds.

        A pixel of level l is ``step`` pixels of the image wide. The two 3-wide convolutions of a
        block reach 2 pixels of their level to each side, in the encoder and, above the deepest
        level, in the decoder; linear interpolation reaches up to half a stride further. The
        blocks of pixels that pooling makes add what a pixel can lie away from its block's end.
        """
        reach, step = 2, 1
        for each in self.strides:
            interpolated = each[axis] // 2 if self.upsampling == "linear" else 0
            reach += (2 + interpolated) * step
            step *= each[axis]
            reach += 2 * step
        return reach + step - 1
