"""COCO annotations: a run-length mask for each object and plane.

The masks are those of ``pycocotools``: columns after each other, lengths of background and object
in turn, packed six bits a character. Polygons of COCO have no holes and are drawn differently by
each reader; run lengths are exact.

References
----------
.. [1] Microsoft COCO, "Data format", https://cocodataset.org/#format-data
.. [2] cocoapi, common/maskApi.c (rleToString).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.formats.json_text import JsonText
from napari_unet.formats.labels import LabelSource, Plane
from napari_unet.formats.record import MARK
from napari_unet.formats.steps import Steps
from napari_unet.progress import Progress
from napari_unet.renumbering import renumber

OBJECT = {"id": 1, "name": "object", "supercategory": "object"}
_BITS, _MORE, _SIGN, _FIRST = 5, 0x20, 0x10, 48  # of a character: 0 is written as "0"


def write_coco(
    part: Path, labels: LabelSource, record: Mapping[str, Any], image_file: str | None
) -> Steps:
    """Write images, one for each plane, categories and annotations."""
    times, depth, height, width = labels.shape
    name = Path(image_file).name if image_file else ""
    categories = [
        {"id": each.value, "name": each.name, "supercategory": "class"}
        for each in labels.classes
        if each.value
    ] or [OBJECT]
    known = {entry["id"] for entry in categories} if labels.classes else set()
    with JsonText(part) as text:
        text.write("info", {"description": "labels", MARK: record})
        text.write("licenses", [])
        text.open_list("images")
        several = times * depth > 1
        for number, (time, z) in enumerate(np.ndindex(times, depth), 1):
            image = {"id": number, "file_name": name, "width": width, "height": height}
            text.add([{**image, "t": time, "z": z} if several else image])
        text.close_list()
        numbers = count(1)
        text.open_list("annotations")
        for plane in labels.planes():
            text.add(_annotations(plane, numbers, known))
            yield Progress(plane.number + 1, labels.plane_count, "writing")
        text.close_list()
        text.write("categories", categories)


def _annotations(plane: Plane, numbers: Any, classes: set[Any]) -> Iterator[dict[str, Any]]:
    height, width = plane.labels.shape
    values, index = renumber(plane.labels)
    for place, box in enumerate(ndimage.find_objects(index + 1)):
        label = int(values[place])
        if label == 0 or box is None:
            continue
        rows, columns = box
        mask = index[box] == place
        runs = run_lengths(mask, (rows.start, columns.start), height, width)
        yield {
            "id": next(numbers),
            "image_id": plane.number + 1,
            "category_id": label if label in classes else 1,
            "label": label,
            "segmentation": {"size": [height, width], "counts": pack_runs(runs)},
            "area": int(np.count_nonzero(mask)),
            "bbox": [
                columns.start,
                rows.start,
                columns.stop - columns.start,
                rows.stop - rows.start,
            ],
            "iscrowd": 0,
        }


def run_lengths(
    mask: NDArray[np.bool_], corner: Sequence[int], height: int, width: int
) -> list[int]:
    """Lengths of background and object in turn, down the columns of an image.

    Parameters
    ----------
    mask : (n, m) array of bool
        A part of the image.
    corner : (int, int)
        Row and column where it begins.
    height, width : int
        Of the image.

    Examples
    --------
    >>> run_lengths(np.array([[True], [True]]), (1, 1), 3, 2)
    [4, 2]
    """
    rows, columns = mask.shape
    padded = np.zeros((columns, rows + 2), np.int8)
    padded[:, 1:-1] = mask.T
    edges = np.diff(padded, axis=1)
    column, row = np.nonzero(edges)
    places = (column + corner[1]) * height + row + corner[0]
    # a run that goes on at the top of the next column is one run
    same = np.flatnonzero(places[1:-1:2] == places[2::2]) * 2 + 1
    places = np.delete(places, np.concatenate([same, same + 1]))
    lengths = np.diff(np.concatenate([[0], places])).tolist()
    rest = height * width - int(places[-1]) if len(places) else height * width
    return [*lengths, rest] if rest else list(lengths)


def pack_runs(runs: Sequence[int]) -> str:
    """Run lengths as the text that ``pycocotools`` reads.

    >>> pack_runs([4, 2])
    '42'
    """
    text = []
    for place, run in enumerate(runs):
        # from the fourth on as the difference to the length before the last
        value = run - runs[place - 2] if place > 2 else run
        while True:
            bits = value & 0x1F
            value >>= _BITS
            more = value != -1 if bits & _SIGN else value != 0
            text.append(chr((bits | _MORE if more else bits) + _FIRST))
            if not more:
                break
    return "".join(text)
