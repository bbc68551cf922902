"""Results on disk: the same as in memory, complete or not there."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import zarr

from napari_unet.errors import FileError
from napari_unet.image.source import open_image
from napari_unet.inference.output import OutputArray
from napari_unet.inference.prediction import iter_predict, predict
from napari_unet.inference.segmentation import segment
from napari_unet.io.scratch import sweep_leftovers
from napari_unet.network.model import Model

MakeModel = Callable[..., Model]
FIXED = {"device": "cpu", "precision": "float32"}
IMAGE = np.random.default_rng(4).gamma(2, 100, (2, 3, 40, 36)).astype(np.uint16)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_scores_on_disk_equal_those_in_memory(
    make_model: MakeModel, tmp_path: Path, norm: str
) -> None:
    arguments = {"axes": "TZYX", "tile": 16, **FIXED}
    model = make_model(norm=norm)
    memory = predict(IMAGE, model, **arguments)
    disk = predict(IMAGE, model, output=tmp_path / "new" / "scores.zarr", **arguments)
    assert isinstance(disk.scores, zarr.Array)
    assert disk.axes == memory.axes
    np.testing.assert_array_equal(disk.scores[:], memory.scores)
    opened = zarr.open_array(tmp_path / "new" / "scores.zarr", mode="r")
    np.testing.assert_array_equal(opened[:], memory.scores)
    assert opened.metadata.dimension_names == ("t", "c", "z", "y", "x")
    assert opened.attrs["napari_unet"]["model"]["sha256"] == model.sha256
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["scores.zarr"]


@pytest.mark.parametrize("task", ["instance", "semantic"])
@pytest.mark.parametrize("axes", ["TZYX", "XZYT"])
def test_labels_on_disk_equal_those_in_memory(
    make_model: MakeModel, tmp_path: Path, task: str, axes: str
) -> None:
    image = IMAGE.transpose(["TZYX".index(a) for a in axes])
    model = make_model(task=task)
    memory = segment(image, model, axes=axes, tile=16, **FIXED)
    disk = segment(image, model, axes=axes, tile=16, output=str(tmp_path / "l.zarr"), **FIXED)
    assert disk.dtype == memory.dtype
    assert disk.shape == memory.shape == image.shape
    np.testing.assert_array_equal(disk[:], memory)
    assert disk.attrs["napari_unet"]["operation"] == "segment"


@pytest.fixture
def remote() -> Iterator[str]:
    """A URL in memory: it stands for a bucket."""
    yield "memory://bucket/scores.zarr"
    filesystem = fsspec.filesystem("memory")
    if filesystem.exists("/bucket"):
        filesystem.rm("/bucket", recursive=True)


def test_an_output_can_be_a_url(make_model: MakeModel, tmp_path: Path, remote: str) -> None:
    memory = predict(IMAGE[0, 0], make_model(), **FIXED).scores
    for url in ((tmp_path / "scores.zarr").as_uri(), remote):
        disk = predict(IMAGE[0, 0], make_model(), output=url, **FIXED)
        np.testing.assert_array_equal(disk.scores[:], memory)
        np.testing.assert_array_equal(zarr.open_array(url, mode="r")[:], memory)
        with pytest.raises(FileError, match=re.escape(url)):
            predict(IMAGE[0, 0], make_model(), output=url, **FIXED)
        np.testing.assert_array_equal(zarr.open_array(url, mode="r")[:], memory)
    assert [p.name for p in tmp_path.iterdir()] == ["scores.zarr"]


def test_a_cancelled_run_removes_what_it_wrote_at_a_url(make_model: MakeModel, remote: str) -> None:
    job = iter_predict(IMAGE[0, 0], make_model(), output=remote, tile=16, **FIXED)
    while next(job).done < 2:
        pass
    filesystem = fsspec.filesystem("memory")
    assert filesystem.find("/bucket")
    job.close()
    assert not filesystem.find("/bucket")


def test_an_unknown_kind_of_url_is_refused(make_model: MakeModel) -> None:
    with pytest.raises(FileError, match="nonsense://somewhere"):
        predict(IMAGE[0, 0], make_model(), output="nonsense://somewhere/a.zarr", **FIXED)


def sizes(axes: str = "ZYX") -> tuple[str, dict[str, int]]:
    return axes, dict.fromkeys("TZYX", 1) | dict(zip(axes, (4, 5, 6), strict=True))


def test_nothing_stands_under_the_name_until_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "labels.zarr"
    output = OutputArray(*sizes(), None, np.int32, target)
    output.write(0, (slice(0, 4), slice(0, 5), slice(0, 6)), np.ones((4, 5, 6), np.int32))
    assert not target.exists()
    output.finish({"a": 1})
    assert [p.name for p in tmp_path.iterdir()] == ["labels.zarr"]
    assert zarr.open_array(target)[:].sum() == 120


@pytest.mark.skipif(os.name == "nt", reason="files have no number there")
def test_all_of_an_output_is_on_the_disk_before_it_has_its_name(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, flushed, early = tmp_path / "labels.zarr", set[int](), []
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        flushed.add(os.fstat(handle).st_ino)
        early.append(target.exists())

    monkeypatch.setattr(os, "fsync", fsync)
    image = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    segment(image, make_model(), axes="YX", output=target)
    files = [path for path in target.rglob("*") if path.is_file()]
    assert files
    assert {path.stat().st_ino for path in files} <= flushed
    assert not any(early[: len(files)])


def test_discarding_removes_what_was_written(tmp_path: Path) -> None:
    output = OutputArray(*sizes(), None, np.int32, tmp_path / "labels.zarr")
    assert len(list(tmp_path.iterdir())) == 1
    output.discard()
    output.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(FileError, match="choose another folder"):
        OutputArray(*sizes(), None, np.int32, tmp_path / "file" / "labels.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("axes", ["ZYX", "XYZ", "YXZ", "TYX", "YTX"])
@pytest.mark.parametrize("channels", [None, 2])
def test_blocks_land_in_their_place(axes: str, channels: int | None) -> None:
    """Written as canonical blocks, read back through an image of the result's axes."""
    output = OutputArray(*sizes(axes), channels, np.float32, None)
    result_axes = output.axes
    place: dict[str, Any] = {a: slice(1, 3) for a in "ZYX" if a in axes}
    shape = (*([] if channels is None else [channels]), *([2] * len(place)))
    block = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    output.write(1 if "T" in axes else 0, tuple(place.values()), block)
    output.add(1 if "T" in axes else 0, tuple(place.values()), block)
    result = open_image(output.finish({}), axes=result_axes, in_channels=channels or 1).read(
        1 if "T" in axes else 0, tuple(place.values())
    )
    np.testing.assert_array_equal(result, 2 * (block if channels else block[None]))
    assert np.count_nonzero(output.array) == block.size


