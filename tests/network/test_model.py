"""Model files: saved, loaded, verified, listed, and refused where they are no such thing."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

import napari_unet as nu
from napari_unet.card import (
    FORMAT_VERSION,
    ClassInfo,
    Decoding,
    InstanceRepresentation,
    ModelCard,
    TrainingRecord,
)
from napari_unet.errors import FileError, ModelError
from napari_unet.network import files as model_file
from napari_unet.network.files import CARD_KEY, bundled_names, model_files, user_models_folder
from napari_unet.network.model import VERIFY_TOLERANCE, Model
from napari_unet.network.unet import UNet
from napari_unet.unet_config import UNetConfig

GOLDEN = Path(__file__).parents[1] / "golden"


def tiny(name: str = "tiny", seed: int = 0, **architecture: Any) -> Model:
    """A semantic model of random weights, with normalisation statistics that matter."""
    config = UNetConfig(**{"out_channels": 2, "features": (4, 8), **architecture})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = UNet(config)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.05, 0.5)  # type: ignore[union-attr]
    card = ModelCard(
        name=name,
        task="semantic",
        axes="CZYX" if config.ndim == 3 else "CYX",
        channels=tuple("abcdef"[: config.in_channels]),
        classes=tuple(ClassInfo(value=v, name=f"class {v}") for v in range(config.out_channels)),
        architecture=config,
    )
    return Model(card, network.eval())


def run(model: Model) -> torch.Tensor:
    config = model.card.architecture
    shape = (1, config.in_channels, *((9,) * config.ndim))
    x = torch.from_numpy(np.random.default_rng(0).random(shape, dtype=np.float32))
    with torch.inference_mode():
        return model.network(x)


def header_of(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length])


def rewritten(source: Path, target: Path, *, card: Any = None, **tensors: torch.Tensor) -> Path:
    """A copy with another card text or other tensors (dots of their names as __)."""
    content = load_file(source)
    content.update({name.replace("__", "."): value for name, value in tensors.items()})
    with safe_open(source, framework="pt") as file:
        metadata = file.metadata()
    if card is not None:
        metadata = {CARD_KEY: card if isinstance(card, str) else json.dumps(card)}
    save_file(content, target, metadata=metadata)
    return target


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return tiny().save(tmp_path / "tiny.safetensors")


# Save and load


@pytest.mark.parametrize(
    "architecture",
    [
        {},
        {"ndim": 3, "strides": ((1, 2, 2),), "in_channels": 2},
        {"norm": "instance", "upsampling": "linear"},
        {"norm": "group", "upsampling": "transposed"},
        {"norm": "none", "features": (3,), "out_channels": 1},
        {"features": (4, 4, 4), "strides": ((3, 2), (1, 2))},
    ],
    ids=str,
)
def test_a_model_comes_back_from_its_file(tmp_path: Path, architecture: dict[str, Any]) -> None:
    model = tiny(**architecture)
    path = model.save(tmp_path / "m.safetensors")
    again = Model.load(path)
    assert again.card == model.card
    assert again.path == path
    assert not again.network.training
    state, expected = again.network.state_dict(), model.network.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)
    assert torch.equal(run(again), run(model))
    again.verify()


def test_equal_saves_give_equal_bytes(tmp_path: Path, saved: Path) -> None:
    again = tiny().save(tmp_path / "again.safetensors")
    copy = Model.load(saved).save(tmp_path / "copy.safetensors")
    assert saved.read_bytes() == again.read_bytes() == copy.read_bytes()
    assert tiny(seed=1).save(tmp_path / "other").read_bytes() != saved.read_bytes()


@pytest.mark.process
def test_another_process_saves_the_same_bytes(tmp_path: Path, saved: Path) -> None:
    code = "import sys; from napari_unet import Model; Model.load(sys.argv[1]).save(sys.argv[2])"
    target = tmp_path / "copy.safetensors"
    subprocess.run([sys.executable, "-c", code, saved, target], check=True, timeout=120)
    assert target.read_bytes() == saved.read_bytes()


def test_the_header_has_one_metadata_key_and_the_test_pair(saved: Path) -> None:
    header = header_of(saved)
    assert list(header["__metadata__"]) == ["napari_unet.card"]
    card = json.loads(header["__metadata__"]["napari_unet.card"])
    assert card["format_version"] == FORMAT_VERSION
    assert header["test.input"]["shape"] == [1, 1, 8, 8]
    assert header["test.output"]["shape"] == [1, 2, 8, 8]


def test_the_hash_is_that_of_the_file(saved: Path) -> None:
    expected = hashlib.sha256(saved.read_bytes()).hexdigest()
    assert Model.load(saved).sha256 == expected
    assert tiny().sha256 == expected  # of the file that it would become


def test_the_hash_follows_a_file_that_is_replaced(saved: Path) -> None:
    first = Model.load(saved).sha256
    tiny(seed=1).save(saved)
    assert Model.load(saved).sha256 == hashlib.sha256(saved.read_bytes()).hexdigest() != first


def test_a_loaded_model_does_not_change_with_its_file(saved: Path) -> None:
    model = Model.load(saved)
    before = run(model)
    with saved.open("r+b") as file:  # overwritten in place, as a careless copy does
        size = saved.stat().st_size
        file.seek(size // 2)
        file.write(b"\xff" * (size - size // 2))
    assert torch.equal(run(model), before)
    model.verify()


def test_saving_adds_the_suffix_and_the_folder_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tiny().save(tmp_path / "new" / "version 1.2")
    assert path == tmp_path / "new" / "version 1.2.safetensors"
    assert [p.name for p in path.parent.iterdir()] == ["version 1.2.safetensors"]
    Model.load(str(path)).verify()


def test_saving_where_it_cannot_be_is_a_file_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(FileError, match=r"m\.safetensors"):
        tiny().save(tmp_path / "file" / "m.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(FileError, match="is a folder"):
        tiny().save(tmp_path / "folder.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.safetensors"]


def test_saving_leaves_training_mode_and_random_state_alone(tmp_path: Path) -> None:
    model = tiny()
    model.network.train()
    before, state = tiny().network.state_dict(), torch.random.get_rng_state()
    path = model.save(tmp_path / "m")
    Model.load(path)
    assert model.network.training
    assert torch.equal(torch.random.get_rng_state(), state)
    after = model.network.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)


def test_a_model_is_taken_as_it_is() -> None:
    model = tiny()
    assert Model.load(model) is model


def test_a_loaded_model_can_be_trained_on(saved: Path) -> None:
    network = Model.load(saved).network.train()
    network(torch.ones(2, 1, 8, 8)).sum().backward()
    assert all(p.requires_grad and p.grad is not None for p in network.parameters())


# Verify


def test_verify_notices_changed_weights(saved: Path) -> None:
    model = Model.load(saved)
    with torch.no_grad():
        model.network.head.bias += 0.05
    with pytest.raises(ModelError, match="another result") as caught:
        model.verify()
    assert "'tiny'" in str(caught.value)


@pytest.mark.parametrize("name", ["network.head.weight", "network.encoder.0.1.running_var"])
def test_verify_notices_weights_changed_in_the_file(tmp_path: Path, saved: Path, name: str) -> None:
    value = load_file(saved)[name] * 1.5 + 0.1
    path = rewritten(saved, tmp_path / "changed.safetensors", **{name.replace(".", "__"): value})
    with pytest.raises(ModelError, match="another result"):
        Model.load(path).verify()


def test_verify_notices_nan(saved: Path) -> None:
    model = Model.load(saved)
    with torch.no_grad():
        model.network.head.bias[0] = float("nan")
    with pytest.raises(ModelError, match="another result"):
        model.verify()


def test_verify_allows_rounding(saved: Path) -> None:
    model = Model.load(saved)
    with torch.no_grad():
        model.network.head.bias += VERIFY_TOLERANCE / 4
    model.verify()


@pytest.mark.parametrize(
    "test_input", [torch.zeros(1, 3, 8, 8), torch.zeros(2), torch.zeros(1, 1, 6, 6)], ids=str
)
def test_verify_refuses_a_test_of_another_size(
    tmp_path: Path, saved: Path, test_input: torch.Tensor
) -> None:
    path = rewritten(saved, tmp_path / "changed.safetensors", test__input=test_input)
    with pytest.raises(ModelError, match="another result"):
        Model.load(path).verify()


def test_a_model_without_a_test_cannot_be_verified(tmp_path: Path, saved: Path) -> None:
    with pytest.raises(ModelError, match="no stored test"):
        tiny().verify()
    content = {k: v for k, v in load_file(saved).items() if k != "test.output"}
    bare = tmp_path / "bare.safetensors"
    save_file(content, bare, metadata=header_of(saved)["__metadata__"])
    model = Model.load(bare)
    with pytest.raises(ModelError, match="no stored test"):
        model.verify()
    Model.load(model.save(tmp_path / "whole")).verify()


def test_a_changed_model_is_saved_with_a_test_of_its_own(tmp_path: Path, saved: Path) -> None:
    model = Model.load(saved)
    with torch.no_grad():
        model.network.head.bias += 1
    Model.load(model.save(tmp_path / "changed")).verify()


# Golden files: what users have must load forever


def test_every_format_version_has_a_golden_file() -> None:
    names = sorted(path.name for path in GOLDEN.glob("*.safetensors"))
    assert names == [f"format_version_{v}.safetensors" for v in range(1, FORMAT_VERSION + 1)]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.safetensors")), ids=lambda p: p.stem)
def test_golden_files_load_and_verify(path: Path) -> None:
    Model.load(path).verify()


def test_format_version_1(tmp_path: Path) -> None:
    path = GOLDEN / "format_version_1.safetensors"
    assert path.stat().st_size < 30_000
    assert header_of(path)["__metadata__"].keys() == {CARD_KEY}
    model = Model.load(path)
    card = model.card
    assert (card.format_version, card.name, card.task) == (1, "golden-1", "instance")
    assert (card.axes, card.channels) == ("CYX", ("DNA", "membrane"))
    assert card.classes == (ClassInfo(value=1, name="cell", colour="#33aa55"),)
    assert card.instances == InstanceRepresentation(name="foreground-distance", version=1)
    assert card.decoding == Decoding(threshold=0.4, split_depth=0.25, min_size=12, smoothing=1.5)
    assert (card.pixel_size, card.unit) == ((0.5, 0.25), "micrometer")
    assert (card.object_diameter, card.output_limits) == (17.5, None)
    assert card.normalization.model_dump() == {
        "mode": "percentile",
        "lower": 0.5,
        "upper": 99.5,
        "scope": "time",
        "limits": None,
    }
    assert card.architecture == UNetConfig(
        ndim=2,
        in_channels=2,
        out_channels=2,
        features=(4, 6, 8),
        strides=((2, 2), (1, 3)),
        norm="batch",
        upsampling="nearest",
    )
    assert card.training == TrainingRecord(
        base="nuclei",
        base_sha256="0" * 64,
        examples=3,
        labelled_pixels=12345,
        data_sha256="1" * 64,
        steps=10,
        seconds=2.5,
        seed=7,
        versions={"python": "3.11"},
        config={"patch": [64, 64], "minutes": None},
    )
    assert [(s.data, s.images, s.values) for s in card.scores] == [("none", 1, {"ap_50": 0.5})]
    assert card.thumbnail is not None
    assert Image.open(io.BytesIO(base64.b64decode(card.thumbnail))).size == (1, 1)
    assert (card.licence, card.authors) == ("CC0-1.0", ("napari-unet contributors",))
    assert card.citation == "none"

    y, x = np.mgrid[:5, :7]
    image = np.stack([np.sin(y), x / 7]).astype(np.float32)
    with torch.inference_mode():
        found = model.network(torch.from_numpy(image)[None])[0, :, ::2, ::3]
    expected = [
        [
            [-2.069676, -3.462528, -4.238125],
            [-0.460878, -12.40065, -19.599045],
            [-12.412933, -22.336765, -17.8796],
        ],
        [
            [1.308220, 2.663295, 3.409585],
            [-0.264193, 11.175468, 18.13653],
            [10.657959, 20.170715, 15.850824],
        ],
    ]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)


# Names and lists


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Folders of the bundled models and of the user's."""
    bundled, user = tmp_path / "bundled", tmp_path / "user"
    bundled.mkdir()
    user.mkdir()
    monkeypatch.setattr(model_file, "BUNDLED", bundled)
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(user))
    return bundled, user


