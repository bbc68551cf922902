"""Files in, files out: axes, pixel sizes, records, and runs that go on past a bad file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st

import napari_unet as nu
from napari_unet.axes import in_order
from napari_unet.batch import FileDone, file_job, iter_segment_files
from napari_unet.cli.training_files import read_example
from napari_unet.errors import InputError, ModelError, SettingsError
from napari_unet.io import read_image, write_image, write_labels
from napari_unet.io.slabs import SlabReader


@pytest.fixture(scope="module")
def model(
    bright_model: Callable[..., nu.Model], tmp_path_factory: pytest.TempPathFactory
) -> nu.Model:
    return nu.Model.load(bright_model().save(tmp_path_factory.mktemp("model") / "bright"))


def squares(count: int = 2, planes: int | None = None) -> np.ndarray:
    """Bright squares of 7 x 7 pixels in a row."""
    image = np.full((20, 12 * count + 4), 20, np.uint8)
    for i in range(count):
        image[5:12, 4 + 12 * i : 11 + 12 * i] = 200
    return image if planes is None else np.stack([image] * planes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for name, count in (("b", 2), ("a", 1), ("c", 3)):
        write_image(folder / f"{name}.tif", squares(count), axes="YX")
    return folder


def test_a_folder_is_segmented_in_the_order_of_names(folder: Path, model: nu.Model) -> None:
    out = folder.parent / "new" / "out"
    results = nu.segment_files([folder], model, out)
    assert [r.source.name for r in results] == ["a.tif", "b.tif", "c.tif"]
    assert [r.output for r in results] == [out / f"{n}_labels.tif" for n in "abc"]
    assert [r.error for r in results] == [None] * 3
    assert [int(read_image(r.output).array.max()) for r in results if r.output] == [1, 2, 3]
    assert all(r.seconds > 0 for r in results)
    assert sorted(p.name for p in out.iterdir()) == sorted(
        f"{n}_labels.{ending}" for n in "abc" for ending in ("tif", "json")
    )


def test_the_labels_are_those_of_segment(folder: Path, model: nu.Model) -> None:
    (result,) = nu.segment_files([folder / "c.tif"], model, folder, min_size=10)
    assert result.output is not None
    expected = nu.segment(squares(3), model, min_size=10)
    np.testing.assert_array_equal(read_image(result.output).array, expected)


def test_settings_reach_the_run(folder: Path, model: nu.Model) -> None:
    settings = nu.SegmentSettings(min_size=50, tile=16)
    (result,) = nu.segment_files([folder / "a.tif"], model, folder, settings=settings)
    assert result.record is not None
    assert result.record["objects"] == 0
    (result,) = nu.segment_files([folder / "a.tif"], model, folder, settings=settings, min_size=40)
    assert result.record is not None
    assert result.record["objects"] == 1
    assert result.record["settings"]["tile"] == [16, 16]


@pytest.mark.parametrize("file_format", ["tif", "ome.tif"])
@pytest.mark.parametrize("axes", ["ZYX", "TYX", "TZYX"])
def test_axes_and_pixel_size_are_kept(
    axes: str, file_format: str, model: nu.Model, tmp_path: Path
) -> None:
    image = squares(2, planes=3)
    image = np.stack([image] * 2) if len(axes) == 4 else image
    sizes = (2.0, 0.25, 0.5)[-len(axes.replace("T", "")) :]
    path = write_image(tmp_path / "a.tif", image, axes=axes, pixel_size=sizes)
    (result,) = nu.segment_files([path], model, tmp_path, file_format=file_format)
    assert result.output == tmp_path / f"a_labels.{file_format}"
    written = read_image(result.output)
    assert written.axes == axes
    assert written.pixel_size == pytest.approx(sizes)
    assert written.array.shape == image.shape
    assert result.record is not None
    assert result.record["pixel_size"] == pytest.approx(sizes)


def test_an_unknown_pixel_size_stays_unknown(model: nu.Model, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", squares())
    (result,) = nu.segment_files([tmp_path / "a.npy"], model, tmp_path)
    assert result.output is not None
    assert not any(read_image(result.output).pixel_size or ())
    assert result.record is not None
    assert result.record["pixel_size"] == [None, None]


def test_what_is_given_wins_over_the_file(model: nu.Model, tmp_path: Path) -> None:
    stack = squares(2, planes=3)
    path = write_image(tmp_path / "a.tif", stack, axes="ZYX", pixel_size=(2.0, 0.5, 0.5))
    (result,) = nu.segment_files([path], model, tmp_path, axes="TYX")
    assert result.output is not None
    written = read_image(result.output)
    assert written.axes == "TYX"
    assert written.pixel_size == pytest.approx((0.5, 0.5))  # those of the axes that are left
    (result,) = nu.segment_files([path], model, tmp_path, pixel_size=(1, 0.2, 0.3))
    assert result.output is not None
    assert read_image(result.output).pixel_size == pytest.approx((1, 0.2, 0.3))


def test_scores_have_a_channel_axis(model: nu.Model, tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", squares(), axes="YX", pixel_size=(0.5, 0.25))
    (result,) = nu.segment_files([path], model, tmp_path, scores=True)
    assert result.output == tmp_path / "a_scores.tif"
    written = read_image(result.output)
    assert written.axes == "CYX"
    assert written.array.dtype == np.float32
    assert written.pixel_size == pytest.approx((0.5, 0.25))
    np.testing.assert_array_equal(written.array, nu.predict(squares(), model).scores)


def test_scores_of_a_regression_model(make_model: Callable[..., nu.Model], tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.tif", squares(), axes="YX")
    values = make_model(task="regression")
    (result,) = nu.segment_files([path], values, tmp_path, scores=True)
    assert result.output is not None
    assert read_image(result.output).array.shape[-2:] == squares().shape
    with pytest.raises(ModelError, match="predict"):
        nu.segment_files([path], values, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_zarr_image(model: nu.Model, tmp_path: Path) -> None:
    zarr.create_array(str(tmp_path / "in" / "a.zarr"), data=squares(), dimension_names=["y", "x"])
    (result,) = nu.segment_files([tmp_path / "in"], model, tmp_path / "out")
    assert result.error is None
    assert result.output == tmp_path / "out" / "a_labels.tif"
    np.testing.assert_array_equal(read_image(result.output).array, nu.segment(squares(), model))


def ome_zarr(path: Path, image: np.ndarray) -> None:
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("0", data=image)
    axes = [{"name": name, "type": "space"} for name in "yx"]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "plate.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs["plate"] = {"version": "0.4", "wells": [{"path": "A/1"}, {"path": "B/2"}]}
    for count, well in enumerate(("A/1", "B/2"), 1):
        group.require_group(well).attrs["well"] = {"version": "0.4", "images": [{"path": "0"}]}
        ome_zarr(path / well / "0", squares(count))
    ome_zarr(path.with_name("plain"), squares(3))  # a store whatever its name
    return path


def test_a_plate_stands_for_its_wells(plate: Path, model: nu.Model, tmp_path: Path) -> None:
    for named, expected in (
        ([plate], {"plate_A_1_0": 1, "plate_B_2_0": 2}),
        ([plate.parent], {"plain": 3, "plate_A_1_0": 1, "plate_B_2_0": 2}),
        ([plate / "B"], {"plate_B_2_0": 2}),
        ([plate / "B" / "2"], {"plate_B_2_0": 2}),
        ([plate / "B" / "2" / "0"], {"plate_B_2_0": 2}),
        ([plate / "B" / "2" / "0" / "0"], {"plate_B_2_0_0": 2}),
    ):
        results = nu.segment_files(named, model, tmp_path / "out")
        outputs = {r.output.name: r.record["objects"] for r in results if r.output and r.record}
        assert outputs == {f"{name}_labels.tif": count for name, count in expected.items()}


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    path = tmp_path / "s.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tif:
        for count in (1, 2, 3):
            tif.write(squares(count), metadata={"axes": "YX", "Name": f"position {count}"})
    return path


def test_scenes_are_told_or_run_one_by_one(scenes: Path, model: nu.Model, tmp_path: Path) -> None:
    (result,) = nu.segment_files([scenes], model, tmp_path / "out")
    assert result.record is not None
    assert (result.record["objects"], result.record["scene"]) == (1, 0)
    assert result.record["notes"] == [str(note) for note in result.notes]
    assert "position 2" in result.record["notes"][0]
    (result,) = nu.segment_files([scenes], model, tmp_path / "out", scene="position 3")
    assert result.record is not None
    assert (result.record["objects"], result.record["notes"]) == (3, [])
    results = nu.segment_files([scenes], model, tmp_path / "out", scene="all")
    outputs = {r.output.name: r.record["objects"] for r in results if r.output and r.record}
    assert outputs == {f"s_scene{k}_labels.tif": k + 1 for k in range(3)}


def test_a_preview_does_not_stop_a_folder(folder: Path, model: nu.Model) -> None:
    write_image(folder / "b.png", squares(), axes="YX")
    results = nu.segment_files([folder], model, folder.parent / "out")
    assert [result.source.name for result in results] == ["a.tif", "b.tif", "c.tif"]
    assert [len(result.notes) for result in results] == [0, 1, 0]
    assert results[1].record is not None
    assert "b.png" in results[1].record["notes"][0]


# Records


def test_the_record_stands_beside_and_makes_the_run_again(
    make_model: Callable[..., nu.Model], tmp_path: Path
) -> None:
    model = nu.Model.load(make_model().save(tmp_path / "model"))
    image = np.random.default_rng(3).integers(0, 4000, (50, 70), np.uint16)
    foreground, _ = nu.predict(image, model).scores
    path = write_image(tmp_path / "a.tif", image, axes="YX")
    (result,) = nu.segment_files(
        [path],
        model,
        tmp_path,
        tile=24,
        normalization={"lower": 3, "upper": 97},
        threshold=float(np.quantile(foreground, 0.6)),
        split_depth=0.1,
    )
    assert result.output is not None
    labels = read_image(result.output).array
    assert labels.max() > 1
    record = json.loads((tmp_path / "a_labels.json").read_text())
    file = record.pop("file")
    assert file["bytes"] == (tmp_path / "a_labels.tif").stat().st_size
    assert record == json.loads(json.dumps(result.record))
    assert record["model"] == {"name": "random", "sha256": model.sha256}
    assert record["source"] == str(path)
    assert record["output"] == str(result.output)
    assert record["seconds"] > 0
    assert {"napari-unet-torch", "torch", "numpy", "python"} <= set(record["versions"])
    settings = record["settings"]
    assert settings["tile"] == [24, 24]
    assert settings["device"] not in ("auto", "")
    assert settings["precision"] in ("float32", "bfloat16", "float16")
    assert None not in (settings["threshold"], settings["split_depth"], settings["min_size"])
    again = nu.segment(image, model, **settings)
    np.testing.assert_array_equal(again, labels)


def test_a_name_that_is_no_text(model: nu.Model, tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.tif"  # Latin 1, from an old disk
    try:
        write_image(path, squares(), axes="YX")
    except (UnicodeEncodeError, nu.UNetError):
        pytest.skip("no such names on this file system")
    (result,) = nu.segment_files([path], model, tmp_path / "out")
    assert result.error is None
    record = json.loads((tmp_path / "out" / "caf\udce9_labels.json").read_bytes())
    assert record["source"].endswith("caf\\xe9.tif")


# A run of many


def test_a_bad_file_does_not_end_the_run(folder: Path, model: nu.Model) -> None:
    (folder / "b.tif").write_bytes(b"II*\0 no image")
    results = nu.segment_files([folder], model, folder)
    assert [r.error is None for r in results] == [True, False, True]
    assert results[1].output is None
    assert "b.tif" in str(results[1].error)
    written = {p.name for p in folder.iterdir() if "_labels" in p.name}
    assert written == {"a_labels.tif", "a_labels.json", "c_labels.tif", "c_labels.json"}


def test_whatever_a_file_does_is_its_own_failure(
    folder: Path, model: nu.Model, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any
) -> None:
    real = file_job.read_image
    log = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("NAPARI_UNET_STATE", str(log))

    def deep(depth: int) -> int:
        return deep(depth + 1)

    def read(path: Path, **options: Any) -> Any:
        if path.name == "a.tif":
            deep(0)
        if path.name == "b.tif":
            raise MemoryError
        if path.name == "c.tif":
            raise ZeroDivisionError("odd\nreason")
        return real(path, **options)

    monkeypatch.setattr(file_job, "read_image", read)
    write_image(folder / "d.tif", squares(), axes="YX")
    results = nu.segment_files([folder], model, folder)
    assert [r.error is None for r in results] == [False, False, False, True]
    assert [r.fault.code for r in results if r.fault] == [
        "unexpected",
        "out-of-memory",
        "unexpected",
    ]
    for result, kind in ((results[0], "RecursionError"), (results[2], "ZeroDivisionError: odd")):
        assert kind in str(result.error)
        assert "\n" not in str(result.error)
        assert str(log / "errors.log") in str(result.error)
    assert "in deep" in (log / "errors.log").read_text()
    assert "not enough memory" in str(results[1].error)


@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize(("ndim", "axes"), [(2, "TZYX"), (3, "ZYX"), (2, "YX"), (3, "TZYX")])
def test_a_large_result_goes_through_the_disk_and_is_the_same(
    ndim: int,
    axes: str,
    scores: bool,
    bright_model: Callable[..., nu.Model],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = squares(2, planes=None if axes == "YX" else 40)
    image = np.stack([image, image[:, ::-1]]) if axes == "TZYX" else image
    path = write_image(tmp_path / "a.tif", image, axes=axes)
    model = bright_model(ndim=ndim)
    (kept,) = nu.segment_files([path], model, tmp_path / "memory", scores=scores)
    monkeypatch.setattr(file_job, "MAX_RESULT_BYTES", 1000)
    (streamed,) = nu.segment_files([path], model, tmp_path / "disk", scores=scores)
    assert kept.output is not None
    assert streamed.output is not None
    first, second = read_image(kept.output), read_image(streamed.output)
    np.testing.assert_array_equal(np.asarray(first.array), np.asarray(second.array))
    assert first.axes == second.axes
    assert len(list((tmp_path / "disk").iterdir())) == 2
    assert streamed.record is not None
    assert streamed.record["output"] == str(streamed.output)


def test_planes_are_read_a_slab_at_a_time(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 99, (2, 10, 6, 7))
    stored = zarr.create_array(tmp_path / "a", shape=values.shape, chunks=(1, 4, 6, 7), dtype="i8")
    stored[:] = values
    reads: list[Any] = []

    class Watched:
        shape, dtype, chunks = stored.shape, stored.dtype, stored.chunks

        def __getitem__(self, index: Any) -> Any:
            reads.append(index)
            return stored[index]

    array = SlabReader(Watched(), 1)
    for time, plane in np.ndindex(2, 10):
        np.testing.assert_array_equal(array[time, plane], values[time, plane])
        whole = (time, plane, slice(None), slice(None))
        np.testing.assert_array_equal(array[whole], values[time, plane])
    assert len(reads) == 2 * 3
    np.testing.assert_array_equal(array[...], values)
    np.testing.assert_array_equal(array[:, 3], values[:, 3])


def test_an_interruption_is_no_failure_of_a_file(
    folder: Path, model: nu.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(file_job, "read_image", interrupt)
    with pytest.raises(KeyboardInterrupt):
        nu.segment_files([folder], model, folder)


def test_odd_files_of_a_folder_are_told_and_the_others_are_done(
    folder: Path, model: nu.Model
) -> None:
    odd = folder / "odd"
    odd.mkdir()
    with (odd / "a.npy").open("wb") as file:
        np.savez(file, image=squares())
    (odd / "loop.tif").symlink_to("loop.tif")
    stores = {
        "chunk0": {"shape": [64, 64], "chunks": [0, 64]},
        "absurd": {"shape": [2**62, 2**62], "chunks": [64, 64]},
        "huge_chunk": {"shape": [64, 64], "chunks": [2**40, 2**40]},
        "huge": {"shape": [2**20, 2**20], "chunks": [64, 64]},
        "negative": {"shape": [-64, 64], "chunks": [64, 64]},
    }
    for name, fields in stores.items():
        (odd / f"{name}.zarr").mkdir()
        about = {
            "zarr_format": 2,
            "dtype": "<u2",
            "compressor": None,
            "fill_value": 0,
            "order": "C",
            "filters": None,
            **fields,
        }
        (odd / f"{name}.zarr" / ".zarray").write_text(json.dumps(about))
    write_image(odd / "z.tif", squares(2), axes="YX")
    names = sorted(path.name for path in odd.iterdir())
    results = nu.segment_files([odd / name for name in names], model, folder / "out")
    assert [r.source.name for r in results if r.error is None] == ["z.tif"]
    for result in results[:-1]:
        assert result.fault is not None
        assert result.fault.code != "unexpected", result.error
        assert "\n" not in str(result.error)
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "z_labels.json",
        "z_labels.tif",
    ]


def test_in_place_the_results_are_no_new_inputs(folder: Path, model: nu.Model) -> None:
    before = {p: p.read_bytes() for p in folder.iterdir()}
    for scores in (False, True, False):
        results = nu.segment_files([folder], model, folder, scores=scores)
        assert [r.source.name for r in results] == ["a.tif", "b.tif", "c.tif"]
    assert {p: p.read_bytes() for p in before} == before


def test_a_result_never_replaces_an_input(folder: Path, model: nu.Model) -> None:
    named = write_image(folder / "a_labels.tif", squares(), axes="YX")
    before = named.read_bytes()
    with pytest.raises(InputError, match=r"a_labels\.tif"):
        nu.segment_files([folder / "a.tif", named], model, folder)
    with pytest.raises(InputError, match=r"a_labels\.tif"):  # the same folder by another name
        nu.segment_files([folder / "a.tif", named], model, folder / ".." / folder.name)
    assert named.read_bytes() == before
    results = nu.segment_files([folder / "a.tif", named], model, folder / "out")
    assert [r.error for r in results] == [None, None]


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ("more/a.tif", ["b_labels.tif", "images/a_labels.tif", "more/a_labels.tif"]),
        ("images/a.png", ["b_labels.tif", "a_tif_labels.tif", "a_png_labels.tif"]),
        ("images/a.ome.tif", ["b_labels.tif", "a_tif_labels.tif", "a_ome_tif_labels.tif"]),
    ],
)
def test_images_of_one_name_are_told_apart(
    other: str, named: list[str], folder: Path, model: nu.Model
) -> None:
    write_image(folder.parent / other, squares(), axes="YX")
    out = folder.parent / "out"
    paths = [folder / "b.tif", folder / "a.tif", folder.parent / other]
    results = nu.segment_files(paths, model, out)
    assert [r.output.relative_to(out).as_posix() for r in results if r.output] == named


def test_an_image_named_twice_is_run_once(folder: Path, model: nu.Model) -> None:
    results = nu.segment_files([folder / "b.tif", folder, folder / "b.tif"], model, folder)
    assert [r.source.name for r in results] == ["b.tif", "a.tif", "c.tif"]


@pytest.mark.parametrize(
    ("options", "kind"),
    [({"file_format": "png"}, InputError), ({"treshold": 0.3}, SettingsError)],
)
def test_what_no_file_could_be_run_with_is_said_at_once(
    options: Any, kind: type[Exception], folder: Path, model: nu.Model
) -> None:
    with pytest.raises(kind):
        nu.segment_files([folder], model, folder / "out", **options)
    assert not (folder / "out").exists()


def test_progress_grows_and_every_file_is_reported(folder: Path, model: nu.Model) -> None:
    (folder / "b.tif").write_bytes(b"")
    job = iter_segment_files([folder], model, folder / "out", tile=8)
    steps = []
    try:
        while True:
            steps.append(next(job))
    except StopIteration as end:
        results = end.value
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert {step.total for step in steps} == {3000}
    assert done[-1] == 3000
    assert len(set(done)) > 10  # of tiles, not only of files
    assert [step.result for step in steps if isinstance(step, FileDone)] == results


def test_closing_leaves_what_is_complete_and_nothing_else(folder: Path, model: nu.Model) -> None:
    out = folder / "out"
    job = iter_segment_files([folder], model, out, tile=8)
    for step in job:
        if step.message.startswith("b.tif") and step.done % 1000 > 300:
            break
    job.close()
    assert {p.name for p in out.iterdir()} == {"a_labels.tif", "a_labels.json"}


# Reading examples


def test_an_example_of_files(tmp_path: Path) -> None:
    stack = squares(2, planes=3)
    image = write_image(tmp_path / "a.tif", stack, axes="ZYX", pixel_size=(2.0, 0.5, 0.25))
    labels = write_labels(tmp_path / "b.tif", stack > 100, axes="ZYX")
    example, _ = read_example(image, labels)
    assert example.axes == "ZYX"
    assert example.pixel_size == pytest.approx([2.0, 0.5, 0.25])
    np.testing.assert_array_equal(np.asarray(example.image), stack)
    np.testing.assert_array_equal(np.asarray(example.labels), stack > 100)
    example, _ = read_example(image, labels, axes="TYX", channels=[0], pixel_size=0.7)
    assert (example.axes, example.channels, example.pixel_size) == ("TYX", [0], 0.7)


@given(st.permutations("TCZYX"), st.integers(0, 5))
def test_in_order_follows_the_letters(letters: list[str], dropped: int) -> None:
    kept = "".join(a for a in letters[dropped:] + letters[:dropped] if a != "T" or dropped % 2)
    sizes = {"Z": 3.0, "Y": 2.0, "X": 1.0}
    assert in_order((3.0, 2.0, 1.0), kept) == tuple(sizes[a] for a in kept if a in sizes)


@pytest.mark.parametrize("channels", [2, 5])
def test_channels_behind_the_pixels_are_to_be_named(tmp_path: Path, channels: int) -> None:
    image = nu.load_sample("nuclei_2d").image[:64, :80]
    path = tmp_path / "channels.tif"
    tifffile.imwrite(path, np.dstack([image] * channels))
    (result,) = nu.segment_files([path], "nuclei", tmp_path)
    assert result.output is None
    assert result.fault.parameter == "channels"
    assert f"(axes 'YXC') has {channels}" in result.fault.problem
    (result,) = nu.segment_files([path], "nuclei", tmp_path, channels=[1])
    labels = read_image(result.output)
    assert (labels.axes, labels.array.shape) == ("YX", image.shape)
    assert "The last axis" in result.record["axes_doubt"]
    assert [note.code for note in result.notes] == ["axes-guessed"]
    np.testing.assert_array_equal(labels.array, nu.segment(image, "nuclei"))
