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


class FrozenModel(BaseModel):
    """Values that do not change, all of them known by name: what crosses a file or a form."""

    # JSON has no infinity and no NaN: they would be written as null and not be read again
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
    in_channels: int = Field(1, ge=1, description="Channels of the input image.")
    out_channels: int = Field(1, ge=1, description="Channels of the output.")
    features: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (16, 32, 64, 128, 256), min_length=1, description="Channels of each level."
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
            if isinstance(ndim, int) and isinstance(features, (tuple, list)):
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
        return self

    @property
    def stride(self) -> tuple[int, ...]:
        """Product of all strides per axis: the grid on which tiles must start."""
        return tuple(math.prod(s[axis] for s in self.strides) for axis in range(self.ndim))

    @property
    def receptive_field(self) -> tuple[int, ...]:
        """Farthest input pixel, in pixels per axis, that an output pixel depends on."""
        return tuple(self._radius(axis) for axis in range(self.ndim))

    @property
    def halo(self) -> tuple[int, ...]:
        """The receptive field rounded up to the stride: context that a tile needs."""
        pairs = zip(self.receptive_field, self.stride, strict=True)
        return tuple(-(-radius // stride) * stride for radius, stride in pairs)

    def _radius(self, axis: int) -> int:
        strides = [s[axis] for s in self.strides]

        def encoder(level: int, low: int, high: int) -> tuple[int, int]:
            low, high = low - 2, high + 2  # two 3-wide convolutions
            if level == 0:
                return low, high
            s = strides[level - 1]
            return encoder(level - 1, low * s, high * s + s - 1)

        def decoder(level: int, low: int, high: int) -> tuple[int, int]:
            if level == len(strides):
                return encoder(level, low, high)
            low, high = low - 2, high + 2
            s = strides[level]
            if self.upsampling == "linear":
                # centre i of the fine grid lies at (i + 1/2) / s - 1/2 of the coarse one
                below = (2 * low + 1 - s) // (2 * s), -(-(2 * high + 1 - s) // (2 * s))
            else:
                below = low // s, high // s
            skip, deep = encoder(level, low, high), decoder(level + 1, *below)
            return min(skip[0], deep[0]), max(skip[1], deep[1])

        spans = (decoder(0, p, p) for p in range(math.prod(strides)))
        return max(max(p - low, high - p) for p, (low, high) in enumerate(spans))
