"""A zarr array that is edited by windows: whole or not at all, whatever happens between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_unet.errors import FileError
from napari_unet.recovery.stored_array import StoredArray


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAPARI_UNET_STATE", str(tmp_path / "state"))
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(7, 9, 11), dtype="int32", chunks=(3, 4, 5)
    )
    array[:] = np.arange(7 * 9 * 11).reshape(7, 9, 11)
    return tmp_path / "a.zarr"


def test_it_reads_and_writes_as_numpy_does(path: Path) -> None:
    array, expected = StoredArray(path), np.array(zarr.open_array(path)[:])
    for index in [
        (slice(1, 6), slice(2, 9), slice(0, 11)),
        (3, slice(None), slice(4, 6)),
        (-1, ...),
    ]:
        assert np.array_equal(array[index], expected[index])
        array[index] = expected[index] = expected[index][::-1] + 1
        assert np.array_equal(array[index], expected[index])
    array.flush()
    assert np.array_equal(zarr.open_array(path)[:], expected)
    with pytest.raises(FileError, match="another window"):
        StoredArray(path)
    array.close()
    StoredArray(path).close()


def test_what_is_interrupted_between_two_chunks_is_put_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = zarr.open_array(path)[:]
    array, count = StoredArray(path), 0
    window = (slice(0, 7), slice(0, 9), slice(0, 11))
    region = StoredArray._region

    def die(self: Any, place: tuple[int, ...]) -> Any:
        nonlocal count
        count += self._lock is not None and place != (0, 0, 0)
        if count > 3:
            raise KeyboardInterrupt  # nothing is tidied up, as after a kill
        return region(self, place)

    array[window]  # its chunks are in memory
    monkeypatch.setattr(StoredArray, "_region", die)
    array[window] = 0
    with pytest.raises(KeyboardInterrupt):
        array.flush()
    monkeypatch.undo()
    array._lock.release()
    half = zarr.open_array(path)[:]
    assert not np.array_equal(half, before)
    assert half.any()
    monkeypatch.setenv("NAPARI_UNET_STATE", str(path.parent / "state"))
    again = StoredArray(path)
    assert again.was_interrupted
    assert np.array_equal(zarr.open_array(path)[:], before)
    again.close()


def test_a_write_that_fails_is_undone_and_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = zarr.open_array(path)[:]
    array, store, calls = StoredArray(path), StoredArray._store, 0

    def fail(self: Any, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError(28, "No space left on device")
        store(self, *arguments)

    monkeypatch.setattr(StoredArray, "_store", fail)
    array[0:7, 0:9, 0:2] = 5
    with pytest.raises(FileError, match="last edit is undone"):
        array.flush()
    assert np.array_equal(array[...], before)
    assert np.array_equal(zarr.open_array(path)[:], before)
    array.close()
