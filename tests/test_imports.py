"""What importing does, and what it does not: no viewer in the core, no torch before its time."""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_unet as nu

pytestmark = pytest.mark.process

VIEWER = ("napari", "magicgui", "qtpy", "superqt")

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocker())
"""


def python(code: str, *arguments: str, **environment: str) -> Any:
    """Run code in a fresh interpreter; the last line that it prints, from JSON."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        # the same package as in this process, installed or not
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


CORE_RUN = """
import importlib, json, logging, os, pkgutil
import numpy as np

before = dict(os.environ)
import napari_unet


found = pkgutil.walk_packages(napari_unet.__path__, "napari_unet.", onerror=print)
modules = [m.name for m in found if m.name.split(".")[1] not in ("widgets", "__main__")]
for name in modules:
    importlib.import_module(name)
for name in napari_unet.__all__:
    getattr(napari_unet, name)
names = {key for key in before.keys() | os.environ.keys() if key.startswith("NAPARI")}
ours = [n for n in logging.root.manager.loggerDict if n.startswith("napari_unet")]
loggers = [logging.root, *map(logging.getLogger, ours)]

image = np.random.default_rng(0).random((2, 40, 30), dtype=np.float32)
labels = napari_unet.segment(image, sys.argv[1], axes="CYX", device="cpu")
print(json.dumps({
    "modules": modules,
    "environment": [key for key in names if before.get(key) != os.environ.get(key)],
    "handlers": sum(len(logger.handlers) for logger in loggers),
    "levels": [logging.getLogger(name).level for name in ours],
    "labels": [str(labels.dtype), labels.shape],
}))
"""


@pytest.fixture(scope="module")
def core() -> dict[str, Any]:
    """What a process without napari, magicgui and qtpy found when it used the core."""
    golden = Path(__file__).parent / "golden" / "format_version_1.safetensors"
    found: dict[str, Any] = python(BLOCKER.format(blocked=set(VIEWER)) + CORE_RUN, str(golden))
    return found


def test_every_module_of_the_core_imports_without_a_viewer(core: dict[str, Any]) -> None:
    package = Path(nu.__file__).parent
    files = {
        "napari_unet." + ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in ("widgets", "__init__.py", "__main__.py")
    }
    assert set(core["modules"]) == {name.removesuffix(".__init__") for name in files}
    assert len(files) > 30


def test_segmenting_works_without_a_viewer(core: dict[str, Any]) -> None:
    assert core["labels"] == ["int32", [40, 30]]


def test_importing_everything_sets_up_no_logging_and_no_environment(core: dict[str, Any]) -> None:
    assert core["handlers"] == 0
    assert not any(core["levels"])
    assert core["environment"] == []


def test_the_blocker_blocks() -> None:
    code = BLOCKER.format(blocked=set(VIEWER)) + (
        "import json\n"
        "blocked = []\n"
        f"for name in {VIEWER!r}:\n"
        "    try:\n"
        "        __import__(name)\n"
        "    except ImportError as error:\n"
        "        blocked.append(str(error))\n"
        "print(json.dumps(blocked))\n"
    )
    assert python(code) == [f"blocked: {name}" for name in VIEWER]


def test_importing_and_listing_take_no_torch_and_no_viewer(tmp_path: Path) -> None:
    heavy = ("torch", "skimage", "scipy", "zarr", "dask", "tifffile", "pandas", *VIEWER)
    code = (
        "import json, sys\n"
        "import napari_unet\n"
        f"first = [name for name in {heavy!r} if name in sys.modules]\n"
        "napari_unet.list_models()\n"
        "napari_unet.SegmentSettings, napari_unet.TrainConfig, napari_unet.ModelCard\n"
        "napari_unet.__version__, dir(napari_unet)\n"
        "print(json.dumps([first, 'torch' in sys.modules, 'napari' in sys.modules]))\n"
    )
    assert python(code, NAPARI_UNET_MODELS=str(tmp_path)) == [[], False, False]


def test_no_submodule_hides_a_public_name() -> None:
    # an import of a submodule sets its name on the package: no public name may be one's
    assert not {module.name for module in pkgutil.iter_modules(nu.__path__)} & set(nu.__all__)


