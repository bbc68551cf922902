"""Settings for all tests, and tiny models: none of them is trained."""

from __future__ import annotations

import functools
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from napari_unet.card import InstanceRepresentation
    from napari_unet.network.model import Model

if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: one thread is enough each
    os.environ.setdefault("OMP_NUM_THREADS", "1")
if "OMP_NUM_THREADS" in os.environ:  # numba, which draws napari's labels, sets that of OpenMP anew
    os.environ.setdefault("NUMBA_NUM_THREADS", os.environ["OMP_NUM_THREADS"])
    if "numba.np.ufunc.parallel" in sys.modules:  # a plugin of pytest imported it before
        sys.modules["numba"].config.reload_config()  # type: ignore[attr-defined]
        numba_threads = sys.modules["numba.np.ufunc.parallel"]
        numba_threads.NUM_THREADS = int(os.environ["NUMBA_NUM_THREADS"])  # type: ignore[attr-defined]

# Each worker imports all tests: compiling them anew takes as long as the rest of it. What is
# compiled is kept for the workers of the next run, and for the processes that tests start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No deadline per example: the first one pays for imports, and machines differ in speed.
# Few examples a run, other ones in each run.
settings.register_profile("project", deadline=None, max_examples=30)
settings.load_profile("project")


COMPILE = """
import numpy as np
import napari_unet as nu
from napari_unet.card import Decoding
from napari_unet.instances import maps
labels = np.zeros((5, 9, 9), np.int32)
labels[1:4, 2:7, 2:7] = 1
for each in (labels[2], labels):
    maps.decode(maps.encode(each), Decoding())
    nu.measure(each, each.astype(np.float32), axes="ZYX"[-each.ndim :])
"""
_compiling: list[subprocess.Popen[bytes]] = []


def pytest_configure(config: pytest.Config) -> None:
    """In a new clone one process makes the machine code while the workers collect the tests.

    Each of them would else compile the same for itself, at the same time.
    """
    if getattr(config.option, "numprocesses", None):
        package = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # installed or not
        _compiling.append(
            subprocess.Popen([sys.executable, "-c", COMPILE], env={**os.environ, **package})
        )


def pytest_unconfigure() -> None:
    """It has ended long before, unless the tests were few."""
    while _compiling:
        _compiling.pop().wait()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Windows first: closing one searches all objects of the process, few of which exist yet."""
    items.sort(key=lambda item: "widgets" not in item.path.parts)


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The log of errors, and what survives a crash, in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_UNET_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """No test leaves torch with another number of threads: that of the others would be wrong."""
    torch = sys.modules.get("torch")
    before = torch and torch.get_num_threads()
    yield
    if before is not None:
        assert torch is not None
        assert torch.get_num_threads() == before


@pytest.fixture
def run_command(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], None]:
    """``run_command("napari-unet ...", folder)``: in this process, with that folder around it."""
    from napari_unet.cli import main

    def run_command(command: str, folder: Path) -> None:
        program, *words = shlex.split(command)
        assert program == "napari-unet"
        folder.mkdir(exist_ok=True)
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            assert main(words) == 0

    return run_command


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Model]:
    """``make_model(ndim=2, task="instance", ...)``: random weights, each time the same.

    Batch-norm statistics are random too, so that folding and normalising show.
    """
    return functools.lru_cache(maxsize=None)(_random_model)


@pytest.fixture(scope="session")
def bright_model() -> Callable[..., Model]:
    """``bright_model(ndim=2)``: a network that takes bright pixels (above 0.5) as objects."""
    return functools.lru_cache(maxsize=None)(_bright_model)


def _random_model(
    ndim: int = 2,
    in_channels: int = 1,
    out_channels: int | None = None,
    task: str = "instance",
    values: tuple[int, ...] = (0, 1, 2),
    features: tuple[int, ...] = (4, 8),
    strides: tuple[tuple[int, ...], ...] = (),
    norm: str = "batch",
    upsampling: str = "nearest",
    instances: InstanceRepresentation | None = None,
    **card_fields: Any,
) -> Model:
    import torch
    from torch import nn

    from napari_unet.card import ClassInfo, ModelCard
    from napari_unet.instances.maps import DISTANCE
    from napari_unet.network.model import Model
    from napari_unet.network.unet import UNet
    from napari_unet.unet_config import UNetConfig

    if out_channels is None:
        out_channels = {"instance": 2, "semantic": len(values), "regression": 1}[task]
    config = UNetConfig(
        ndim=ndim,
        in_channels=in_channels,
        out_channels=out_channels,
        features=features,
        strides=strides,
        norm=norm,
        upsampling=upsampling,
    )
    classes = tuple(ClassInfo(value=v, name=f"class {v}") for v in values)
    fields = {
        "name": "random",
        "task": task,
        "axes": "CZYX" if ndim == 3 else "CYX",
        "channels": tuple(f"channel {i}" for i in range(in_channels)),
        "classes": classes if task == "semantic" else (),
        "instances": (instances or DISTANCE) if task == "instance" else None,
        "architecture": config,
    }
    card = ModelCard(**fields | card_fields)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = UNet(config).eval()
        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.Conv2d | nn.Conv3d):
                    nn.init.kaiming_normal_(module.weight)  # values keep their size with depth
                if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                    module.running_mean.normal_(0, 0.5)
                    module.running_var.uniform_(1, 3)
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.normal_(0, 0.2)
            # every output to mean 0 and deviation 1, so that all classes and objects occur
            size = 24 if ndim == 3 else 64
            logits = network(torch.rand(1, in_channels, *(size,) * ndim))[0].flatten(1)
            scale = 1 / logits.std(1)
            network.head.bias.sub_(logits.mean(1)).mul_(scale)
            network.head.weight.mul_(scale.reshape(-1, *(1,) * (ndim + 1)))
    return Model(card, network)


def _bright_model(ndim: int = 2, **card_fields: Any) -> Model:
    import torch

    model = _random_model(ndim=ndim, features=(1,), norm="none", **card_fields)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.zero_()
        block = model.network.encoder[0]
        for layer in (block[0], block[3]):  # two 3-wide convolutions that change nothing
            layer.weight[(0, 0, *([1] * ndim))] = 1
        model.network.head.weight.fill_(20)
        model.network.head.bias.fill_(-10)
    return model


@pytest.fixture
def reword(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """``reword()``: all that errors, findings, notes and jobs say is other words from here on.

    What a program does must not depend on how something is worded.
    """
    from napari_unet.errors import Text
    from napari_unet.progress import Progress

    make, begin = Text.__new__, Progress.__init__

    def scramble(text: str) -> str:
        return " ".join("hum" for _ in text.split())

    def make_text(cls: type[Text], template: str = "", plain: str | None = None) -> Text:
        if isinstance(template, Text):
            return template
        return make(cls, scramble(template), None if plain is None else scramble(plain))

    def begin_progress(
        self: Progress, done: int, total: int, message: str = "", *phase: Any, **more: Any
    ) -> None:
        begin(self, done, total, scramble(message), *phase, **more)

    def reword() -> None:
        monkeypatch.setattr(Text, "__new__", make_text)
        monkeypatch.setattr(Progress, "__init__", begin_progress)

    return reword
