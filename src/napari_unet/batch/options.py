"""What a batch writes, where, and under which names."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from napari_unet.errors import InputError, describe_validation

Kind = Literal["labels", "scores", "measurements", "overlay"]
KINDS: tuple[Kind, ...] = ("labels", "scores", "measurements", "overlay")
FORMATS = ("tif", "ome.tif", "zarr")
NAME = "{name}_{kind}"
PLACES = ("name", "kind", "model", "folder")
"""What a template of names can hold."""


class BatchOptions(BaseModel):
    """What is written of each file, where, and when one counts as finished.

    Examples
    --------
    >>> BatchOptions(write=["labels", "measurements"]).write
    ('labels', 'measurements')
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    write: tuple[Kind, ...] = Field(
        ("labels",), description="What is written: labels, scores, measurements, overlay."
    )
    export: tuple[str, ...] = Field(
        (), description="Further formats of the labels, by their endings, such as geojson."
    )
    file_format: Literal["tif", "ome.tif", "zarr"] = Field(
        "tif", description="Format of labels and scores."
    )
    name: str = Field(
        NAME,
        description="Names of the results, of {name} (of the image), {kind} (labels, scores ...), "
        "{model} and {folder} (of the image, below the folder that was named).",
    )
    overwrite: bool = Field(
        default=False,
        description="Run every file again, and replace what is there, also what was changed since "
        "by hand.",
    )
    check: Literal["time", "hash"] = Field(
        "time",
        description="How an input is known again: by its size, time and metadata, or by a hash of "
        "all of it.",
    )

    @field_validator("write", "export", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        return tuple(value) if isinstance(value, list | tuple | set) else value

    @field_validator("write")
    @classmethod
    def _in_order(cls, value: tuple[Kind, ...]) -> tuple[Kind, ...]:
        return tuple(kind for kind in KINDS if kind in value)

    @field_validator("export")
    @classmethod
    def _plain_endings(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(ending.lower().lstrip(".") for ending in value))

    @field_validator("name")
    @classmethod
    def _known_places(cls, value: str) -> str:
        try:
            places = {place for _, place, _, _ in string.Formatter().parse(value) if place}
        except ValueError as error:
            raise ValueError(f"the template cannot be read ({error})") from None
        unknown = sorted(places - set(PLACES))
        if unknown:
            known = ", ".join(f"{{{place}}}" for place in PLACES)
            raise ValueError(f"{{{unknown[0]}}} is unknown; there are {known}")
        if "name" not in places:
            raise ValueError("{name} is missing, without which all images have one result")
        if ".." in value.replace("\\", "/").split("/") or value.startswith(("/", "\\")):
            raise ValueError("it must not lead out of the folder of the results")
        return value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.write and not self.export:
            raise ValueError("nothing is to be written: choose labels, scores or another result")
        several = len(self.write) + bool(self.export) > 1
        if several and "{kind}" not in self.name:
            raise ValueError("several results need {kind} in the template of their names")
        return self

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> BatchOptions:
        """The options of some values.

        Raises
        ------
        SettingsError
            All that is wrong in one sentence.
        """
        given = values.get("file_format", "tif")
        if given not in FORMATS:
            raise InputError(
                f"⟨file_format⟩ {given!r} is unknown",
                f"choose one of {', '.join(FORMATS)}",
                parameter="file_format",
                value=given,
            )
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise describe_validation(error) from None