def test_bundled_and_user_models_are_listed_and_load_by_name(folders: tuple[Path, Path]) -> None:
    bundled, user = folders
    tiny("nuclei").save(bundled / "nuclei")
    tiny("mine").save(user / "mine")
    assert [card.name for card in nu.list_models()] == ["nuclei", "mine"]
    assert Model.load("mine").path == user / "mine.safetensors"
    assert Model.load("nuclei").path == bundled / "nuclei.safetensors"


def test_a_user_model_cannot_shadow_a_bundled_one(folders: tuple[Path, Path]) -> None:
    bundled, user = folders
    ours = tiny("nuclei").save(bundled / "nuclei")
    tiny("nuclei", seed=1).save(user / "nuclei")
    assert bundled_names() == {"nuclei"}
    assert model_files() == {"nuclei": ours}
    assert [card.name for card in nu.list_models()] == ["nuclei"]
    assert Model.load("nuclei").sha256 == hashlib.sha256(ours.read_bytes()).hexdigest()


def test_a_file_in_the_working_folder_cannot_shadow_a_name(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = tiny("nuclei").save(folders[0] / "nuclei")
    (tmp_path / "nuclei").write_bytes(b"something else")
    monkeypatch.chdir(tmp_path)
    assert Model.load("nuclei").path == ours


def test_every_listed_name_loads_even_of_a_renamed_file(folders: tuple[Path, Path]) -> None:
    tiny("nuclei").save(folders[0] / "nuclei")
    tiny("nuclei", seed=1).save(folders[1] / "nuclei (2)")
    names = [card.name for card in nu.list_models()]
    assert names == ["nuclei", "nuclei (2)"]
    assert len({Model.load(name).sha256 for name in names}) == 2


def test_unreadable_files_are_left_out_of_the_list(folders: tuple[Path, Path]) -> None:
    user = folders[1]
    tiny("good").save(user / "good")
    (user / "bad.safetensors").write_bytes(b"")
    (user / "folder.safetensors").mkdir()
    (user / "notes.txt").write_text("no model")
    assert [card.name for card in nu.list_models()] == ["good"]


def test_no_folder_is_no_models(folders: tuple[Path, Path], monkeypatch: Any) -> None:
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(folders[1] / "missing"))
    assert nu.list_models() == []
    assert not (folders[1] / "missing").exists()


