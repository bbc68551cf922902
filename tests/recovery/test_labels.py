"""Painted labels on disk, and whose they are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_unet.errors import FileError
from napari_unet.io.locks import LOCK, try_lock
from napari_unet.recovery.arrays import INDEX, write_attributes
from napari_unet.recovery.labels import (
    LabelStore,
    StoredLabels,
    find_lost_labels,
    labels_folder,
    plane_index,
)
from napari_unet.recovery.ownership import find_abandoned
from napari_unet.state import state_folder

# keeps labels until its standard input is closed
OWNER = """
import sys
import numpy as np
from napari_unet.recovery.labels import LabelStore
store = LabelStore()
store.save("another's", "YX", (5, 6), np.int32, {})
store.write_plane((0, 0), np.ones((5, 6), np.int32))
print(store.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_UNET_STATE", str(tmp_path / "state"))


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((2, 3, 5, 6), np.int32)
    labels[0, 2, 1:3] = 70_000
    labels[1, 0, :, 2] = 2
    return labels


def keep(labels: np.ndarray, axes: str = "TZYX", **details: Any) -> LabelStore:
    store = LabelStore()
    store.save("mine", axes, labels.shape, labels.dtype, details)
    for plane in np.ndindex(labels.shape[:-2]):
        store.write_plane(plane, labels[plane_index(axes, plane)])
    return store


def chunks(folder: Path) -> dict[str, int]:
    """Files with labels, and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in sorted(folder.glob("c.*"))}


def change(folder: Path, **values: Any) -> None:
    """Change the record of labels on disk."""
    attributes = json.loads((folder / INDEX).read_text())["attributes"]
    write_attributes(folder, attributes | values)


# whose


def test_the_state_folder_is_the_platforms_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAPARI_UNET_STATE")
    assert "napari-unet" in state_folder().parts


@pytest.mark.process
@pytest.mark.parametrize("killed", [True, False])
def test_labels_are_another_process_until_it_ends(killed: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().strip())
        stored = StoredLabels.open(folder)
        assert find_lost_labels() == []
        for action in (stored.take_over, stored.discard):
            with pytest.raises(FileError, match="another window"):
                action()
        child.kill() if killed else child.communicate("")
    assert [lost.folder for lost in find_lost_labels()] == [folder]
    store = stored.take_over()
    assert find_lost_labels() == []
    store.discard()


@pytest.mark.process
def test_an_owner_is_not_told_by_the_number_of_its_process(labels: np.ndarray) -> None:
    """In another container, or on another machine, it may be anybody's or nobody's."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().strip())
        for path in folder.iterdir():  # it has done nothing for long
            os.utime(path, (1, 1))
        assert str(child.pid) not in "".join(p.read_text() for p in (folder / INDEX, folder / LOCK))
        assert find_lost_labels() == []
        assert folder.is_dir()
        child.communicate("")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fcntl")
def test_nothing_is_offered_or_removed_where_there_are_no_locks(
    labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = keep(labels)
    store.release()
    (lost,) = find_lost_labels()
    for path in store.folder.iterdir():
        os.utime(path, (1, 1))

    def flock(*_: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", flock)
    assert find_lost_labels() == []
    with pytest.raises(FileError, match="another window"):
        lost.discard()
    assert StoredLabels.open(store.folder).planes == [(0, 2), (1, 0)]
    with pytest.raises(FileError, match=r"no locks.*set NAPARI_UNET_STATE"):
        keep(labels)


def test_what_is_old_is_removed_unless_somebody_has_it(labels: np.ndarray) -> None:
    old, used, new = keep(labels), keep(labels), keep(labels)
    for store in (old, new):
        store.release()
    long_ago = time.time() - 40 * 86400
    for store in (old, used):
        for path in (*store.folder.iterdir(), store.folder):
            os.utime(path, (long_ago, long_ago))
    assert [lost.folder for lost in find_lost_labels()] == [new.folder]
    assert not old.folder.exists()
    assert used.folder.exists()
    assert find_abandoned(Path("nowhere")) == []


# labels


def test_labels_come_back(labels: np.ndarray) -> None:
    store = keep(labels, answer=42)
    assert find_lost_labels() == []  # it is ours
    store.release()
    (lost,) = find_lost_labels()
    assert (lost.record.name, lost.record.axes, lost.shape) == ("mine", "TZYX", labels.shape)
    assert lost.record.details == {"answer": 42}
    found = lost.read()
    assert np.array_equal(found, labels)
    assert found.dtype == labels.dtype
    assert list(chunks(store.folder)) == ["c.0.2.0.0", "c.1.0.0.0"]  # none for empty planes
    lost.discard()
    assert find_lost_labels() == []
    assert not store.folder.exists()
    with pytest.raises(FileError, match="damaged or gone"):
        lost.read()


def test_they_are_a_zarr_array_for_everybody(labels: np.ndarray) -> None:
    import zarr

    store = keep(labels)
    array = zarr.open_array(store.folder, mode="r")
    assert np.array_equal(array[:], labels)
    assert array.attrs["axes"] == "TZYX"


def test_planes_are_written_where_they_changed(labels: np.ndarray) -> None:
    store = keep(labels)
    before = chunks(store.folder)
    assert not store.write_plane((0, 2), labels[0, 2])
    labels[0, 2] = 0
    assert store.write_plane((0, 2), labels[0, 2])
    assert not store.write_plane((0, 0), labels[0, 0])
    store.save("other", "TZYX", labels.shape, labels.dtype, {})
    stored = StoredLabels.open(store.folder)
    assert stored.record.name == "other"
    assert np.array_equal(stored.read(), labels)
    assert chunks(store.folder).items() < before.items()


def test_any_order_of_axes(labels: np.ndarray) -> None:
    store = LabelStore()
    flat = labels[0].transpose(1, 0, 2)  # YZX
    store.save("mine", "YZX", flat.shape, flat.dtype, {})
    for z in range(3):
        store.write_plane((0, z), flat[:, z])
    stored = StoredLabels.open(store.folder)
    assert np.array_equal(stored.read(), flat)
    assert stored.planes == [(0, 2)]


def test_planes_larger_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unet.recovery.labels.CHUNK_EDGE", 4)
    labels = np.arange(2 * 9 * 6, dtype=np.uint16).reshape(2, 9, 6)
    store = LabelStore()
    store.save("mine", "ZYX", labels.shape, labels.dtype, {})
    for z in range(2):
        store.write_plane((0, z), labels[z])
    stored = StoredLabels.open(store.folder)
    assert stored.planes == [(0, 0), (0, 1)]
    assert np.array_equal(stored.read(), labels)
    assert len(chunks(store.folder)) == 12


@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_a_torn_chunk_is_told_of_and_left_out(labels: np.ndarray, content: bytes | None) -> None:
    store = keep(labels)
    path = store.folder / "c.0.2.0.0"
    path.write_bytes(path.read_bytes()[:-3] if content is None else content)
    damaged: list[tuple[int, int]] = []
    found = StoredLabels.open(store.folder).read(on_damage=damaged.append)
    assert damaged == [(0, 2)]
    assert not found[0].any()
    assert np.array_equal(found[1], labels[1])


def test_a_chunk_is_replaced_at_once_or_not_at_all(
    labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As zarr's own store does from 3.1 on only."""
    store = keep(labels)
    before = StoredLabels.open(store.folder).read()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(FileError, match="disk is full"):
            store.write_plane((0, 2), labels[0, 2] + 1)
    assert np.array_equal(StoredLabels.open(store.folder).read(), before)
    assert store.write_plane((0, 2), labels[0, 2] + 1)
    assert sorted(path.name[0] for path in store.folder.iterdir()) == ["c", "c", "l", "z"]


@pytest.mark.parametrize(
    "values",
    [
        {"name": None},
        {"axes": "ZYX"},
        {"axes": "../X"},
        {"saved": "yesterday"},
        {"saved": "2026-01-01"},
        {"removed": "2026-01-01"},
        {"of a later version": 1},
    ],
)
def test_a_damaged_record_is_passed_over(labels: np.ndarray, values: dict[str, Any]) -> None:
    store = keep(labels)
    store.release()
    change(store.folder, **values)
    assert find_lost_labels() == []
    with pytest.raises(FileError, match="damaged"):
        StoredLabels.open(store.folder)
    assert store.folder.is_dir()


@pytest.mark.parametrize("content", ["", "[]", '{"shape": [3], "data_type": "int32"}'])
def test_a_damaged_index_is_passed_over(labels: np.ndarray, content: str) -> None:
    store = keep(labels)
    store.release()
    (store.folder / INDEX).write_text(content)
    assert find_lost_labels() == []


def test_what_was_discarded_is_not_written_again(labels: np.ndarray) -> None:
    store = keep(labels)
    store.discard()
    store.save("mine", "TZYX", labels.shape, labels.dtype, {})
    assert not store.write_plane((0, 2), labels[0, 2])
    assert not store.folder.exists()


def test_what_was_cleared_may_be_written_again(labels: np.ndarray) -> None:
    store = keep(labels)
    store.clear()
    assert store.is_empty
    assert not store.folder.exists()
    store.save("mine", "TZYX", labels.shape, labels.dtype, {})
    assert store.write_plane((0, 2), labels[0, 2])
    assert StoredLabels.open(store.folder).read()[0, 2].any()


def test_what_the_user_saved_is_not_offered_until_it_changes(labels: np.ndarray) -> None:
    store, twin = keep(labels), keep(labels)
    store.mark_saved("mine.tif")
    store.save("mine", "TZYX", labels.shape, labels.dtype, {})  # as it was when it was saved
    for each in (store, twin):
        each.release()
    assert [lost.folder for lost in find_lost_labels()] == [twin.folder]
    assert store.claim()
    store.saved_as = ""
    store.write_plane((1, 1), labels[0, 2])  # and the process dies before it saves the rest
    store.release()
    assert len(find_lost_labels()) == 2


def test_what_was_released_is_offered_by_the_process_that_had_it(labels: np.ndarray) -> None:
    store = keep(labels)
    store.release()
    (lost,) = find_lost_labels()
    assert (lost.record.removed, lost.folder) == (None, store.folder)
    assert store.claim()
    assert find_lost_labels() == []
    with pytest.raises(FileError, match="another window"):
        lost.take_over()
    store.release()
    again = find_lost_labels()[0].take_over()
    assert find_lost_labels() == []
    assert not store.claim()  # somebody else has it now
    store.clear()
    assert np.array_equal(StoredLabels.open(again.folder).read(), labels)


def test_what_the_user_removed_is_offered_for_a_day(labels: np.ndarray) -> None:
    store = keep(labels)
    store.release(removed=True)
    (lost,) = find_lost_labels()
    assert lost.record.removed is not None
    for days, offered in ((0.9, True), (1.1, False)):
        change(store.folder, removed=(datetime.now(UTC) - timedelta(days=days)).isoformat())
        assert bool(find_lost_labels()) == offered
        assert store.folder.exists() == offered


def test_what_was_removed_meanwhile_is_not_taken_over(labels: np.ndarray) -> None:
    store = keep(labels)
    store.release()
    (lost,) = find_lost_labels()
    shutil.rmtree(store.folder)
    with pytest.raises(FileError, match="gone"):
        lost.take_over()
    assert not store.claim()
    assert not list(labels_folder().iterdir())


def test_what_was_not_written_has_nothing_to_be_noted() -> None:
    for note in (LabelStore.claim, LabelStore.release, LabelStore.discard):
        store = LabelStore()
        note(store)
        assert not store.folder.exists()


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    lock = try_lock(tmp_path)
    assert lock is not None
    assert try_lock(tmp_path) is None
    lock.release()
    assert try_lock(tmp_path) is not None
