"""Painted labels on disk, and whose they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_unet.errors import FileError
from napari_unet.recovery.labels import (
    INDEX,
    PaintedStore,
    PaintedWork,
    lost_work,
    painted_folder,
    plane_index,
)
from napari_unet.recovery.ownership import Owner, prune, state_folder
from napari_unet.recovery.sparse_file import read_sparse, write_sparse


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_UNET_STATE", str(tmp_path / "state"))


def keep(labels: np.ndarray, axes: str = "TZYX", **details: Any) -> PaintedStore:
    store = PaintedStore.new()
    planes = {p: labels[plane_index(axes, p)] for p in np.ndindex(labels.shape[:-2])}
    store.save("mine", axes, labels.shape, labels.dtype, details, planes)
    return store


def abandon(folder: Path) -> None:
    """As if the process that keeps it had died."""
    values = json.loads((folder / INDEX).read_text())
    values["owner"]["created"] -= 1000
    (folder / INDEX).write_text(json.dumps(values))


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((2, 3, 5, 6), np.int32)
    labels[0, 2, 1:3] = 70_000
    labels[1, 0, :, 2] = 2
    return labels


# whose


def test_the_state_folder_is_the_platforms_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAPARI_UNET_STATE")
    assert "napari-unet" in state_folder().parts


def test_a_process_is_running_until_it_ends() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        import psutil

        owner = Owner(child.pid, psutil.Process(child.pid).create_time(), Owner.here().machine)
        assert owner.is_running()
        assert not Owner(owner.pid, owner.created - 100, owner.machine).is_running()
        child.kill()
        time.sleep(0.2)
        assert not owner.is_running()  # nobody has waited for it yet
    finally:
        child.kill()
        child.communicate()
    assert not owner.is_running()
    assert Owner(owner.pid, owner.created, "another").is_running()  # nobody can know
    here = Owner.here()
    assert here.pid == os.getpid()
    assert Owner.from_json(json.loads(json.dumps(here.as_json()))) == here
    assert Owner.from_json({"pid": "x"}) is None


def test_what_is_old_is_removed_unless_somebody_has_it(labels: np.ndarray) -> None:
    old, used, new = keep(labels), keep(labels), keep(labels)
    for store in (old, new):
        abandon(store.folder)
    long_ago = time.time() - 40 * 86400
    for store in (old, used):
        for path in (*store.folder.iterdir(), store.folder):
            os.utime(path, (long_ago, long_ago))
    assert [work.folder for work in lost_work()] == [new.folder]
    assert not old.folder.exists()
    assert used.folder.exists()
    prune(painted_folder(), INDEX, older=-1)
    assert not new.folder.exists()
    prune(Path("nowhere"), INDEX)


# labels


def test_labels_come_back(labels: np.ndarray) -> None:
    store = keep(labels, answer=42)
    assert lost_work() == []  # it is ours
    abandon(store.folder)
    (work,) = lost_work()
    assert (work.name, work.axes, work.shape, work.details) == (
        "mine",
        "TZYX",
        labels.shape,
        {"answer": 42},
    )
    found = work.read()
    assert np.array_equal(found, labels)
    assert found.dtype == labels.dtype
    assert len(list(store.folder.glob("plane*"))) == 2
    work.discard()
    assert lost_work() == []


def test_planes_are_written_where_they_changed(labels: np.ndarray) -> None:
    store = keep(labels)
    assert not store.write_plane((0, 2), labels[0, 2])
    labels[0, 2] = 0
    assert store.write_plane((0, 2), labels[0, 2])
    assert not store.write_plane((0, 0), labels[0, 0])
    store.save("other", "TZYX", labels.shape, labels.dtype, {}, {})
    work = PaintedWork.at(store.folder)
    assert work.name == "other"
    assert np.array_equal(work.read(), labels)
    assert len(list(store.folder.glob("plane*"))) == 1


def test_any_order_of_axes(labels: np.ndarray) -> None:
    store = PaintedStore.new()
    flat = labels[0].transpose(1, 0, 2)  # YZX
    planes = {(0, z): flat[:, z] for z in range(3)}
    store.save("mine", "YZX", flat.shape, flat.dtype, {}, planes)
    assert np.array_equal(PaintedWork.at(store.folder).read(), flat)


def test_a_damaged_plane_is_left_out(labels: np.ndarray) -> None:
    store = keep(labels)
    (store.folder / "plane-0-2.z").write_bytes(b"rubbish")
    damaged: list[tuple[int, int]] = []
    found = PaintedWork.at(store.folder).read(on_damage=damaged.append)
    assert damaged == [(0, 2)]
    assert not found[0].any()
    assert np.array_equal(found[1], labels[1])
    (store.folder / "plane-1-0.z").write_bytes(zlib.compress(b"short"))
    assert not PaintedWork.at(store.folder).read().any()


@pytest.mark.parametrize(
    "change",
    [
        {"planes": [[0, 0, "../../secret"]]},
        {"dtype": "O"},
        {"shape": [3]},
        {"saved": "yesterday"},
        {"saved": "2026-01-01"},
        {"removed": "2026-01-01"},
        {"planes": None},
    ],
)
def test_a_damaged_index_is_passed_over(labels: np.ndarray, change: dict[str, Any]) -> None:
    store = keep(labels)
    abandon(store.folder)
    values = json.loads((store.folder / INDEX).read_text())
    (store.folder / INDEX).write_text(json.dumps(values | change))
    assert lost_work() == []
    with pytest.raises(FileError, match="damaged"):
        PaintedWork.at(store.folder)


def test_what_was_discarded_is_not_written_again(labels: np.ndarray) -> None:
    store = keep(labels)
    store.discard()
    assert not store.write_plane((0, 2), labels[0, 2])
    store.save("mine", "TZYX", labels.shape, labels.dtype, {}, {})
    assert not store.folder.exists()


def test_what_was_cleared_may_be_written_again(labels: np.ndarray) -> None:
    store = keep(labels)
    store.clear()
    assert store.is_empty
    assert not store.folder.exists()
    assert store.write_plane((0, 2), labels[0, 2])
    store.save("mine", "TZYX", labels.shape, labels.dtype, {}, {})
    assert PaintedWork.at(store.folder).read()[0, 2].any()


def test_what_the_user_saved_is_not_offered_until_it_changes(labels: np.ndarray) -> None:
    store, twin = keep(labels), keep(labels)
    store.mark_saved("mine.tif")
    store.save("mine", "TZYX", labels.shape, labels.dtype, {}, {})  # as it was when it was saved
    for each in (store, twin):
        abandon(each.folder)
    assert [work.folder for work in lost_work()] == [twin.folder]
    store.saved_as = ""
    store.save("mine", "TZYX", labels.shape, labels.dtype, {}, {(1, 1): labels[0, 2]})
    abandon(store.folder)
    assert len(lost_work()) == 2


def test_what_was_released_is_offered_by_the_process_that_had_it(labels: np.ndarray) -> None:
    store = keep(labels)
    store.release()
    (work,) = lost_work()
    assert (work.removed, work.folder) == (None, store.folder)
    store.claim()
    assert lost_work() == []
    with pytest.raises(FileError, match="another window"):
        work.take_over()
    store.release()
    again = lost_work()[0].take_over()
    assert lost_work() == []
    assert np.array_equal(PaintedWork.at(again.folder).read(), labels)


def test_what_the_user_removed_is_offered_for_a_day(labels: np.ndarray) -> None:
    store = keep(labels)
    store.release(removed=True)
    (work,) = lost_work()
    assert work.removed is not None
    values = json.loads((store.folder / INDEX).read_text())
    for days, offered in ((0.9, True), (1.1, False)):
        moment = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        (store.folder / INDEX).write_text(json.dumps({**values, "removed": moment}))
        assert bool(lost_work()) == offered
        assert store.folder.exists() == offered


def test_what_was_not_written_has_nothing_to_be_noted(tmp_path: Path) -> None:
    for note in (PaintedStore.claim, PaintedStore.release):
        store = PaintedStore.new()
        note(store)
        assert not store.folder.exists()


# sparse files


@given(
    arrays(
        st.sampled_from([np.uint8, np.int32, np.bool_, np.float32]),
        array_shapes(min_dims=1, max_dims=4, max_side=4),
        elements=st.integers(0, 1),
    )
)
def test_sparse_files_hold_any_array(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray
) -> None:
    path = tmp_path_factory.getbasetemp() / "array.zip"
    write_sparse(path, array)
    found = read_sparse(path)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


def test_a_damaged_sparse_file_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "array.zip"
    with pytest.raises(FileError, match="damaged or gone"):
        read_sparse(path)
    write_sparse(path, np.arange(500))
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(FileError, match="damaged or gone"):
        read_sparse(path)
