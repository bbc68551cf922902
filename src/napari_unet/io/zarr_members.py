"""The images inside a Zarr store: wells of a plate, series, labels; and the store around one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_MARKERS = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
_DEEPEST = 6  # folders that a level lies below its image at most


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group, whatever its name."""
    return any((path / marker).is_file() for marker in _MARKERS)


def is_inside_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group, or lies in one, as a row of a plate does."""
    return path.is_dir() and (is_zarr(path) or any(is_zarr(each) for each in path.parents))


def store_of(path: Path) -> Path:
    """The outermost Zarr group around a path; the path itself where there is none."""
    around = [each for each in path.parents if is_zarr(each)]
    return around[-1] if around else path


def ome_attributes(node: Any) -> Mapping[str, Any]:
    """OME metadata of a group: under ``ome`` since version 0.5, before at the top."""
    attributes = dict(node.attrs)
    nested = attributes.get("ome")
    return {**attributes, **nested} if isinstance(nested, Mapping) else attributes


def images_inside(path: Path, *, series: bool = True) -> list[str]:
    """Paths, below a group, of the images that it lists; none for an image and an array.

    A plate lists its wells, a well its fields, a row of a plate the wells in it, a group of
    labels its labels, and a store of bioformats2raw its series, unless ``series`` is False.

    Raises
    ------
    Exception
        Whatever zarr raises for a damaged store.
    """
    import zarr

    if not is_zarr(path):  # a row of a plate need not be a group
        return _row(path)
    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return []
    attributes = ome_attributes(node)
    if attributes.get("multiscales"):
        return []
    if isinstance(attributes.get("plate"), Mapping):
        return _plate(node, attributes["plate"])
    if isinstance(attributes.get("well"), Mapping):
        return [str(image["path"]) for image in attributes["well"].get("images", ())]
    if isinstance(attributes.get("labels"), list | tuple):
        return [str(name) for name in attributes["labels"]]
    if "bioformats2raw.layout" in attributes:
        return _series(node) if series else []
    return _row(path)


def is_labels_path(path: Path) -> bool:
    """Whether a group, or the image that an array is a level of, stands among labels.

    OME-Zarr keeps labels in a group ``labels`` of their image.
    """
    around = [path, *path.parents][:_DEEPEST]
    return any(each.parent.name == "labels" and is_zarr(each.parent) for each in around)


def labels_beside(path: Path) -> list[Path]:
    """Folders of the labels of an OME-Zarr image."""
    folder = path / "labels"
    return [folder / name for name in images_inside(folder)] if is_zarr(folder) else []


def containing_image(
    path: Path,
) -> tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]] | None:
    """For an array that is a level of an OME-Zarr image: what the image says of it.

    Returns
    -------
    attributes, image, dataset : mapping
        Of the group, its image, and the level; None where no group lists the array.
    """
    import zarr

    for group in list(path.parents)[:_DEEPEST]:
        if not is_zarr(group):
            continue
        attributes = ome_attributes(zarr.open(group, mode="r"))
        below = path.relative_to(group).as_posix()
        for image in attributes.get("multiscales") or ():
            for dataset in image.get("datasets") or ():
                if str(dataset.get("path")).strip("/") == below:
                    return attributes, image, dataset
    return None


def _plate(node: Any, plate: Mapping[str, Any]) -> list[str]:
    found = []
    for well in plate.get("wells") or ():
        name = str(well["path"]).strip("/")
        try:
            group = node[name]
        except KeyError:  # a well that was not imaged
            continue
        fields = ome_attributes(group).get("well")
        images = fields.get("images") or () if isinstance(fields, Mapping) else ()
        listed = [str(image["path"]) for image in images] or sorted(group.keys())
        found += [f"{name}/{image}" for image in listed]
    return found


def _series(node: Any) -> list[str]:
    listed: Sequence[object] = ()
    if "OME" in node:
        listed = ome_attributes(node["OME"]).get("series") or ()
    numbers = sorted((name for name in node.keys() if name.isdigit()), key=int)  # noqa: SIM118
    return [str(name) for name in listed] or numbers


def _row(path: Path) -> list[str]:
    """Images of the wells below a folder of a plate, such as a row; none elsewhere."""
    import zarr

    for group in list(path.parents)[:2]:
        node = zarr.open(group, mode="r") if is_zarr(group) else None
        plate = ome_attributes(node).get("plate") if isinstance(node, zarr.Group) else None
        if isinstance(plate, Mapping):
            below = path.relative_to(group).as_posix() + "/"
            images = _plate(node, plate)
            return [name.removeprefix(below) for name in images if name.startswith(below)]
    return []
