"""The user's own models: keep, rename, delete and share them.

Nothing here loads a network; only `save_user_model`, which is given one, needs torch.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.card import ModelCard
from napari_unet.errors import FileError, ModelError
from napari_unet.io import atomic_path
from napari_unet.io.reason import reason_of
from napari_unet.io.record import record_path, write_record
from napari_unet.network.files import (
    CARD_KEY,
    SUFFIX,
    bundled_names,
    file_sha256,
    model_files,
    read_header,
    user_models_folder,
)

if TYPE_CHECKING:
    from napari_unet.network.model import Model

FORBIDDEN_CHARACTERS = '<>:"/\\|?*'  # in file names, on one system or another
MAX_NAME_CHARACTERS = 100  # characters of a name
RESERVED_BY_WINDOWS = {"con", "prn", "aux", "nul"} | {
    f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10)
}


def check_new_name(name: str) -> None:
    """Raise `ModelError` if no new model can have this name: it says why.

    Parameters
    ----------
    name : str
        A name as it would stand in the list of models.

    Examples
    --------
    >>> check_new_name("my nuclei 2")
    >>> check_new_name("nuclei")
    Traceback (most recent call last):
    napari_unet.errors.ModelError: 'nuclei' is the name of a bundled model; choose another.
    """
    if not name.strip():
        raise ModelError("The model has no name", "give one such as my-model")
    wrong = [c for c in name if c in FORBIDDEN_CHARACTERS or not c.isprintable()]
    if wrong:
        raise ModelError(f"The name {name!r} has {wrong[0]!r} in it, which no file name can have")
    if name != name.strip() or name.startswith(".") or name.endswith("."):
        raise ModelError(
            f"The name {name!r} begins or ends with a blank or a dot", "take that away"
        )
    if name.lower().endswith(SUFFIX):
        raise ModelError(f"{name!r} is the name of a file", f"give it without {SUFFIX}")
    if name.casefold() in RESERVED_BY_WINDOWS:
        raise ModelError(f"{name!r} is a name that Windows keeps for itself", "choose another")
    if len(name) > MAX_NAME_CHARACTERS:
        raise ModelError(
            f"The name has {len(name)} characters",
            f"take {MAX_NAME_CHARACTERS} at most, and put the rest into the description",
        )
    # where a file system does not tell capitals, one file would replace the other
    taken = {known.casefold(): known for known in model_files()}.get(name.casefold())
    if taken in bundled_names():
        raise ModelError(f"{name!r} is the name of a bundled model", "choose another")
    if taken is not None:
        raise ModelError(f"There is a model {taken!r} already", "choose another name")


def save_user_model(model: Model, name: str, *, description: str | None = None) -> Path:
    """Keep a model among the user's, under a new name.

    Parameters
    ----------
    model : Model
        The model; it is not changed.
    name : str
        A name that no model has; the card in the file gets it too.
    description : str, optional
        For the card; None: as it is.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ModelError
        If the name cannot be had.
    FileError
        If the file cannot be written.
    """
    check_new_name(name)
    update = {"name": name} | ({} if description is None else {"description": description})
    card = model.card.model_copy(update=update)
    target = _user_file(name)
    data = replace(model, card=card).to_bytes()
    with refuse_taken_name(name), atomic_path(target, exclusive=True) as temporary:
        temporary.write_bytes(data)
    return target


def rename_model(name: str, new: str) -> Path:
    """Give one of the user's models another name, in its card and that of its file.

    The bytes of the weights stay as they are; the SHA-256 of the file becomes another, as the
    card is part of it.

    Parameters
    ----------
    name : str
        Of one of the user's models.
    new : str
        A name that no model has; another spelling of ``name`` in capitals and small letters
        is allowed.

    Returns
    -------
    Path
        The file under its new name.

    Raises
    ------
    ModelError
        If there is no such model, it is bundled or damaged, or the new name cannot be had.
    FileError
        If the file cannot be written.
    """
    source = _own_model(name, "renamed")
    if new == name:
        return source
    if new.casefold() != name.casefold():
        check_new_name(new)
    card = read_header(source).model_copy(update={"name": new})
    target = _user_file(new)
    try:
        if target.exists() and target.samefile(source):  # capitals are not told apart there
            _write_copy(source, source, card)
            source.rename(target)
            _move_record(source, target, name)
            return target
        with refuse_taken_name(new):
            _write_copy(source, target, card, exclusive=True)
        try:
            source.unlink(missing_ok=True)  # the last step: nothing is lost where it fails
        except OSError:
            target.unlink()
            raise
        _move_record(source, target, name)
    except OSError as error:
        raise FileError(
            f"The model {name!r} cannot be renamed ({reason_of(error)})",
            f"check the folder {source.parent}",
        ) from None
    return target


def delete_model(name: str) -> None:
    """Remove one of the user's models for good, and the record of its training.

    Parameters
    ----------
    name : str
        Of one of the user's models.

    Raises
    ------
    ModelError
        If there is no such model, or it is bundled.
    FileError
        If the file cannot be removed.
    """
    path = _own_model(name, "deleted")
    try:
        path.unlink()
    except FileNotFoundError:
        pass  # somebody else was faster
    except OSError as error:
        raise FileError(
            f"The model {name!r} cannot be deleted ({reason_of(error)})",
            f"check the folder {path.parent}",
        ) from None
    if _read_training(path) is not None:
        with suppress(OSError):  # a record without its model does no harm
            record_path(path).unlink()


def export_model(name: str, path: str | Path, *, overwrite: bool = False) -> Path:
    """Copy a model to one file that can be shared.

    Parameters
    ----------
    name : str
        Of a bundled model or of one of the user's. The card in the copy has this name.
    path : str or Path
        Where to; ``.safetensors`` is added, and in a folder the file is called like the model.
    overwrite : bool
        Whether a file that is there may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ModelError
        If there is no such model, or it is damaged.
    FileError
        If there is a file already, it is that of the model itself, or it cannot be written.
    """
    source = _known_model(name)
    target = Path(path).expanduser()
    if target.is_dir():
        target /= name + SUFFIX
    elif target.suffix != SUFFIX:
        target = target.with_name(target.name + SUFFIX)
    if overwrite and target.exists() and target.samefile(source):
        raise FileError(f"{target} is the model {name!r} itself", "choose another place")
    card = read_header(source).model_copy(update={"name": name})
    _write_copy(source, target, card, exclusive=not overwrite)
    return target


@contextmanager
def refuse_taken_name(name: str) -> Iterator[None]:
    """Another process can have taken a name since it was checked."""
    try:
        yield
    except FileError as error:
        if error.code != "exists":
            raise
        raise ModelError(f"There is a model {name!r} already", "choose another name") from None


def _known_model(name: str) -> Path:
    known = model_files()
    if name not in known:
        names = ", ".join(known) or "none"
        raise ModelError(f"There is no model {name!r}", f"there are: {names}")
    return known[name]


def _own_model(name: str, done: str) -> Path:
    """File of one of the user's models."""
    path = _known_model(name)
    if name in bundled_names():
        raise ModelError(
            f"{name!r} is a bundled model and cannot be {done}", "copy it to a file instead"
        )
    return path


