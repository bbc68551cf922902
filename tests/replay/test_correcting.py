"""Corrections by hand that are made again from their record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_unet as nu
from napari_unet.correction.edits import Edit, Scene, make_change
from napari_unet.correction.journal import Entry
from napari_unet.image.identity import identify
from napari_unet.replay.records import read_run


def boxes() -> np.ndarray:
    labels = np.zeros((40, 60), np.int32)
    for number, x in enumerate((2, 16, 30, 44), 1):
        labels[5:15, x : x + 12] = number
    return labels


def corrected(labels: np.ndarray, edits: list[Edit]) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Labels after edits, as the dock makes them, and the journal."""
    labels, entries, largest = labels.copy(), [], int(labels.max())
    for edit in edits:
        change = make_change(Scene(labels, largest), edit)
        change.apply(labels)
        entries.append(Entry.of(edit, change).model_dump(mode="json"))
        largest = max(largest, int(change.new.max(initial=0)))
    return labels, entries


LOOP = ((22, 5), (22, 20), (34, 20), (34, 5))
FURTHER = ((22, 30), (22, 40), (34, 40), (34, 30))


def test_equal_numbers_come_back_and_other_labels_get_what_fits(tmp_path: Path) -> None:
    base = boxes()
    edits = [
        Edit("delete", ((8, 50),)),  # the largest number, which does not come back
        Edit("draw", LOOP),  # a new object: 5
        Edit("draw", FURTHER, label=5),  # goes on with it
        Edit("draw", ((25, 45), (25, 55), (34, 55), (34, 45)), label=2),  # with an earlier one
        Edit("split", ((8, 3), (13, 12))),  # 6
        Edit("merge", ((8, 20), (8, 35))),  # 3 becomes 2
    ]
    expected, entries = corrected(base, edits)
    assert sorted(np.unique(expected)) == [0, 1, 2, 5, 6]
    np.save(tmp_path / "base.npy", base)
    record = {
        "operation": "correct",
        "labels": {"path": str(tmp_path / "base.npy"), "as_labels": True, **identify(base)},
        "entries": entries,
        "axes": "YX",
    }
    assert np.array_equal(nu.run(record), expected)
    written = tmp_path / "done.tif"
    nu.run(record, output=written)
    assert np.array_equal(nu.read_image(written).array, expected)
    assert np.array_equal(nu.run(written), expected)
    names: dict[str, Any] = {}
    script = read_run(written).as_python().rpartition("nu.write_labels")[0]
    exec(compile(script, "script", "exec"), names)
    assert np.array_equal(names["labels"], expected)

    # another prediction, with other numbers: object 2 of the journal is not its object 2
    other = np.where(base == 2, 70, np.where(base == 3, 2, base)).astype(np.int32)
    again = nu.run(record, input=other)
    assert again[8, 20] == again[8, 35] == 70  # merged
    assert again[28, 10] == again[28, 35] == 71  # drawn, and gone on with
    assert again[30, 50] not in (2, 70)  # not given to whatever object has that number here
    base[8, 3] = 9
    np.save(tmp_path / "base.npy", base)
    with pytest.raises(nu.UNetError, match="is not what the record was made of"):
        nu.run(record)