def test_the_user_folder_is_the_platforms_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_UNET_MODELS", "elsewhere")
    assert user_models_folder() == Path("elsewhere")
    monkeypatch.delenv("NAPARI_UNET_MODELS")
    assert user_models_folder().parts[-2:] == ("napari-unet", "models")


@pytest.mark.process
def test_listing_does_not_import_torch(tmp_path: Path) -> None:
    tiny("mine").save(tmp_path / "mine")
    code = (
        "import sys, napari_unet\n"
        "print([card.name for card in napari_unet.list_models()])\n"
        "print('torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "NAPARI_UNET_MODELS": str(tmp_path)},
    )
    names, with_torch = done.stdout.splitlines()
    assert "'mine'" in names
    assert with_torch == "False"


# What is no model


def refusal(source: Any) -> str:
    """The sentence with which a source is refused."""
    with pytest.raises(ModelError) as caught:
        Model.load(source)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert ". " not in message
    return message


def test_an_unknown_name_lists_the_known_ones(folders: tuple[Path, Path]) -> None:
    assert "none" in refusal("nuclie")
    tiny("nuclei").save(folders[0] / "nuclei")
    message = refusal("nuclie")
    assert "'nuclie'" in message
    assert "nuclei" in message


@pytest.mark.parametrize("as_path", [True, False])
def test_a_missing_file(tmp_path: Path, as_path: bool) -> None:
    path = tmp_path / "missing.safetensors"
    message = refusal(path if as_path else str(path))
    assert str(path) in message
    assert "check the path" in message


