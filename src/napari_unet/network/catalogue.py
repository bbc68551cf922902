"""Models that a lab keeps in a folder, or in a list with addresses, and how they are added.

Nothing is fetched that was not asked for: reading a list opens the list alone, and `iter_add`
fetches one model. What comes over a network has its SHA-256 in the list and is compared with it
before it is kept; a model file cannot run code when it is opened (safetensors).

A list is JSON::

    {
        "models": [
            {
                "name": "our-cells",
                "file": "our-cells.safetensors",
                "sha256": "9f86d08...",
                "description": "Cells in our assay.",
            }
        ]
    }

``file`` is an address (https, http) or a path, absolute or relative to the list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import URLError
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import Request, urlopen

from napari_unet.errors import FileError, ModelError
from napari_unet.io import atomic_path
from napari_unet.network.files import SUFFIX, file_sha256, read_header, user_models_folder
from napari_unet.network.library import check_new_name, refuse_taken_name
from napari_unet.progress import Progress

TIMEOUT_S = 30
MAX_LIST_BYTES = 1 << 22
MAX_MODEL_BYTES = 1 << 31
BLOCK_BYTES = 1 << 20
SCHEMES = ("https", "http")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class CatalogueEntry:
    """A model that can be added.

    Attributes
    ----------
    name : str
        Under which it is kept, unless another one is given.
    location : str
        Path or address of its file.
    sha256 : str
        That the file must have; empty: it is not known, which only a file at hand may be.
    description : str
        One sentence.
    """

    name: str
    location: str
    sha256: str = ""
    description: str = ""


def read_catalogue(source: str | Path) -> list[CatalogueEntry]:
    """The models of a folder, a list, or a single model file; no model is fetched.

    Parameters
    ----------
    source : str or Path
        A folder of ``.safetensors`` files, a list (JSON, path or address), or a model file.

    Raises
    ------
    ModelError
        If there is none, or the list is damaged.
    FileError
        If it cannot be read.
    """
    text = str(source)
    if is_address(text):
        if _file_name(text).endswith(SUFFIX):
            raise ModelError(
                f"Nothing says what {text} must hold",
                "give a list of models, which names the SHA-256 of each, or download the file",
            )
        return _parse(_fetch_text(text), text)
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            files = sorted(f for f in path.iterdir() if f.suffix == SUFFIX and f.is_file())
        elif path.suffix == SUFFIX:
            files = [path]
        else:
            if path.stat().st_size > MAX_LIST_BYTES:
                raise ModelError(f"{path} is too large for a list of models", "check the path")
            return _parse(path.read_bytes(), str(path.absolute()))
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror})", "check the path") from None
    if not files:
        raise ModelError(f"There is no {SUFFIX} file in {path}", "check the folder")
    return [CatalogueEntry(f.stem, str(f), description=read_header(f).description) for f in files]


def iter_add(entry: CatalogueEntry, *, name: str | None = None) -> Generator[Progress, None, Path]:
    """Keep a model among the user's, once its hash and its card are checked.

    Parameters
    ----------
    entry : CatalogueEntry
        The model.
    name : str, optional
        Another name for it.

    Yields
    ------
    Progress
        In kibibytes. Closing the generator leaves nothing behind.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ModelError
        If the name is taken, the hash is another one, or the file is no model.
    FileError
        If it cannot be fetched or kept.
    """
    wanted = name or entry.name
    check_new_name(wanted)
    if is_address(entry.location) and not entry.sha256:
        raise ModelError(
            f"The list names no SHA-256 for {entry.name!r}", "ask who keeps it to add one"
        )
    target = user_models_folder() / f"{wanted}{SUFFIX}"
    with refuse_taken_name(wanted), atomic_path(target, exclusive=True) as temporary:
        with _open(entry.location) as (source, size), temporary.open("wb") as file:
            done = 0
            while block := source.read(BLOCK_BYTES):
                done += len(block)
                if done > MAX_MODEL_BYTES:
                    raise ModelError(f"{entry.location} is larger than a model can be")
                file.write(block)
                yield Progress(done >> 10, max(size, done) >> 10, f"fetching {entry.name}")
        found = file_sha256(temporary)
        if entry.sha256 and found != entry.sha256:
            raise ModelError(
                f"{entry.name!r} is not the file that the list means: its SHA-256 begins with "
                f"{found[:12]}, not with {entry.sha256[:12]}",
                "nothing was kept; ask who keeps the list",
            )
        read_header(temporary)
    return target


def is_address(text: str) -> bool:
    """Whether a text is an address to be fetched.

    >>> is_address("https://example.org/models.json"), is_address("models/list.json")
    (True, False)
    """
    return urlsplit(text).scheme in SCHEMES


class _Opened:
    """A file or an answer, and its size, 0 where that is not told."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> tuple[IO[bytes], int]:
        location = self._location
        try:
            if is_address(location):
                request = Request(location, headers={"User-Agent": "napari-unet"})
                answer = urlopen(request, timeout=TIMEOUT_S)
                self._stream = answer
                return answer, int(answer.headers.get("Content-Length") or 0)
            path = Path(location).expanduser()
            read_header(path)  # refuses what is no regular file
            self._stream = path.open("rb")
            return self._stream, path.stat().st_size
        except (OSError, HTTPException, ValueError) as error:
            raise _unreachable(location, error) from None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self._stream is not None:
            self._stream.close()
        if isinstance(error, HTTPException | TimeoutError | ConnectionError):
            raise _unreachable(self._location, error) from None


_open = _Opened


def _unreachable(location: str, error: Exception) -> FileError:
    reason = error.reason if isinstance(error, URLError) else error
    return FileError(
        f"{location} cannot be fetched ({reason})", "check the address and the connection"
    )


def _fetch_text(address: str) -> bytes:
    with _open(address) as (source, _):
        text = source.read(MAX_LIST_BYTES + 1)
    if len(text) > MAX_LIST_BYTES:
        raise ModelError(f"{address} is too large for a list of models", "check the address")
    return text


def _parse(text: bytes, source: str) -> list[CatalogueEntry]:
    try:
        rows = json.loads(text)["models"]
        return [_entry(row, source) for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelError(
            f"{source} is no list of models",
            'it is JSON: {"models": [{"name": …, "file": …, "sha256": …}]}',
        ) from None


def _entry(row: dict[str, Any], source: str) -> CatalogueEntry:
    name, file, sha256 = str(row["name"]), str(row["file"]), str(row.get("sha256", "")).lower()
    if sha256 and not SHA256.fullmatch(sha256):
        raise ValueError("a SHA-256 has 64 hexadecimal digits")
    if is_address(source):
        location = urljoin(source, file)
        if not is_address(location):
            raise ValueError("a list that was fetched names no files of this machine")
    else:
        location = file if is_address(file) else str(Path(source).parent / file)
    return CatalogueEntry(name, location, sha256, str(row.get("description", "")))


def _file_name(address: str) -> str:
    return unquote(urlsplit(address).path.rpartition("/")[2])
