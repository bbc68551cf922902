"""Label files, read as what they mean, without running anything of them."""

from __future__ import annotations

import io
import os
import pickle
import warnings
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from napari_unet.errors import FileError
from napari_unet.io.label_files import read_labels

LABELS = np.array([[0, 1, 1], [2, 0, 300]], np.uint16)


def npy_of(pickled: bytes) -> bytes:
    """A .npy file of one object whose pickle is this."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    return file.getvalue() + pickled


def cellpose(path: Path, content: Any) -> Path:
    np.save(path, content)
    return path


# ------------------------------------------------------------------------------------ Cellpose


def test_labels_of_cellpose(tmp_path: Path) -> None:
    content = {
        "outlines": LABELS * 0,
        "masks": LABELS,
        "chan_choose": [0, 0],
        "ismanual": np.zeros(3, bool),
        "filename": Path("/somewhere/a.tif"),
        "flows": [np.zeros((2, 3, 3), np.uint8), [], None],
        "est_diam": np.float64(30.0),
        "model_path": 0,
    }
    found = read_labels([cellpose(tmp_path / "a_seg.npy", content)])
    np.testing.assert_array_equal(found.array, LABELS)
    assert (found.array.dtype, found.axes) == (np.uint16, "YX")


@given(
    arrays.arrays(
        st.sampled_from(["<u2", ">i4", "u1", "<i8"]),
        arrays.array_shapes(min_dims=2, max_dims=3, max_side=4),
    ),
    st.integers(3, pickle.HIGHEST_PROTOCOL),
    st.booleans(),
)
def test_any_array_in_any_protocol(labels: Any, protocol: int, fortran: bool) -> None:
    labels = np.asfortranarray(labels) if fortran else labels
    boxed = np.array({"masks": labels, "more": [1, "x", (2.0, None)]}, dtype=object)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x_seg.npy"
        path.write_bytes(npy_of(pickle.dumps(boxed, protocol)))
        found = read_labels([path])
    np.testing.assert_array_equal(found.array, labels)
    assert found.array.dtype.isnative


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (self.place,)


class Indirect:
    """Calls what `operator` gives."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> Any:
        return self.call, self.arguments


@pytest.mark.parametrize("inside", ["root", "masks", "beside"])
def test_a_pickle_that_runs_a_program_is_refused(inside: str, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    evil = Evil(str(trap))
    content: Any = {"masks": LABELS, "more": evil}
    content = {"masks": [evil]} if inside == "masks" else evil if inside == "root" else content
    path = cellpose(tmp_path / "a_seg.npy", content)
    with pytest.raises(FileError, match="run a program"):
        read_labels([path])
    assert not trap.exists()
    np.load(path, allow_pickle=True)  # the trap works
    assert trap.exists()


@pytest.mark.parametrize(
    "call",
    [eval, exec, os.system, getattr, np.load, np.fromfile, OrderedDict, pickle.loads, Path.unlink],
)
def test_other_names_are_refused(call: Any, tmp_path: Path) -> None:
    path = cellpose(tmp_path / "a_seg.npy", {"masks": LABELS, "more": Indirect(call, "x")})
    with pytest.raises(FileError, match="was not opened"):
        read_labels([path])


def test_a_type_that_holds_addresses_is_not_built(tmp_path: Path) -> None:
    addresses = np.empty((1, 2), object)
    for content in ({"masks": addresses}, {"masks": np.zeros((2, 2), "M8[s]")}, {"other": LABELS}):
        path = cellpose(tmp_path / "a_seg.npy", content)
        with pytest.raises(FileError, match="no labels of Cellpose"):
            read_labels([path])


@given(st.data())
def test_damaged_files_raise_errors_of_ours(data: st.DataObject) -> None:
    boxed = np.array({"masks": LABELS, "x": [1, 2]}, dtype=object)
    whole = bytearray(npy_of(pickle.dumps(boxed, 4)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(128, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(128, len(whole)))
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "x_seg.npy"
        path.write_bytes(whole[:cut])
        try:
            found = read_labels([path])
        except FileError:
            return
        assert found.array.dtype.kind in "biuf"


# ------------------------------------------------------------------------------------- pictures


def test_a_grey_picture_saved_in_colours_is_grey(tmp_path: Path) -> None:
    grey = np.array([[0, 1], [2, 2]], np.uint8)
    Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(tmp_path / "a.png")
    found = read_labels([tmp_path / "a.png"])
    np.testing.assert_array_equal(found.array, grey)
    assert found.axes == "YX"


def test_transparency_is_no_label(tmp_path: Path) -> None:
    grey = np.array([[0, 1], [2, 2]], np.uint8)
    for mode, channels in (("LA", 1), ("RGBA", 3)):
        alpha = (grey > 0) * np.uint8(255)
        Image.fromarray(np.stack([*[grey] * channels, alpha], -1), mode).save(tmp_path / "a.png")
        found = read_labels(tmp_path / "a.png")
        np.testing.assert_array_equal(found.array, grey)
        assert found.axes == "YX"


@pytest.mark.parametrize(
    ("colours", "said"), [(5, "5 colours.*unique"), (5000, "not an overlay of them on the image.$")]
)
def test_a_colour_picture_is_told_to_be_one(colours: int, said: str, tmp_path: Path) -> None:
    numbers = np.arange(colours)
    picture = np.stack([numbers % 7, numbers % 251, numbers // 251], -1).astype(np.uint8)
    Image.fromarray(picture.reshape(1, -1, 3)).save(tmp_path / "a.png")
    with pytest.raises(FileError, match=f"colour picture.*{said}"):
        read_labels([tmp_path / "a.png"])


# ------------------------------------------------------------------------- one object a file


def test_masks_of_one_object_each(tmp_path: Path) -> None:
    masks = [np.zeros((4, 5), np.uint8) for _ in range(3)]
    masks[0][:2], masks[1][1:3], masks[2][3] = 255, 255, 1
    paths = []
    for i, mask in enumerate(masks):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(mask).save(paths[-1])
    found = read_labels(paths)
    assert found.array[:, 0].tolist() == [1, 2, 2, 3]
    assert "overlap in 5 pixels" in str(found.notes[0])
    assert not read_labels(paths[1:]).notes


@pytest.mark.parametrize(("second", "said"), [([[1, 2]], "several values"), ([[1]], "shape")])
def test_masks_that_are_no_single_objects(second: Any, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[0, 1]]))
    np.save(tmp_path / "b.npy", np.array(second))
    with pytest.raises(FileError, match=said):
        read_labels([tmp_path / "a.npy", tmp_path / "b.npy"])
