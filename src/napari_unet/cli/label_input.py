"""Labels and their image as files, for the commands that read both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unet.io import ImageFile


@dataclass(frozen=True, eq=False)
class LabelInput:
    """Labels, their image, and what is known of both.

    Attributes
    ----------
    labels : array-like
        In the order of ``axes``, less C.
    image : ImageFile or None
        Their image.
    axes : str or None
        Of the image if there is one, else of the labels.
    pixel_size : float, list of float or None
        Micrometres along the spatial axes.
    record : mapping or None
        Of the run that made the labels.
    """

    labels: Any
    image: ImageFile | None
    axes: str | None
    pixel_size: Any
    record: Mapping[str, Any] | None


def read_label_input(
    labels: Path, image: Path | None, axes: str | None, pixel_size: Any
) -> LabelInput:
    """Read labels, and their image if there is one; what is to be told of them is printed.

    Parameters
    ----------
    labels : Path
        The label file.
    image : Path or None
        The image.
    axes, pixel_size : optional
        As they were given; else as the files say.
    """
    from napari_unet.cli.file_matching import check_pixel_sizes
    from napari_unet.cli.printing import print_notes
    from napari_unet.dataset.label_axes import arrange_labels
    from napari_unet.io import read_image, read_labels
    from napari_unet.io.record import find_record

    opened = None if image is None else read_image(image)
    file = read_labels(labels, opened, axes=axes)
    print_notes(() if opened is None else opened.notes, image)
    print_notes(file.notes)
    known = axes or (opened.axes if opened is not None else None) or file.axes
    array = file.array
    if opened is not None and known is not None and len(known) == opened.array.ndim:
        sizes = dict(zip(known.upper(), opened.array.shape, strict=True))
        array = arrange_labels(array, file.axes, known.upper(), sizes)
    itself = _open_plainly(labels)
    if pixel_size is None:
        if opened is not None:
            check_pixel_sizes(opened, (known or "").upper(), labels)
        pixel_size = _find_pixel_size(itself, opened, known)
    record = None if itself is None else find_record(itself.array) or find_record(itself)
    return LabelInput(array, opened, known, pixel_size, record)


def _open_plainly(labels: Path) -> ImageFile | None:
    """The label file as an image that knows its pixel size; None where its kind is another."""
    from napari_unet.io import READ_SUFFIXES, read_image
    from napari_unet.io.cellpose_files import is_pickled

    plain = labels.is_dir() or labels.suffix.lower() in READ_SUFFIXES
    if not plain or (labels.suffix.lower() == ".npy" and is_pickled(labels)):
        return None
    return read_image(labels, as_labels=True, eager_bytes=0)


def _find_pixel_size(labels: ImageFile | None, image: ImageFile | None, axes: str | None) -> Any:
    """Micrometres along the spatial axes, of the labels' file if it says them, else the image's."""
    for file in (labels, image):
        found = None if file is None else file.pixel_size_along(axes)
        if found is not None and None not in found:
            return found
    return None
