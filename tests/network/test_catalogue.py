"""Models from a folder or a list: only what was asked for, and only what the list means."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from napari_unet.cli.main import main
from napari_unet.errors import FileError, ModelError
from napari_unet.network.catalogue import CatalogueEntry, iter_add, read_catalogue
from napari_unet.network.files import model_files, user_models_folder
from napari_unet.network.model import Model
from napari_unet.progress import drain


class Counting(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and keeps what was asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "mine"))


@pytest.fixture
def lab(tmp_path: Path, make_model: Callable[..., Model]) -> Path:
    """A folder with two models and a list of them."""
    folder = tmp_path / "lab"
    rows = []
    for name in ("our-cells", "our-nuclei"):
        path = make_model(name=name, description=f"About {name}.").save(
            folder / f"{name}.safetensors"
        )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append({"name": name, "file": path.name, "sha256": digest, "description": "Ours."})
    (folder / "models.json").write_text(json.dumps({"models": rows}))
    return folder


@pytest.fixture
def server(lab: Path) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = partial(type("Handler", (Counting,), {"asked": asked}), directory=str(lab))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/models.json", asked
        finally:
            server.shutdown()
            thread.join()


def test_reading_a_list_fetches_no_model(server: tuple[str, list[str]]) -> None:
    address, asked = server
    first, second = read_catalogue(address)
    assert (first.name, second.name) == ("our-cells", "our-nuclei")
    assert asked == ["/models.json"]
    path = drain(iter_add(second))
    assert asked == ["/models.json", "/our-nuclei.safetensors"]
    assert model_files()["our-nuclei"] == path
    assert Model.load("our-nuclei").card.description == "About our-nuclei."


def test_another_file_than_the_list_means_is_not_kept(
    server: tuple[str, list[str]], lab: Path, make_model: Callable[..., Model]
) -> None:
    entry = read_catalogue(server[0])[0]
    make_model(name="our-cells", features=(4,)).save(lab / "our-cells.safetensors")
    with pytest.raises(ModelError, match="not the file that the list means"):
        drain(iter_add(entry))
    assert "our-cells" not in model_files()
    assert list(user_models_folder().rglob("*")) == []


def test_an_address_needs_a_hash(server: tuple[str, list[str]], lab: Path) -> None:
    rows = json.loads((lab / "models.json").read_text())["models"]
    del rows[0]["sha256"]
    (lab / "models.json").write_text(json.dumps({"models": rows}))
    with pytest.raises(ModelError, match="names no SHA-256"):
        drain(iter_add(read_catalogue(server[0])[0]))
    with pytest.raises(ModelError, match="give a list of models"):
        read_catalogue(server[0].replace("models.json", "our-cells.safetensors"))


NO_LISTS = (
    "[]",
    "{",
    '{"models": [{"name": "a"}]}',
    '{"models": [{"name": "a", "file": "b", "sha256": "1"}]}',
)


def test_what_is_no_list_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    for text in NO_LISTS:
        path.write_text(text)
        with pytest.raises(ModelError, match="no list of models"):
            read_catalogue(path)


def test_a_fetched_list_names_no_files_of_this_machine(
    server: tuple[str, list[str]], lab: Path
) -> None:
    (lab / "models.json").write_text(
        json.dumps({"models": [{"name": "a", "file": "file:///etc/passwd"}]})
    )
    with pytest.raises(ModelError, match="no list of models"):
        read_catalogue(server[0])


def test_what_cannot_be_reached_is_named(tmp_path: Path, server: tuple[str, list[str]]) -> None:
    with pytest.raises(FileError, match="cannot be fetched"):
        read_catalogue(server[0].replace("models.json", "gone.json"))
    with pytest.raises(ModelError, match="cannot be read"):
        drain(iter_add(CatalogueEntry("x", str(tmp_path / "gone.safetensors"))))
    with pytest.raises(FileError, match="cannot be read"):
        read_catalogue(tmp_path / "gone.json")
    with pytest.raises(ModelError, match=r"no \.safetensors file"):
        read_catalogue(tmp_path)


def test_the_command_lists_first_and_adds_what_is_named(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "add", str(lab)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "our-cells\tAbout our-cells.",
        "our-nuclei\tAbout our-nuclei.",
    ]
    assert "our-cells" not in model_files()
    assert main(["models", "add", str(lab / "models.json"), "our-cells", "--as", "mine"]) == 0
    assert "mine" in model_files()
    assert main(["models", "add", str(lab / "our-nuclei.safetensors")]) == 0
    assert "our-nuclei" in model_files()
    assert main(["models", "add", str(lab), "our-nuclei"]) == 2  # the name is taken
    assert "our-nuclei" in capsys.readouterr().err
    assert main(["models", "add", str(lab), "theirs"]) == 2
