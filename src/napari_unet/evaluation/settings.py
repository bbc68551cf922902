"""How predictions are evaluated: one model for API, form, command line and record."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_unet.metrics import bootstrap


class EvaluationSettings(BaseModel):
    """How images are evaluated.

    Examples
    --------
    >>> EvaluationSettings(ignore=255).task
    'instance'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: Literal["instance", "semantic", "regression"] = Field(
        "instance",
        description="What is compared: objects, classes, or values.",
    )
    ignore: int | None = Field(
        None,
        ge=-(2**31),
        lt=2**32,
        description="Label of the truth whose pixels do not count; empty: all count.",
    )
    components: bool = Field(
        default=False,
        description="Make an object of each connected region first, as of a mask of 0 and 255.",
    )
    outline_iou: float = Field(
        0.7,
        ge=0.5,
        le=1,
        description="Overlap (IoU) of a found object with the true one below which its outline is "
        "called bad.",
    )
    confidence: float = Field(
        bootstrap.CONFIDENCE,
        gt=0,
        lt=1,
        description="Of the intervals: share of the resamples that lie in them.",
    )
    resamples: int = Field(
        bootstrap.RESAMPLES,
        ge=bootstrap.LEAST_RESAMPLES,
        le=100_000,
        description="How many sets of images are drawn for the intervals.",
    )
    seed: int = Field(bootstrap.SEED, ge=0, lt=2**32, description="Of these draws.")
