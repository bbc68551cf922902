"""What a record names: images, labels and models, each found again and compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from napari_unet.axes import check_axes
from napari_unet.errors import InputError, ModelError
from napari_unet.image.given import Given
from napari_unet.image.identity import differ, identify
from napari_unet.io import ImageFile, read_image
from napari_unet.io.zarr_files import level_paths
from napari_unet.network.files import file_sha256, find_model, model_files
from napari_unet.network.model import Model

SHOWN_HASH = 12  # characters of a hash that are told


class Part(BaseModel):
    """A part of a record; what a later version has added is left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ArrayReference(Part):
    """An array: where it is from, and what identifies it.

    Attributes
    ----------
    path : str or None
        Its file, or the folder of a zarr image; None: it was in memory only.
    scene, channel, level : int or None
        Which image of the file, which place along its axis C, which level of its pyramid.
    shape, dtype, sha256, hashed
        As `napari_unet.image.identity.identify` gives them.
    as_labels : bool
        Whether the numbers count as they are stored.
    """

    path: str | None = None
    scene: int | str | None = None
    channel: int | None = None
    level: int | None = None
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    sha256: str | None = None
    hashed: str = "all"
    as_labels: bool = False

    @property
    def is_whole_file(self) -> bool:
        """Whether a file's path alone names it."""
        return self.path is not None and self.channel is None and not self.level

    def open(self, *, check: bool = True) -> Given:
        """The array, and what its file says of it.

        Raises
        ------
        FileError
            If the file cannot be read.
        InputError
            If it is in no file, or other pixels are found there than were recorded.
        """
        if self.path is None:
            raise InputError(
                "The image of the record was in memory, and in no file",
                "give it with ⟨input⟩",
                parameter="input",
            )
        file = read_image(_level(self.path, self.level), scene=self.scene, as_labels=self.as_labels)
        given = _take_channel(file, self.channel)
        given = self._squeezed(given)
        if check:
            wrong = differ(identify(given.array), self.model_dump()) if self.sha256 else ""
            if wrong:
                raise InputError(
                    f"{self.path} is not what the record was made of: {wrong}",
                    "bring the file back, or give it with ⟨input⟩ to run on it as it is now",
                    parameter="input",
                    value=self.path,
                )
        return given

    def _squeezed(self, given: Given) -> Given:
        """A viewer's reader may have left out axes of length 1."""
        array = given.array
        wanted, found = self.shape, tuple(int(n) for n in array.shape)
        if wanted is None or wanted == found or not isinstance(array, np.ndarray):
            return given
        if tuple(n for n in found if n > 1) != tuple(n for n in wanted if n > 1):
            return given
        axes = given.axes
        if axes is not None:
            axes = "".join(a for a, n in zip(axes, found, strict=True) if n > 1)
        fits = axes is not None and len(axes) == len(wanted)
        return Given(array.reshape(wanted), axes if fits else None, given.sizes, given.origin)


class ModelReference(Part):
    """A model: its name, its file as far as it had one, and the SHA-256 of the file."""

    name: str
    sha256: str | None = None
    path: str | None = None

    def load(self) -> Model:
        """The same model.

        Raises
        ------
        ModelError
            If there is none, or only another one of that name.
        """
        return Model.load(self.find())

    def find(self) -> Path:
        """Its file: at its path or under its name, else whatever model here has its hash.

        Raises
        ------
        ModelError
            If there is none, or only another one of that name.
        """
        others: list[tuple[Path, str]] = []
        for source in filter(None, (self.path, self.name)):
            try:
                path = find_model(Path(source) if source == self.path else source)
            except ModelError:
                continue
            found = file_sha256(path)
            if self.sha256 is None or found == self.sha256:
                return path
            others.append((path, found))
        for path in model_files().values():
            if self.sha256 is not None and file_sha256(path) == self.sha256:
                return path
        wanted = (self.sha256 or "")[:SHOWN_HASH]
        if not others:
            raise ModelError(
                f"The model {self.name!r} of the record is not here"
                + (f" (SHA-256 {wanted}…)" if wanted else ""),
                "copy its .safetensors file among your models (napari-unet models list), or train "
                "it again",
                parameter="model",
                value=self.name,
            )
        path, found = others[0]
        raise ModelError(
            f"The model {self.name!r} is another one than that of the record: the SHA-256 of "
            f"{path} is {found[:SHOWN_HASH]}…, that of the record {wanted}…",
            "bring back the model that made the record, or segment anew with the one that is here",
            parameter="model",
            value=self.name,
        )

    def find_to_choose(self) -> str | Path:
        """As `find`, but the name of a model that is known here, as lists of models show it."""
        path = self.find()
        known = {file.resolve(): name for name, file in model_files().items()}
        return known.get(path.resolve(), path)

    @property
    def source(self) -> str:
        """What `Model.load` takes: the name of a model that is known here, else its path."""
        known = model_files().get(self.name)
        if self.path is None or (known is not None and self._is(known)):
            return self.name
        return self.path

    def _is(self, path: Path) -> bool:
        """Whether a file is the model; another one can have the same name."""
        if self.path is not None and path.absolute() == Path(self.path).absolute():
            return True
        return self.sha256 is not None and file_sha256(path) == self.sha256


def describe_model(source: str | Path) -> dict[str, Any]:
    """A model for a record: its name, its file and its hash."""
    path = find_model(source)
    name = str(source) if str(source) in model_files() else path.stem
    return {"name": name, "sha256": file_sha256(path), "path": str(path.absolute())}


def _level(path: str, level: int | None) -> Path:
    if not level:
        return Path(path)
    paths = level_paths(Path(path))
    if level >= len(paths):
        raise InputError(
            f"{path} has no level {level} of a pyramid any more",
            "bring the file back, or give the image with ⟨input⟩",
            parameter="input",
        )
    return paths[level]


def _take_channel(file: ImageFile, channel: int | None) -> Given:
    from napari_unet.image.given import take_in

    given = take_in(file)
    if channel is None:
        return given
    axes = given.axes or ""
    if "C" not in axes or channel >= given.array.shape[axes.index("C")]:
        raise InputError(
            f"{file.path} has no channel {channel} any more",
            "bring the file back, or give the image with ⟨input⟩",
            parameter="input",
        )
    axis = axes.index("C")
    array = given.array
    if not isinstance(array, np.ndarray):
        import dask.array

        array = dask.array.from_array(array, chunks=array.chunks, name=False)  # type: ignore[no-untyped-call]
    index = (slice(None),) * axis + (channel,)
    return Given(array[index], axes.replace("C", ""), given.sizes, given.origin)


def open_arrays(references: Sequence[ArrayReference], given: Any) -> list[Any]:
    """The arrays of a record, or what was given instead of them.

    Parameters
    ----------
    references : sequence of ArrayReference
        One array, or one per channel.
    given : path, array, layer, list of these, or None
        Instead of them; not compared.
    """
    if given is None:
        return [each.open() for each in references]
    several = isinstance(given, list | tuple)
    return [open_one(each) for each in (given if several else [given])]


def open_one(image: Any) -> Given:
    """An image given as a path, an array, an opened file or a layer."""
    from napari_unet.image.given import take_in

    return take_in(read_image(image) if isinstance(image, str | Path) else image)


def fits(axes: str | None, given: Given) -> bool:
    """Whether the axes of a record can be those of an array."""
    if axes is None:
        return False
    try:
        check_axes(axes, given.array.shape)
    except InputError:
        return False
    return True
