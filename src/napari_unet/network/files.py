"""Finding model files and reading their cards, without torch."""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import stat
from pathlib import Path

from napari_unet.card import ModelCard, parse_card
from napari_unet.errors import ModelError, Note

CARD_KEY = "napari_unet.card"
SUFFIX = ".safetensors"
MAX_HEADER_BYTES = 1 << 24  # JSON of all tensors' names and the card, its thumbnail included
BUNDLED = Path(__file__).parents[1] / "models"
BUNDLED_ORDER = ("nuclei", "nuclei-histology", "nuclei-3d", "cells-phase", "denoise")


def user_models_folder() -> Path:
    """Where the user's models live: the platform's data folder, or NAPARI_UNET_MODELS."""
    from platformdirs import user_data_path

    override = os.environ.get("NAPARI_UNET_MODELS")
    return Path(override) if override else user_data_path("napari-unet", appauthor=False) / "models"


def model_files() -> dict[str, Path]:
    """Files of all models by name; bundled names are reserved and come first."""
    found: dict[str, Path] = {}
    for folder in (BUNDLED, user_models_folder()):
        for path in _files_in(folder):
            found.setdefault(path.stem, path)
    return found


def closed_folder() -> Note | None:
    """What is to be told where the folder of the user's models cannot be looked into."""
    folder = user_models_folder()
    try:
        next(iter(folder.iterdir()), None)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        text = f"the folder of your models, {folder}, cannot be read ({error.strerror})"
        return Note("models-closed", text, "change its permissions to see what is in it")
    return None


def _files_in(folder: Path) -> list[Path]:
    """Regular files with the ending of a model: to open a pipe or a device may never end."""
    try:
        found = sorted(
            (path for path in folder.iterdir() if path.name.endswith(SUFFIX)), key=_place_in_list
        )
    except OSError:  # missing, or not for this user to look into: then it offers no model
        return []
    return [path for path in found if _is_regular(path)]


def _place_in_list(path: Path) -> tuple[int, str]:
    """What most people want comes first, then the alphabet."""
    known = path.stem in BUNDLED_ORDER
    return BUNDLED_ORDER.index(path.stem) if known else len(BUNDLED_ORDER), path.stem


def _is_regular(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a link in a circle, or into a folder that is closed to this user
        return False


def bundled_names() -> frozenset[str]:
    """Names that no user model may take."""
    return frozenset(path.stem for path in _files_in(BUNDLED))


def list_models() -> list[ModelCard]:
    """Cards of the bundled models and of the user's; unreadable files are left out.

    Each carries the name that `Model.load` takes, which is its file's, even where the file
    was renamed.

    Examples
    --------
    >>> [card.task for card in list_models() if card.name == "nuclei"]
    ['instance']
    """
    cards = []
    for name, path in model_files().items():
        try:
            cards.append(read_header(path).model_copy(update={"name": name}))
        except ModelError:
            continue
    return cards


def find_model(source: str | Path) -> Path:
    """Path of a model given by name or by file.

    Raises
    ------
    ModelError
        If there is none.
    """
    text = str(source)
    path = Path(text).expanduser()
    looks_like_path = path.suffix != "" or path.name != text or isinstance(source, Path)
    known = model_files()
    if text in known:
        return known[text]
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        mode = 0
    except OSError as error:
        mode = 0
        if looks_like_path:
            reason = f"The model file {text} cannot be read ({error.strerror})"
            raise ModelError(reason, "check the path", parameter="model") from None
    if stat.S_ISREG(mode):
        return path
    if looks_like_path and stat.S_ISDIR(mode):
        raise ModelError(
            f"'{text}' is a folder", "name the .safetensors file in it", parameter="model"
        )
    if looks_like_path and mode:
        raise ModelError(
            f"{text} is no regular file", "name a .safetensors file", parameter="model"
        )
    if looks_like_path:
        raise ModelError(f"There is no model file {text}", "check the path", parameter="model")
    names = ", ".join(known) or "none"
    closed = closed_folder()
    told = (
        "" if closed is None else f" ({closed.text.template[0].lower()}{closed.text.template[1:]})"
    )
    raise ModelError(
        f"There is no model {text!r}{told}",
        f"there are: {names}; or give a .safetensors file",
        parameter="model",
    )


def read_header(path: Path) -> ModelCard:
    """Read the card of a model file, and nothing else of it.

    Raises
    ------
    ModelError
        If the file is no safetensors file of ours, is damaged, or was made by a newer version.
    """
    from safetensors import SafetensorError, safe_open

    try:
        size = _regular_size(path)
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise ModelError(f"The model file {path} cannot be read ({error.strerror})") from None
    length = int.from_bytes(start[:8], "little")
    if MAX_HEADER_BYTES < length <= size:
        raise ModelError(
            f"The header of {path.name} has {length} bytes, more than a model's "
            f"({MAX_HEADER_BYTES}) can have",
            "get a fresh copy of it",
        )
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError):
        # the length that begins a safetensors file can look like either mark, but JSON follows it
        if start.startswith((b"PK\x03\x04", b"\x80")) and start[8:] != b"{":
            raise ModelError(
                f"{path.name} is a pickled PyTorch file, which can run code when it is opened",
                "only .safetensors models are loaded",
            ) from None
        raise ModelError(
            f"The file {path.name} is damaged or no .safetensors file", "get a fresh copy of it"
        ) from None
    if CARD_KEY not in metadata:
        raise ModelError(
            f"{path.name} is a .safetensors file without a model card of napari-unet",
            "models are made by napari_unet.train or Model.save",
        )
    return parse_card(metadata[CARD_KEY], path.name)


def _regular_size(path: Path) -> int:
    """Bytes of a file; anything but a file, which could be endless, is refused."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise OSError(errno.EINVAL, f"it is {kind}, not a file")
    return status.st_size


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    status = path.stat()
    return _hash(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=64)
def _hash(path: Path, changed: int, size: int) -> str:
    del changed, size
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
