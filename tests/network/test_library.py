"""The user's own models: kept, renamed, deleted, shared, and never lost by accident."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import napari_unet as nu
from napari_unet.errors import FileError, ModelError
from napari_unet.io import write_record
from napari_unet.network.files import BUNDLED, file_sha256
from napari_unet.network.library import (
    check_new_name,
    delete_model,
    export_model,
    rename_model,
    save_user_model,
)
from napari_unet.network.model import Model


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's models, of which there are none; the folder is not there yet."""
    path = tmp_path / "models"
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(path))
    return path


@pytest.fixture
def model(make_model: Callable[..., Model]) -> Model:
    found: Model = make_model()
    return found


def names() -> list[str]:
    bundled = {path.stem for path in BUNDLED.glob("*.safetensors")}
    return sorted({card.name for card in nu.list_models()} - bundled)


# ------------------------------------------------------------------------------------ saved


def test_a_model_is_kept_under_its_name(model: Model, folder: Path) -> None:
    path = save_user_model(model, "my cells 2.1", description="From Tuesday.")
    assert path == folder / "my cells 2.1.safetensors"
    kept = Model.load("my cells 2.1")
    kept.verify()
    assert (kept.card.name, kept.card.description) == ("my cells 2.1", "From Tuesday.")
    assert model.card.name == "random"
    assert names() == ["my cells 2.1"]
    save_user_model(model, "other")
    assert Model.load("other").card.description == model.card.description


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "no name"),
        ("  ", "no name"),
        ("a/b", r"has '/' in it"),
        ("a\\b", "in it"),
        ("../up", "in it"),
        ("what?", r"has '\?' in it"),
        ("new\nline", "in it"),
        (" cells", "begins or ends with a blank"),
        (".cells", "begins or ends"),
        ("cells.", "begins or ends"),
        ("cells.safetensors", "without .safetensors"),
        ("nul", "Windows"),
        ("x" * 101, "101 characters"),
        ("nuclei", "name of a bundled model"),
        ("Nuclei", "name of a bundled model"),
        ("mine", "There is a model 'mine' already"),
        ("MINE", "There is a model 'mine' already"),
    ],
)
def test_names_that_cannot_be_had(model: Model, folder: Path, name: str, said: str) -> None:
    save_user_model(model, "mine")
    save_user_model(model, "old")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for attempt in (
        lambda: check_new_name(name),
        lambda: save_user_model(model, name),
        lambda: rename_model("old", name),
    ):
        with pytest.raises(ModelError, match=said):
            attempt()
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


# ---------------------------------------------------------------------------------- renamed


@pytest.mark.parametrize("new", ["new", "zellkerne-größer", "a much longer name than before", "n"])
def test_renaming_changes_the_name_alone(model: Model, folder: Path, new: str) -> None:
    old = save_user_model(model, "old", description="µm, 日本")
    weights = load_file(old)
    path = rename_model("old", new)
    assert path == folder / f"{new}.safetensors"
    assert names() == [new]
    assert list(folder.iterdir()) == [path]
    renamed = Model.load(new)
    renamed.verify()
    assert (renamed.card.name, renamed.card.description) == (new, "µm, 日本")
    after = load_file(path)
    assert all(torch.equal(weights[key], after[key]) for key in weights)
    with safe_open(path, framework="numpy") as file:
        assert set(file.metadata()) == {"napari_unet.card"}
    # byte by byte the file that saving under this name would have given
    found = path.read_bytes()
    delete_model(new)
    assert save_user_model(model, new, description="µm, 日本").read_bytes() == found


def test_renaming_to_the_same_or_another_spelling(model: Model) -> None:
    path = save_user_model(model, "cells")
    assert rename_model("cells", "cells") == path
    rename_model("cells", "Cells")
    assert names() == ["Cells"]


def test_another_spelling_does_not_replace_another_model(model: Model, folder: Path) -> None:
    save_user_model(model, "cells")
    (folder / "Cells.safetensors").write_bytes((folder / "cells.safetensors").read_bytes())
    if len(list(folder.iterdir())) == 1:
        pytest.skip("the file system does not tell capitals")
    with pytest.raises(ModelError, match="There is a model 'Cells' already"):
        rename_model("cells", "Cells")
    assert names() == ["Cells", "cells"]


def test_a_renaming_that_fails_leaves_the_model(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_user_model(model, "old")

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfileobj", full)
        with pytest.raises(FileError, match="disk is full"):
            rename_model("old", "new")
    Model.load("old").verify()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "hardlink_to", full)
        with pytest.raises(FileError, match="disk is full"):
            rename_model("old", "new")
    unlink = Path.unlink

    def locked(path: Path, *arguments: Any, **options: Any) -> None:
        if path.name == "old.safetensors":
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", locked)  # as where another program has it open
        with pytest.raises(FileError, match=r"'old' cannot be renamed \(Permission"):
            rename_model("old", "new")
    Model.load("old").verify()
    assert names() == ["old"]


# ---------------------------------------------------------------------------------- deleted


def test_a_deleted_model_is_gone(model: Model, folder: Path) -> None:
    save_user_model(model, "one")
    save_user_model(model, "two")
    delete_model("one")
    assert names() == ["two"]
    (folder / "two.safetensors").write_bytes(b"damaged")
    delete_model("two")
    assert list(folder.iterdir()) == []