def _read_training(path: Path) -> dict[str, Any] | None:
    """The record of the training beside a model; None where there is none, or another file."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(record_path(path).read_bytes())
        if isinstance(found, dict) and found.get("operation") == "train":
            return found
    return None


def _move_record(source: Path, target: Path, name: str) -> None:
    """Take the record of a training along to the new name of its model, which it names."""
    old, new = record_path(source), record_path(target)
    found = _read_training(source)
    if found is None:
        return
    with suppress(OSError):
        if new.exists() and not new.samefile(old) and _read_training(target) is None:
            return  # somebody's file, which is not to be replaced; the record stays where it is
    config = found.get("config")
    if isinstance(config, dict) and config.get("name") == name:
        found["config"] = {**config, "name": target.name.removesuffix(SUFFIX)}
    made = {"name": target.name.removesuffix(SUFFIX), "sha256": file_sha256(target)}
    with suppress(OSError, FileError):  # the model has its name already
        write_record(target, {**found, "model": made, "output": str(target.absolute())})
        if old.name != new.name and new.samefile(old):  # capitals are not told apart
            old.rename(new)
        elif old.name != new.name:
            old.unlink()


def _user_file(name: str) -> Path:
    # not with_suffix: a name may have dots in it
    return user_models_folder() / f"{name}{SUFFIX}"


def _write_copy(source: Path, target: Path, card: ModelCard, *, exclusive: bool = False) -> None:
    """Write a model file with another card, atomically; the bytes of the tensors stay.

    A safetensors file is the length of its header (8 bytes, little-endian), the header (JSON,
    blanks to a multiple of 8 bytes), and the tensors.
    """
    # the files are closed before the target is replaced: Windows replaces none that is open
    with (
        atomic_path(target, exclusive=exclusive) as temporary,
        source.open("rb") as old,
        temporary.open("wb") as new,
    ):
        (length,) = struct.unpack("<Q", old.read(8))
        header = json.loads(old.read(length))
        header["__metadata__"] = {CARD_KEY: card.model_dump_json()}
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)
        new.write(struct.pack("<Q", len(text)))
        new.write(text)
        shutil.copyfileobj(old, new, 1 << 20)