def test_labels_of_a_sample_come_back_from_the_file_they_were_written_to(tmp_path: Path) -> None:
    sample = nu.load_sample("nuclei_2d")
    path = nu.write_labels(
        tmp_path / "truth.tif", sample.truth, axes=sample.axes, pixel_size=(0.5, 0.5)
    )
    found = nu.read_image(path)
    assert (found.axes, found.pixel_size) == ("YX", (0.5, 0.5))
    np.testing.assert_array_equal(found.array, sample.truth)


def test_public_names_resolve_and_are_listed() -> None:
    assert dir(nu) == sorted(nu.__all__)
    for name in nu.__all__:
        assert getattr(nu, name) is not None
    with pytest.raises(AttributeError, match="attribute segmnt"):
        _ = nu.segmnt  # type: ignore[attr-defined]


REVEALED = {
    'nu.Model.load("x").card': "ModelCard",
    'nu.Model.load("x").card.architecture.halo': "tuple[int, ...]",
    "nu.list_models()": "list[napari_unet.card.ModelCard]",
    "nu.SegmentSettings().flips": "bool",
    'nu.train([], name="mine")': "napari_unet.network.model.Model",
    'nu.predict(1, "x").card': "ModelCard",
    "nu.__version__": "str",
    "nu.UNetError": "napari_unet.errors.UNetError",
    "nu.segment": "def (image: Any, model:",
    'nu.read_image("x").axes': "str | None",
    "nu.write_labels": "-> pathlib.Path",
    'nu.load_sample("x")': "napari_unet.samples.Sample",
    'nu.segment(1, "x", threshold=0.5, axes="YX")': "Any",
    'nu.iter_predict(1, "x", tile=[8, 8])': "Generator[napari_unet.progress.Progress",
}

MISTAKES = (
    "nu.segmnt",
    'nu.Model.load("x").crad',
    "nu.Model.load(3)",
    "nu.list_models(1)",
    'nu.segment(1, "x", treshold=0.5)',
    'nu.segment(1, "x", threshold="high")',
    'nu.predict(1, "x", treshold=0.5)',
    'nu.iter_segment(1, "x", axis="YX")',
    'nu.decode(nu.predict(1, "x"), treshold=0.5)',
    'nu.segment_files([], "x", "y", treshold=0.5)',
    "nu.train([], step=10)",
)


OUTSIDE = (
    *(
        "PIL",
        "annotated_types",
        "dask",
        "fsspec",
        "napari",
        "numpy",
        "pandas",
        "platformdirs",
        "psutil",
    ),
    *("pydantic", "pydantic_core", "rich", "safetensors", "scipy", "skimage", "tifffile"),
    *("torch", "zarr"),
)


@pytest.mark.slow
def test_a_type_checker_sees_the_public_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    # run outside the project's folder, as a user's code is: only py.typed makes this work
    snippet = tmp_path / "snippet.py"
    lines = ["import napari_unet as nu", *(f"reveal_type({each})" for each in REVEALED)]
    snippet.write_text("\n".join([*lines, *MISTAKES]) + "\n", encoding="utf-8")
    config = tmp_path / "mypy.ini"
    # what lies behind our own names is not followed: it would take minutes
    config.write_text(
        "[mypy]\n"
        f"[mypy-{','.join(f'{name}.*' for name in OUTSIDE)}]\n"
        "follow_imports = skip\n"
        "ignore_missing_imports = True\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", config.name, snippet.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={k: v for k, v in os.environ.items() if k not in ("MYPYPATH", "PYTHONPATH")},
    )
    if "Cannot find implementation" in done.stdout:
        pytest.skip("the package is not installed")
    lines = done.stdout.splitlines()
    for number, (expression, type_) in enumerate(REVEALED.items(), start=2):
        (found,) = (line for line in lines if line.startswith(f"snippet.py:{number}:"))
        assert type_ in found, expression
        assert 'is "Any"' not in found or type_ == "Any", expression
    for number, mistake in enumerate(MISTAKES, start=len(REVEALED) + 2):
        assert any(line.startswith(f"snippet.py:{number}: error") for line in lines), mistake