@pytest.mark.parametrize("source", ["", ".", "~"])
def test_a_name_that_is_a_folder(source: str) -> None:
    refusal(source)


def test_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    assert "is a folder" in refusal(folder)
    assert "is a folder" in refusal(str(tmp_path))  # with a separator: no name of a model


def test_an_unreadable_file(tmp_path: Path, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: Any, **kwargs: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    assert "Permission denied" in refusal(saved)


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.safetensors"
    path.write_bytes(b"")
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("share", [0.0005, 0.05, 0.5, 0.9, 0.9999])
def test_a_truncated_file(tmp_path: Path, saved: Path, share: float) -> None:
    raw = saved.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(raw[: int(len(raw) * share)])
    assert "cut.safetensors" in refusal(path)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "noise.safetensors"
    path.write_bytes(np.random.default_rng(seed).bytes(3000))
    assert "noise.safetensors" in refusal(path)


def test_a_header_of_absurd_length(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    assert "damaged" in refusal(path)


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_pickle_is_refused_and_never_opened(tmp_path: Path, kind: str, suffix: str) -> None:
    path, mark = tmp_path / f"model{suffix}", tmp_path / "executed"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb(mark)))
    else:
        content = {"weight": torch.zeros(3), "bomb": Bomb(mark)}
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    assert "pickled" in refusal(path)
    assert not mark.exists()


