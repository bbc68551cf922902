"""Files behind URLs (s3://, gs://, https://, memory:// ...), by fsspec."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

from napari_unet.errors import FileError
from napari_unet.io.naming import plain_stem
from napari_unet.io.reading import READ_SUFFIXES
from napari_unet.io.reason import reason_of

RESULT_ENDINGS = ("_labels", "_scores", "_overlay")


def is_url(place: object) -> bool:
    """Whether a place is a URL other than of a local file.

    >>> is_url("s3://bucket/cells.zarr"), is_url("cells.tif"), is_url(Path("a"))
    (True, False, False)
    """
    return isinstance(place, str) and "://" in place and not place.startswith("file://")


def join_url(url: Path | str, name: str) -> str:
    """A URL below another one.

    >>> join_url("s3://bucket/out/", "a.tif")
    's3://bucket/out/a.tif'
    """
    return f"{str(url).rstrip('/')}/{name}"


def filesystem_of(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there.

    Raises
    ------
    FileError
        If its protocol is unknown, or what it needs is not installed.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)  # type: ignore[no-any-return]
    except (ValueError, ImportError) as error:
        raise FileError(
            f"{url} cannot be reached ({reason_of(error)})",
            "install what fsspec needs for it, such as s3fs for s3:// or gcsfs for gs://",
        ) from None


def find_remote(url: str) -> Iterator[tuple[str, str, str, PurePath, str]]:
    """The images of a URL: itself, those in its folder, or those that match its pattern.

    Yields
    ------
    tuple
        URL, title, name, folder below the named one, and parent of each.

    Raises
    ------
    FileError
        If there are none, or the URL cannot be reached.
    """
    system, path = filesystem_of(url)
    protocol = url.partition("://")[0]
    try:
        if any(letter in path for letter in "*?["):
            listed = system.glob(path)
            fixed = path.partition("*")[0].rpartition("/")[0]
        elif _is_one(system, path):
            listed, fixed = [path], path.rpartition("/")[0]
        else:
            listed, fixed = system.ls(path, detail=False), path.rstrip("/")
    except OSError as error:
        raise FileError(f"{url} cannot be reached ({reason_of(error)})", "check it") from None
    images = [each.rstrip("/") for each in sorted(listed)]
    if images != [path]:
        images = [
            each
            for each in images
            if (each.lower().endswith(READ_SUFFIXES) or _is_store(system, each))
            and not plain_stem(each).endswith(RESULT_ENDINGS)
        ]
    if not images:
        raise FileError(f"{url} has no images", f"these are read: {', '.join(READ_SUFFIXES)}")
    for each in images:
        parent = each.rpartition("/")[0]
        below = PurePath(parent.removeprefix(fixed).strip("/"))
        title = each.rpartition("/")[2]
        place = f"{protocol}://{each.removeprefix(f'{protocol}://').lstrip('/')}"
        yield place, title, plain_stem(title), below, place.rpartition("/")[0]


def _is_one(system: Any, path: str) -> bool:
    """Whether it is an image, and no folder of images."""
    named = path.lower().rstrip("/").endswith(READ_SUFFIXES)
    return named or not system.isdir(path) or _is_store(system, path)


def _is_store(system: Any, path: str) -> bool:
    markers = ("zarr.json", ".zarray", ".zgroup")
    return any(system.isfile(f"{path.rstrip('/')}/{marker}") for marker in markers)


def fetch(url: str, folder: Path) -> Path:
    """Copy a remote file into a local folder.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    system, path = filesystem_of(url)
    target = folder / path.rpartition("/")[2]
    try:
        system.get_file(path, str(target))
    except FileNotFoundError:
        raise FileError(f"{url} does not exist", "check the name") from None
    except Exception as error:  # noqa: BLE001  # a file system raises what it likes
        raise FileError(
            f"{url} cannot be read ({reason_of(error)})", "check the name and your access to it"
        ) from None
    return target


def send(file: Path, url: str) -> None:
    """Copy a local file, or a folder with all in it, to a URL.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    system, path = filesystem_of(url)
    try:
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        if file.is_dir():
            if system.exists(path):
                system.rm(path, recursive=True)
            for part in sorted(file.rglob("*")):
                if part.is_file():
                    inside = f"{path}/{part.relative_to(file).as_posix()}"
                    system.makedirs(inside.rpartition("/")[0], exist_ok=True)
                    system.put_file(str(part), inside)
        else:
            system.put_file(str(file), path)
    except Exception as error:  # noqa: BLE001  # a file system raises what it likes
        raise FileError(
            f"{url} cannot be written ({reason_of(error)})", "check your access to it"
        ) from None


def read_remote_record(url: str) -> Any:
    """What a JSON file behind a URL holds; None where there is none."""
    try:
        system, path = filesystem_of(url)
        return json.loads(system.cat_file(path))
    except (OSError, ValueError, FileError):
        return None


def stat_remote(url: str) -> dict[str, Any]:
    """Size and time of what is behind a URL; of a store, of all its files together.

    Raises
    ------
    OSError
        If there is nothing.
    """
    system, path = filesystem_of(url)
    parts = [system.info(path)]
    if parts[0].get("type") == "directory":
        parts = list(system.find(path, detail=True).values())
    times = [
        part.get(name)
        for part in parts
        for name in ("mtime", "LastModified", "last_modified", "updated", "created", "ETag")
        if part.get(name) is not None
    ]
    return {
        "bytes": sum(int(part.get("size") or 0) for part in parts),
        "files": len(parts),
        "modified": max(map(str, times), default=""),
    }
