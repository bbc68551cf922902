"""What a model says of itself: the card in the header of its file.

Nothing here needs torch, so cards are listed without importing it.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from napari_unet.errors import ModelError
from napari_unet.unet_config import FrozenModel, UNetConfig

FORMAT_VERSION = 1

MAX_CARD_DEPTH = 32  # lists and objects within one another
MAX_CARD_INTEGER = 2**63 - 1
MAX_OBJECT_PIXELS = 2**31 - 1
MAX_INTENSITY = 1e30  # float32 ends at 3e38, and differences must fit too

COLOUR_CHANNELS = ("red", "green", "blue")

Task = Literal["instance", "semantic", "regression"]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
Intensity = Annotated[float, Field(ge=-MAX_INTENSITY, le=MAX_INTENSITY)]


class Normalization(FrozenModel):
    """How intensities are brought to a common range before the network.

    ``percentile`` maps the two percentiles of each channel to 0 and 1; ``range`` maps the
    given ``limits`` to 0 and 1; ``none`` leaves the values as they are.
    """

    mode: Literal["percentile", "range", "none"] = Field(
        "percentile", description="Map percentiles, or a fixed range, to 0..1; or change nothing."
    )
    lower: float = Field(1.0, ge=0, le=100, description="Percentile that becomes 0.")
    upper: float = Field(99.8, ge=0, le=100, description="Percentile that becomes 1.")
    scope: Literal["image", "time", "plane"] = Field(
        "image", description="Limits for the whole image, for each time point, or for each plane."
    )
    limits: tuple[tuple[Intensity, Intensity], ...] | None = Field(
        None, description="For mode 'range': (low, high) of each channel, or one pair for all."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.mode == "percentile" and not self.lower < self.upper:
            raise ValueError(f"lower percentile {self.lower} must be below upper {self.upper}")
        if (self.mode == "range") != (self.limits is not None):
            raise ValueError("limits are given for mode 'range', and only for it")
        for low, high in self.limits or ():
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ValueError(f"limits must be finite with low < high, not ({low}, {high})")
        return self


class ClassInfo(FrozenModel):
    """One class of a semantic model, or the objects of an instance model."""

    value: int = Field(ge=0, le=65535, description="Value in the label image.")
    name: str = Field(min_length=1)
    colour: Colour = "#ffffff"


def distinct_values(classes: tuple[ClassInfo, ...]) -> tuple[ClassInfo, ...]:
    """The classes, if no two share a label value; else a ValueError for the validator."""
    if len({c.value for c in classes}) != len(classes):
        raise ValueError("two classes have the same label value")
    return classes


class InstanceRepresentation(FrozenModel):
    """Which maps the network learned; `napari_unet.instances.maps` knows each name and version."""

    name: str = "foreground-distance"
    version: int = 1


class Decoding(FrozenModel):
    """Default settings that turn scores into instance labels."""

    threshold: float = Field(0.5, gt=0, lt=1)
    split_depth: float = Field(0.15, gt=0, lt=1)
    min_size: int = Field(0, ge=0, le=MAX_OBJECT_PIXELS)
    smoothing: float = Field(0.0, ge=0, le=20)
    shape_radius: float = Field(0.0, ge=0, le=200)


class TrainingRecord(FrozenModel):
    """Where the weights came from.

    ``start`` says why they began with those of the base, or did not; None: there was nothing to
    decide.
    """

    base: str | None = None
    base_sha256: str | None = None
    start: str | None = None
    examples: int = Field(ge=0)
    labelled_pixels: int = Field(ge=0)
    data_sha256: str
    steps: int = Field(ge=0)
    seconds: float = Field(ge=0)
    seed: int
    versions: dict[str, str]
    config: dict[str, Any] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _leave_out_unknown(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # as in `ScoreRecord`
        values: dict[str, Any] = handler(self)
        return {k: v for k, v in values.items() if v is not None or k != "start"}


class ScoreRecord(FrozenModel):
    """Measured scores and the data they were measured on.

    ``model`` names another model, such as the base, that was scored on the same data;
    None: the model of the card. ``count`` is how many objects or pixels (``unit``) the scores
    were measured on; None where that is not recorded.
    """

    data: str
    images: int = Field(ge=1)
    values: dict[str, float]
    model: str | None = None
    count: int | None = Field(None, ge=0)
    unit: Literal["object", "pixel"] | None = None

    @model_serializer(mode="wrap")
    def _leave_out_unknown(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # cards of before these fields keep their bytes when a model is copied
        values: dict[str, Any] = handler(self)
        return {k: v for k, v in values.items() if v is not None or k not in ("count", "unit")}


Ranges = tuple[tuple[Intensity, Intensity], ...]


class IntensityDomain(FrozenModel):
    """Normalised intensities of the training images: lowest and highest, of each channel.

    ``background`` is the 10th percentile of an image's pixels, ``median`` the 50th.
    """

    background: Ranges
    median: Ranges


class ModelCard(FrozenModel):
    """Everything that is known of a model besides its weights.

    It stands as JSON in the header of the model's file. Frozen: `model_copy` gives a changed
    one. What does not fit raises pydantic's ValidationError.

    Attributes
    ----------
    task : {"instance", "semantic", "regression"}
        Whether the output stands for objects, classes or values.
    axes, channels
        Axes of the network's input, "CYX" or "CZYX", and the names of its channels.
    classes : tuple of ClassInfo
        Value, name and colour, in the order of the outputs (semantic).
    pixel_size, object_diameter
        Micrometres per spatial axis (ZYX or YX), and pixels; None: unknown.
    architecture, normalization, decoding
        The network, the intensities before it, the default settings behind it.
    training, scores
        Where the weights came from, and what was measured on which data.

    Examples
    --------
    >>> card = ModelCard(
    ...     name="cells",
    ...     task="semantic",
    ...     axes="CYX",
    ...     channels=("membrane",),
    ...     classes=(ClassInfo(value=0, name="background"), ClassInfo(value=1, name="cell")),
    ...     architecture=UNetConfig(out_channels=2, features=(8, 16)),
    ... )
    >>> card.exact_tiling, card.architecture.halo, card.pixel_size
    (True, (10, 10), None)
    """

    format_version: int = FORMAT_VERSION
    name: str = Field(min_length=1, pattern=r"^[^/\\]+$")
    description: str = ""
    task: Task
    axes: str = Field(description="Axes of the network's input without the batch, as 'CYX'.")
    channels: tuple[str, ...] = Field(description="Names of the input channels, in order.")
    classes: tuple[ClassInfo, ...] = ()
    instances: InstanceRepresentation | None = None
    decoding: Decoding = Decoding()
    pixel_size: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="Of the training images in `unit`, ZYX or YX; None: unknown."
    )
    unit: Literal["micrometer"] = "micrometer"
    object_diameter: float | None = Field(
        None, gt=0, description="Median diameter of the training objects in pixels."
    )
    image_diameter: float | None = Field(
        None,
        gt=0,
        description="Diameter of the objects in images as they come, in pixels, where the network "
        "sees them at `object_diameter`; None: it sees images as they are.",
    )
    normalization: Normalization = Normalization()
    output_limits: tuple[tuple[Intensity, Intensity], ...] | None = Field(
        None, description="Regression: values that the outputs 0 and 1 stand for, per channel."
    )
    domain: IntensityDomain | None = Field(
        None, description="What the training images have in common; None: not recorded."
    )
    architecture: UNetConfig
    training: TrainingRecord | None = None
    scores: tuple[ScoreRecord, ...] = ()
    thumbnail: str | None = Field(None, description="Small PNG, base64.")
    licence: str = ""
    authors: tuple[str, ...] = ()
    citation: str = ""

    @model_serializer(mode="wrap")
    def _leave_out_unknown(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # as in `ScoreRecord`
        values: dict[str, Any] = handler(self)
        later = ("domain", "image_diameter")
        return {k: v for k, v in values.items() if v is not None or k not in later}

    @field_validator("classes")
    @classmethod
    def _distinct(cls, classes: tuple[ClassInfo, ...]) -> tuple[ClassInfo, ...]:
        return distinct_values(classes)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        expected = "CZYX" if self.architecture.ndim == 3 else "CYX"
        if self.axes != expected:
            raise ValueError(
                f"axes are {self.axes!r}, a {len(expected) - 1}D network has {expected!r}"
            )
        if len(self.channels) != self.architecture.in_channels:
            raise ValueError(
                f"{len(self.channels)} channel names for {self.architecture.in_channels} channels"
            )
        if self.pixel_size is not None and len(self.pixel_size) != self.architecture.ndim:
            raise ValueError(f"pixel_size needs {self.architecture.ndim} values")
        if self.task == "semantic" and len(self.classes) != self.architecture.out_channels:
            raise ValueError(
                f"{len(self.classes)} classes for {self.architecture.out_channels} output channels"
            )
        if (self.task == "instance") != (self.instances is not None):
            raise ValueError("an instance model, and no other, names its instance representation")
        if self.normalization.limits and len(self.normalization.limits) not in (
            1,
            len(self.channels),
        ):
            raise ValueError(
                f"{len(self.normalization.limits)} normalisation limits for "
                f"{len(self.channels)} channels"
            )
        if self.output_limits and len(self.output_limits) != self.architecture.out_channels:
            raise ValueError(
                f"{len(self.output_limits)} output limits for "
                f"{self.architecture.out_channels} output channels"
            )
        return self

    @property
    def takes_colours(self) -> bool:
        """Whether the channels are red, green and blue, so that a grey image is each of them."""
        return tuple(name.casefold() for name in self.channels) == COLOUR_CHANNELS

    @property
    def exact_tiling(self) -> bool:
        """Whether tiled and whole prediction are equal; else tiles are blended."""
        return self.architecture.norm in ("batch", "none")


def parse_card(text: str, source: str) -> ModelCard:
    """Read a card from its JSON text.

    Parameters
    ----------
    text : str
        The value of the header key ``napari_unet.card``.
    source : str
        Name of the file, for messages.

    Raises
    ------
    ModelError
        If the card was made by a newer version or is damaged.
    """
    import json

    try:
        data = json.loads(text)
        _check_bounds(data)
        version = data["format_version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ModelError(
            f"The model card in {source} is damaged", "get a fresh copy of the file"
        ) from None
    if type(version) is not int or version < 1:
        raise ModelError(
            f"The model card in {source} is damaged: its format_version is {version!r}",
            "get a fresh copy of the file",
        )
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{source} has model format {version}, made by a newer version than this one "
            f"(which reads up to {FORMAT_VERSION})",
            "update napari-unet-torch",
        )
    try:
        return ModelCard.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "card"
        raise ModelError(
            f"The model card in {source} is damaged at {place!r} ({first['msg']})",
            "get a fresh copy of the file",
        ) from None


def _check_bounds(data: Any) -> None:
    """Raise ValueError for values that are nested deeper, or are larger, than a card's can be."""
    level = [data]
    for _ in range(MAX_CARD_DEPTH):
        if any(isinstance(value, int) and abs(value) > MAX_CARD_INTEGER for value in level):
            raise ValueError("an integer is too large")
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise ValueError("values are nested too deeply")


PALETTE = ("#000000", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00")