@pytest.mark.parametrize("marks", [b"\x80\x02", b"PK"])
def test_a_length_that_looks_like_a_pickle_is_none(tmp_path: Path, marks: bytes) -> None:
    # a safetensors file begins with the length of its header, which can be any number
    model = tiny()
    wanted = int.from_bytes(marks, "little")
    path = tmp_path / "m.safetensors"
    while wanted < 4000:
        wanted += 1 << 16
    base = header_of_length(model, path)
    filler = "x" * (wanted - base)
    filled = Model(model.card.model_copy(update={"citation": filler}), model.network)
    filled.save(path)
    assert path.read_bytes()[:2] == marks
    assert Model.load(path).card.citation == filler


def header_of_length(model: Model, path: Path) -> int:
    (length,) = struct.unpack("<Q", model.save(path).read_bytes()[:8])
    return int(length)


def test_safetensors_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    assert "without a model card" in refusal(path)
    save_file({"weight": torch.zeros(3)}, path, metadata={"format": "pt"})
    assert "without a model card" in refusal(path)


def test_a_newer_file_says_that_it_is_newer(tmp_path: Path, saved: Path) -> None:
    card = tiny().card.model_dump(mode="json")
    newer = {**card, "format_version": FORMAT_VERSION + 1, "invented": True}
    message = refusal(rewritten(saved, tmp_path / "newer.safetensors", card=newer))
    assert "newer version" in message
    assert "update" in message


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"format_version": 1}'])
def test_a_damaged_card(tmp_path: Path, saved: Path, text: str) -> None:
    assert "damaged" in refusal(rewritten(saved, tmp_path / "bad.safetensors", card=text))


@pytest.mark.parametrize(
    "architecture",
    [
        {"features": [4, 16]},
        {"features": [4, 8, 8], "strides": []},
        {"features": [4], "strides": []},
        {"norm": "none"},
        {"upsampling": "transposed"},
    ],
    ids=str,
)
def test_weights_that_do_not_fit_the_card(
    tmp_path: Path, saved: Path, architecture: dict[str, Any]
) -> None:
    card = tiny().card.model_dump(mode="json")
    card["architecture"] = {**card["architecture"], **architecture}
    path = rewritten(saved, tmp_path / "misfit.safetensors", card=card)
    assert "do not fit" in refusal(path)


def test_a_file_without_weights(tmp_path: Path, saved: Path) -> None:
    path = tmp_path / "empty.safetensors"
    save_file({}, path, metadata=header_of(saved)["__metadata__"])
    assert "do not fit" in refusal(path)


def test_weights_that_float16_holds_exactly_take_half_the_space(
    tmp_path: Path, saved: Path
) -> None:
    model = tiny()
    with torch.no_grad():
        for value in model.network.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.half().float())
    path = model.save(tmp_path / "rounded")
    stored = {k: v for k, v in load_file(path).items() if k.startswith("network.")}
    assert {v.dtype for v in stored.values() if v.is_floating_point()} == {torch.float16}
    assert {v.dtype for v in load_file(saved).values()} >= {torch.float32}  # others lose nothing
    loaded = Model.load(path)
    loaded.verify()
    assert torch.equal(run(loaded), run(model))
    assert loaded.save(tmp_path / "again").read_bytes() == path.read_bytes()


def test_half_precision_weights_run_in_single_precision(tmp_path: Path, saved: Path) -> None:
    halves = {k: v.half() if v.is_floating_point() else v for k, v in load_file(saved).items()}
    path = tmp_path / "half.safetensors"
    save_file(halves, path, metadata=header_of(saved)["__metadata__"])
    model = Model.load(path)
    assert all(p.dtype == torch.float32 for p in model.network.parameters())
    torch.testing.assert_close(run(model), run(tiny()), atol=0.02, rtol=0.02)