def test_planes_that_come_one_by_one_have_chunks_of_their_own(tmp_path: Path) -> None:
    array = OutputArray(*sizes(), None, np.int32, tmp_path / "a.zarr", planewise=True)
    assert array.array.chunks == (1, 5, 6)
    array.discard()


def test_a_full_disk_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = OutputArray("YX", {"Y": 20, "X": 20}, None, np.int32, tmp_path / "a.zarr")

    class Full:
        def __setitem__(self, *_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(array, "array", Full())
    with pytest.raises(FileError, match="No space left on device"):
        array.write(0, (slice(0, 20), slice(0, 20)), np.ones((20, 20), np.int32))
    array.discard()
    assert not list(tmp_path.iterdir())


def filled(target: Path) -> OutputArray:
    output = OutputArray("YX", {"Y": 20, "X": 20}, None, np.int32, target)
    output.write(0, (slice(0, 20), slice(0, 20)), np.full((20, 20), 7, np.int32))
    return output


def test_an_output_that_another_run_made_meanwhile_is_kept_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "labels.zarr"
    first, second, third = filled(target), filled(target), filled(target)
    first.finish({"run": 1})
    for late, place in ((second, "labels-2.zarr"), (third, "labels-3.zarr")):
        with pytest.raises(FileError, match=f"another run.*{place}"):
            late.finish({"run": place})
        late.discard()  # as the end of a run that fails does
        kept = zarr.open_array(tmp_path / place, mode="r")
        assert (kept[:] == 7).all()
        assert kept.attrs["napari_unet"] == {"run": place}
    assert zarr.open_array(target, mode="r").attrs["napari_unet"] == {"run": 1}
    assert len(list(tmp_path.iterdir())) == 3


def test_a_finished_output_outlives_a_disk_that_is_full_at_its_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for target in (tmp_path / "labels.zarr", remote):
        output = filled(target)  # type: ignore[arg-type]
        with monkeypatch.context() as patch:
            patch.setattr("zarr.core.attributes.Attributes.__setitem__", full)
            with pytest.raises(FileError, match=r"complete.*No space left"):
                output.finish({"run": 1})
        output.discard()
        assert (zarr.open_array(target, mode="r")[:] == 7).all()
    assert [p.name for p in tmp_path.iterdir()] == ["labels.zarr"]


def test_a_finished_output_that_cannot_be_renamed_stays_for_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = filled(tmp_path / "labels.zarr")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(FileError, match=r"Permission denied.*array\.zarr") as caught:
            output.finish({})
    output.discard()
    (place,) = tmp_path.iterdir()
    assert str(place) in str(caught.value)
    sweep_leftovers(tmp_path, again=True)
    assert (zarr.open_array(place / "array.zarr", mode="r")[:] == 7).all()