def test_the_record_of_a_training_goes_with_its_model(model: Model, folder: Path) -> None:
    path = save_user_model(model, "old 1.2")
    record = {
        "operation": "train",
        "config": {"name": "old 1.2", "steps": 3},
        "examples": [],
        "model": {"name": "old 1.2", "sha256": file_sha256(path)},
    }
    write_record(path, record)
    renamed = rename_model("old 1.2", "new")
    assert sorted(p.name for p in folder.iterdir()) == ["new.json", "new.safetensors"]
    found = json.loads((folder / "new.json").read_text())
    assert found["model"] == {"name": "new", "sha256": file_sha256(renamed)}
    assert found["config"] == {"name": "new", "steps": 3}
    assert found["output"] == str(renamed)
    rename_model("new", "New")
    assert {p.name for p in folder.iterdir()} == {"New.json", "New.safetensors"}
    # files of somebody else are left as they are, under either name
    save_user_model(model, "other")
    for name in ("other", "third"):
        (folder / f"{name}.json").write_text('{"mine": true}')
    rename_model("New", "third")
    rename_model("other", "fourth")
    assert (folder / "third.json").read_text() == '{"mine": true}'
    delete_model("third")
    delete_model("fourth")
    assert {p.name for p in folder.iterdir()} == {"New.json", "other.json", "third.json"}
    write_record(save_user_model(model, "last"), record)
    delete_model("last")
    assert not (folder / "last.json").exists()


@pytest.mark.parametrize("act", [delete_model, lambda name: rename_model(name, "new")])
def test_only_models_of_the_user_are_touched(act: Any, tmp_path: Path, model: Model) -> None:
    outside = model.save(tmp_path / "outside")
    for name in ("nuclei", "missing", "../outside", str(outside)):
        with pytest.raises(ModelError, match=r"bundled|There is no model"):
            act(name)
    assert outside.exists()
    Model.load("nuclei").verify()


def test_a_model_that_cannot_be_deleted(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    save_user_model(model, "held")

    def refuse(*arguments: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(FileError, match=r"'held' cannot be deleted \(Permission denied\)"):
        delete_model("held")


# ----------------------------------------------------------------------------------- shared


@pytest.mark.parametrize("given", ["shared", "shared.safetensors", "new/shared", ""])
def test_a_model_is_copied_to_one_file(model: Model, tmp_path: Path, given: str) -> None:
    source = save_user_model(model, "mine")
    place = tmp_path / "out"
    place.mkdir()
    path = export_model("mine", place / given)
    assert path.name == ("mine.safetensors" if given == "" else "shared.safetensors")
    assert path.read_bytes() == source.read_bytes()
    Model.load(path).verify()
    assert [file for file in place.rglob("*") if file.is_file()] == [path]


def test_a_bundled_model_is_copied_as_it_is(tmp_path: Path) -> None:
    path = export_model("nuclei", tmp_path / "copy")
    assert path.read_bytes() == (BUNDLED / "nuclei.safetensors").read_bytes()


def test_a_copy_has_the_name_that_stands_in_the_list(
    model: Model, folder: Path, tmp_path: Path
) -> None:
    save_user_model(model, "mine").rename(folder / "by hand.safetensors")
    path = export_model("by hand", tmp_path / "copy")
    assert Model.load(path).card.name == "by hand"


def test_a_file_is_replaced_on_request_alone(model: Model, tmp_path: Path) -> None:
    save_user_model(model, "mine")
    path = tmp_path / "notes.safetensors"
    path.write_text("something else")
    with pytest.raises(FileError, match="There is a file"):
        export_model("mine", path)
    assert path.read_text() == "something else"
    export_model("mine", path, overwrite=True)
    Model.load(path).verify()


def test_what_cannot_be_shared(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model 'mine'"):
        export_model("mine", tmp_path / "copy")
    folder.mkdir()
    (folder / "bad.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="damaged"):
        export_model("bad", tmp_path / "copy")
    assert not (tmp_path / "copy.safetensors").exists()


@pytest.mark.process
def test_torch_is_not_needed(model: Model, tmp_path: Path) -> None:
    save_user_model(model, "mine")
    code = (
        "import sys; from napari_unet.network import library as u\n"
        "u.rename_model('mine', 'yours'); u.export_model('yours', sys.argv[1])\n"
        "u.delete_model('yours')\n"
        "from napari_unet.training.verdict import describe_training\n"
        "import napari_unet as nu; [describe_training(card) for card in nu.list_models()]\n"
        "assert 'torch' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    arguments = [sys.executable, "-c", code, str(tmp_path / "copy")]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_file_is_open_when_one_is_replaced(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows does not replace a file that is open."""
    save_user_model(model, "mine")
    opened: list[Any] = []
    still_open: list[list[str]] = []
    open_path, replace, link = Path.open, os.replace, Path.hardlink_to

    def watched(self: Path, *arguments: Any, **options: Any) -> Any:
        opened.append(open_path(self, *arguments, **options))
        return opened[-1]

    def check(source: Any, target: Any, **options: Any) -> None:
        still_open.append([str(file.name) for file in opened if not file.closed])
        replace(source, target, **options)

    def check_link(self: Path, target: Path) -> None:
        still_open.append([str(file.name) for file in opened if not file.closed])
        link(self, target)

    monkeypatch.setattr(Path, "open", watched)
    monkeypatch.setattr(os, "replace", check)
    monkeypatch.setattr(Path, "hardlink_to", check_link)
    rename_model("mine", "yours")
    export_model("yours", tmp_path / "copy")
    export_model("yours", tmp_path / "copy", overwrite=True)
    assert len(opened) >= 6
    assert still_open == [[], [], []]


def test_a_model_is_not_exported_onto_itself(model: Model) -> None:
    path = save_user_model(model, "mine")
    before = path.read_bytes()
    for place in (path, path.parent):
        with pytest.raises(FileError, match="the model 'mine' itself"):
            export_model("mine", place, overwrite=True)
    assert path.read_bytes() == before
