"""Settings of a prediction and of a training: one model each for API, form, file and log."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypedDict, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from napari_unet.card import (
    MAX_OBJECT_PIXELS,
    ClassInfo,
    Decoding,
    Normalization,
    Task,
    distinct_values,
)
from napari_unet.errors import SettingsError, describe_validation
from napari_unet.unet_config import MAX_LEVELS, Channels, bounded_strides

DEFAULT_MINUTES = 10.0  # of a training for which neither minutes nor steps are given


def _known_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", name, re.ASCII):
        raise ValueError("a device is 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'")
    return name


Size = Annotated[int, Field(ge=1, lt=2**31)]
Stride = Annotated[int, Field(ge=1, le=8)]
Device = Annotated[str, AfterValidator(_known_device)]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Threads = Literal["auto"] | Annotated[int, Field(ge=1, le=1024)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SegmentSettings(_Settings):
    """How an image is predicted and its scores are decoded.

    Fields that are None take the value of the model's card.

    Examples
    --------
    >>> SegmentSettings(tile=256).tile
    256
    """

    tile: Literal["auto"] | Size | tuple[Size, ...] = Field(
        "auto",
        description="Pixels that a tile writes: automatic, one number, or one per spatial axis.",
    )
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:1 or mps.")
    precision: Precision = Field(
        "auto", description="Number format of the network; auto: by device and network."
    )
    threads: Threads = Field(
        "auto",
        description="Threads of the network on a CPU; auto: all. Tiles run side by side on them.",
    )
    normalization: Normalization | None = Field(
        None, description="How intensities are normalised; empty: as the model was trained."
    )
    invert: bool = Field(
        default=False,
        description="For dark objects on a bright background: the negative of the image is "
        "normalised and predicted.",
    )
    threshold: float | None = Field(
        None, gt=0, lt=1, description="Foreground probability from which a pixel is an object's."
    )
    split_depth: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="How far the map that parts objects (relative distance to their boundary, or "
        "interior) must dip between two that touch; lower splits more.",
    )
    min_size: int | None = Field(
        None, ge=0, le=MAX_OBJECT_PIXELS, description="Objects with fewer pixels are removed."
    )
    smoothing: float | None = Field(
        None,
        ge=0,
        le=20,
        description="Sigma in pixels of a Gaussian over the scores before objects are split; "
        "0: none.",
    )
    shape_radius: float | None = Field(
        None,
        ge=0,
        le=200,
        description="Split touching objects where their common outline narrows: about the radius "
        "in pixels of one object; 0: split them where the model sees boundaries.",
    )
    object_diameter: float | None = Field(
        None,
        gt=0,
        description="Typical diameter of the objects in pixels of this image; the image is "
        "resampled so that it suits the model.",
    )
    volume_mode: Literal["auto", "slices", "linked"] = Field(
        "auto",
        description="Planes of a stack with a 2D model: separate objects, or linked through z "
        "(auto for instances).",
    )
    link_overlap: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the smaller of two objects in neighbouring planes that must lie in "
        "the other for them to be linked.",
    )
    flips: bool = Field(
        default=False,
        description="Average over all flips of each tile: slower, often a little better.",
    )

    @field_validator("tile", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class TrainConfig(_Settings):
    """What is trained, for how long, and how.

    Examples
    --------
    >>> TrainConfig(task="instance", steps=100).batch_size
    8
    """

    task: Task = Field("instance", description="Objects, classes of pixels, or values.")
    classes: tuple[ClassInfo, ...] = Field(
        (), description="Semantic classes; empty: one for each value in the labels."
    )
    name: str = Field(
        "my-model",
        min_length=1,
        pattern=r"^[^/\\]+$",  # as in the card: it is a file's name as well
        description="Name of the new model, without / and \\.",
    )
    description: str = Field("", description="One sentence for the model's card.")
    ndim: Literal["auto"] | Annotated[int, Field(ge=2, le=3)] = Field(
        "auto",
        description="Spatial axes of a new network; auto: 3 for stacks of 8 planes or more, "
        "2 for classes in fewer than 16 wide planes.",
    )
    minutes: float | None = Field(
        None, gt=0, description="Time budget, validation included; empty: the steps decide."
    )
    steps: int | None = Field(None, ge=1, description="Number of steps; empty: the minutes decide.")
    patch: tuple[Size, ...] | None = Field(
        None, description="Size of the training patches per spatial axis; empty: from the data."
    )
    batch_size: int = Field(8, ge=1, le=512, description="Patches in a step.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Peak learning rate of AdamW.")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="Weight decay of AdamW.")
    augmentation: Literal["none", "light", "standard", "strong"] = Field(
        "standard",
        description="How much the patches are varied; for a regression only by flips and turns.",
    )
    validation_fraction: float = Field(
        0.15,
        ge=0,
        le=0.5,
        description="Share of the examples held out where no validation examples are given.",
    )
    validation_every: int | None = Field(
        None,
        ge=1,
        description="Steps between validations; empty: about ten, 20 steps apart or more.",
    )
    normalization: Normalization = Field(
        default_factory=Normalization, description="How intensities are normalised."
    )
    features: tuple[Channels, ...] = Field(
        (),
        max_length=MAX_LEVELS,
        description="Channels per level of a new network; empty: from the data.",
    )
    strides: tuple[tuple[Stride, ...], ...] = Field(
        (), description="Pooling per level and axis of a new network; empty: from the data."
    )
    norm: Literal["auto", "batch", "instance", "group", "none"] = Field(
        "auto",
        description="Normalisation layer of a new network; auto: batch, but none for regression.",
    )
    upsampling: Literal["nearest", "linear", "transposed"] = Field(
        "nearest", description="Up-sampling of a new network."
    )
    statistics: Literal["auto", "settled", "frozen", "running"] = Field(
        "auto",
        description="Batch norm: statistics measured anew over many patches before each use "
        "(settled), those of the base model (frozen), or a running mean.",
    )
    start: Literal["auto", "base", "scratch"] = Field(
        "auto",
        description="With a base model: go on from it (base), or train a new network (scratch); "
        "auto: a new network where the base finds next to nothing of the labelled objects.",
    )
    keep_base: bool = Field(
        default=False,
        description="With a base model: keep what it could do, by learning again from the sample "
        "of its own training images that its file carries.",
    )
    match_size: bool = Field(
        default=False,
        description="With a base model of objects: learn, and predict later, at the size at which "
        "the base knows its objects; helps most where time is short.",
    )
    representation: Literal["auto", "distance", "boundary"] = Field(
        "auto",
        description="Instances: what parts objects that touch, their depth (distance) or the line "
        "between them (boundary), for dense tissue; auto: as the base model, else the boundary "
        "where labels leave next to no background.",
    )
    border_weight: float = Field(
        4.0,
        ge=0,
        le=100,
        description="Instances: further weight of the pixels where two objects touch.",
    )
    loss: Literal["auto", "mse", "mae"] = Field(
        "auto", description="Regression: mean squared or mean absolute error (auto: mae)."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of everything random.")
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:1 or mps.")
    precision: Precision = Field(
        "auto",
        description="Number format of the forward pass; auto: bfloat16 where the device is made "
        "for it and a trial step is close to float32.",
    )
    threads: Threads = Field(
        "auto",
        description="Threads of the network on a CPU; auto: all. Parts of a batch run side by side "
        "on them, so that trainings on another number differ.",
    )

    @field_validator("patch", "features", "strides", "classes", mode="before")
    @classmethod
    def _lists_to_tuples(cls, value: Any) -> Any:
        if isinstance(value, list):
            return tuple(tuple(v) if isinstance(v, list) else v for v in value)
        return value

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: tuple[ClassInfo, ...]) -> tuple[ClassInfo, ...]:
        return distinct_values(classes)

    @field_validator("strides")
    @classmethod
    def _bounded(cls, strides: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        return bounded_strides(strides)

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        if self.minutes is not None and self.steps is not None:
            raise ValueError("give minutes or steps, not both")
        return self


class SegmentOverrides(TypedDict, total=False):
    """Single fields of `SegmentSettings` as keywords, for type checkers and editors."""

    tile: Literal["auto"] | int | Sequence[int]
    device: str
    precision: Precision
    threads: Literal["auto"] | int
    normalization: Normalization | Mapping[str, Any] | None
    invert: bool
    threshold: float | None
    split_depth: float | None
    min_size: int | None
    smoothing: float | None
    shape_radius: float | None
    object_diameter: float | None
    volume_mode: Literal["auto", "slices", "linked"]
    link_overlap: float
    flips: bool


class TrainOverrides(TypedDict, total=False):
    """Single fields of `TrainConfig` as keywords, for type checkers and editors."""

    task: Task
    classes: Sequence[ClassInfo]
    name: str
    description: str
    ndim: Literal["auto"] | int
    minutes: float | None
    steps: int | None
    patch: Sequence[int] | None
    batch_size: int
    learning_rate: float
    weight_decay: float
    augmentation: Literal["none", "light", "standard", "strong"]
    validation_fraction: float
    validation_every: int | None
    normalization: Normalization | Mapping[str, Any]
    features: Sequence[int]
    strides: Sequence[Sequence[int]]
    norm: Literal["auto", "batch", "instance", "group", "none"]
    upsampling: Literal["nearest", "linear", "transposed"]
    statistics: Literal["auto", "settled", "frozen", "running"]
    start: Literal["auto", "base", "scratch"]
    keep_base: bool
    match_size: bool
    representation: Literal["auto", "distance", "boundary"]
    border_weight: float
    loss: Literal["auto", "mse", "mae"]
    seed: int
    device: str
    precision: Precision
    threads: Literal["auto"] | int


DECODING_FIELDS = {*Decoding.model_fields, "volume_mode", "link_overlap"}
"""Settings that do not change the scores, only what becomes of them."""

S = TypeVar("S", SegmentSettings, TrainConfig)


def resolve(kind: type[S], settings: S | None, overrides: Mapping[str, Any]) -> S:
    """Settings with overrides applied.

    Raises
    ------
    SettingsError
        If a name is unknown or a value out of bounds; all faults in one sentence.

    Examples
    --------
    >>> resolve(SegmentSettings, None, {"tile": 64}).tile
    64
    """
    if settings is not None and not isinstance(settings, kind):
        raise SettingsError(
            f"settings is a {type(settings).__name__}",
            f"give a {kind.__name__}, or its fields as keyword arguments",
        )
    values = (
        {} if settings is None else {n: getattr(settings, n) for n in settings.model_fields_set}
    )
    unknown = sorted(set(overrides) - set(kind.model_fields))
    if unknown:
        raise SettingsError(
            f"There is no setting {', '.join(map(repr, unknown))}",
            f"the settings are {', '.join(kind.model_fields)}",
            parameter=unknown[0],
        )
    try:
        return kind.model_validate({**values, **overrides})
    except ValidationError as error:
        raise describe_validation(error) from None


def fill_decoding(settings: SegmentSettings, decoding: Decoding) -> SegmentSettings:
    """Settings whose empty decoding fields are taken from a card.

    >>> fill_decoding(SegmentSettings(min_size=9), Decoding()).min_size
    9
    """
    fill = {
        name: getattr(decoding, name)
        for name in Decoding.model_fields
        if getattr(settings, name) is None
    }
    return settings.model_copy(update=fill)


def decoding_of(settings: SegmentSettings) -> Decoding:
    """The decoding fields of settings in which none is empty.

    >>> decoding_of(fill_decoding(SegmentSettings(min_size=9), Decoding()))
    Decoding(threshold=0.5, split_depth=0.15, min_size=9, smoothing=0.0, shape_radius=0.0)
    """
    return Decoding.model_validate(
        {name: getattr(settings, name) for name in Decoding.model_fields}
    )
