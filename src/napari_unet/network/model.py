"""A trained network and its card: load, save, verify, list.

A model is one safetensors file (weights and a test pair; nothing that executes), with the
card as JSON under the only metadata key ``napari_unet.card``.
"""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.card import FORMAT_VERSION, ModelCard
from napari_unet.errors import ModelError
from napari_unet.io import atomic_path
from napari_unet.network.files import CARD_KEY, file_sha256, find_model, read_header
from napari_unet.unet_config import UNetConfig

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unet.network.unet import UNet

REPLAY_KEY = "replay"  # of a tensor of bytes in the file, which may be missing
VERIFY_TOLERANCE = 1e-4
TEST_PIXELS = 1 << 16
MAX_TEST_BYTES = 1 << 31  # of one feature map of the stored test


@dataclass(frozen=True)
class Model:
    """A network with its card.

    `Model.load` opens one, `napari_unet.train` makes one.

    Attributes
    ----------
    card : ModelCard
        What the model is, needs and gives.
    network : torch.nn.Module
        Maps float32 images (N, C, [Z,] Y, X), normalised as the card says, to logits
        (N, K, [Z,] Y, X). Y and X, and Z, must be multiples of ``card.architecture.stride``.
        Treat it as read-only.
    path : Path or None
        The file it came from; None for a model that was made in memory.
    replay : bytes
        A sample of its training images, packed by `napari_unet.training.replay`, from which a
        fine-tuning can keep what the model can do; empty where it carries none.

    Examples
    --------
    >>> model = Model.load("nuclei")
    >>> model.card.task, model.card.axes, model.path.name
    ('instance', 'CYX', 'nuclei.safetensors')
    >>> model.verify()
    """

    card: ModelCard
    network: UNet
    path: Path | None = None
    _file_sha256: str = field(default="", repr=False, compare=False)
    _tests: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    replay: bytes = field(default=b"", repr=False, compare=False)

    @classmethod
    def load(cls, source: Model | str | Path, *, trust_code: bool = False) -> Model:
        """Load a model by name or from a file.

        Parameters
        ----------
        source : Model, str or Path
            Name of a bundled model or of one of the user's, or a ``.safetensors`` file. A
            model is given back as it is.
        trust_code : bool
            Reserved for foreign packages that carry code; our files never do.

        Returns
        -------
        Model
            On the CPU, in float32, in evaluation mode.

        Raises
        ------
        ModelError
            If there is no such model, or the file is damaged, newer, or of another kind.

        Examples
        --------
        >>> Model.load("nuclei").card.architecture.ndim
        2
        """
        del trust_code
        if isinstance(source, Model):
            return source
        path = find_model(source)
        card = read_header(path)
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from napari_unet.network.unet import UNet

        try:
            tensors = load_file(path)
        except (SafetensorError, OSError, ValueError):
            raise ModelError(
                f"The weights in {path.name} are damaged", "get a fresh copy of the file"
            ) from None
        # copies: the tensors of a file are mapped from it, and would hold it open
        weights = {
            key.removeprefix("network."): value.clone()
            for key, value in tensors.items()
            if key.startswith("network.")
        }
        try:
            # without memory or random values of its own until the weights are known to fit
            with torch.device("meta"):
                network = UNet(card.architecture)
            network.load_state_dict(weights, assign=True)
            network.float()
        except RuntimeError:
            raise ModelError(
                f"The weights in {path.name} do not fit the architecture in its card",
                "get a fresh copy of the file",
            ) from None
        if not all(bool(value.isfinite().all()) for value in weights.values()):
            raise ModelError(
                f"The weights in {path.name} are not all numbers: some are NaN or infinite",
                "get a fresh copy of the file, or train the model anew",
            )
        tests: dict[str, Any] = {
            key: value.clone() for key, value in tensors.items() if key.startswith("test.")
        }
        replay = tensors[REPLAY_KEY].numpy().tobytes() if REPLAY_KEY in tensors else b""
        return cls(card, network.eval(), path, file_sha256(path), tests, replay)

    def save(self, path: str | Path, *, overwrite: bool = True) -> Path:
        """Write the model to a file, atomically. Equal models give equal bytes.

        Parameters
        ----------
        path : str or Path
            ``.safetensors`` is added where it is missing.
        overwrite : bool
            Whether a file that is there may be replaced.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        FileError
            If the file cannot be written; with the code "exists" where it is there already.

        Examples
        --------
        >>> import tempfile
        >>> Model.load("nuclei").save(Path(tempfile.mkdtemp()) / "copy").name
        'copy.safetensors'
        """
        target = Path(path)
        if target.suffix != ".safetensors":
            target = target.with_name(target.name + ".safetensors")
        data = self.to_bytes()
        with atomic_path(target, exclusive=not overwrite) as temporary:
            temporary.write_bytes(data)
        return target

    def to_bytes(self) -> bytes:
        """The content of the model's file."""
        import torch
        from safetensors.torch import save

        weights = {k: v.detach().cpu().contiguous() for k, v in self.network.state_dict().items()}
        tensors = {f"network.{key}": value for key, value in _halve(weights).items()}
        tensors["test.input"] = example_input(self.card.architecture)
        tensors["test.output"] = _run(self.network, tensors["test.input"])
        if self._tested and _close(tensors["test.output"], self._tests["test.output"]):
            tensors.update(self._tests)  # a copy has the bytes of its original
        if self.replay:
            tensors[REPLAY_KEY] = torch.frombuffer(bytearray(self.replay), dtype=torch.uint8)
        card = self.card.model_copy(update={"format_version": FORMAT_VERSION})
        return save(tensors, metadata={CARD_KEY: card.model_dump_json()})

    @functools.cached_property
    def sha256(self) -> str:
        """SHA-256 of the file it was loaded from, or of what `save` would write."""
        return self._file_sha256 or hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def _tested(self) -> bool:
        return self._tests.keys() == {"test.input", "test.output"}

    def verify(self) -> None:
        """Recompute the stored test output.

        Raises
        ------
        ModelError
            If the network does not give the output that was stored with it, within 1e-4 of
            its largest value.
        """
        if not self._tested:
            raise ModelError(
                f"The model {self.card.name!r} has no stored test", "save it and load it again"
            )
        self._check_test_size()
        try:
            found = _run(self.network, self._tests["test.input"])
            same = _close(found, self._tests["test.output"])
        except (RuntimeError, ValueError):  # a test input of another size or kind
            same = False
        if not same:
            raise ModelError(
                f"The model {self.card.name!r} gives another result than when it was saved",
                "get a fresh copy of the file",
            )

    def _check_test_size(self) -> None:
        """Refuse a stored test that is no small one: it runs in one piece."""
        config, stored = self.card.architecture, self._tests["test.input"]
        pixels = math.prod(stored.shape[2:]) * math.prod(stored.shape[:1])
        usual = math.prod(_example_sizes(config))
        needed = pixels * config.widest_channels * 4
        if pixels > max(usual, TEST_PIXELS) or needed > MAX_TEST_BYTES:
            raise ModelError(
                f"The stored test of the model {self.card.name!r} has {pixels} pixels, too many "
                "to be recomputed",
                "save the model anew, or use it as it is",
            )


def _halve(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights in float16 where that loses nothing at all, which rounded ones do not."""
    halves = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    lossless = all(bool((halves[k].to(v.dtype) == v).all()) for k, v in weights.items())
    return halves if lossless else weights


def example_input(config: UNetConfig) -> Tensor:
    """The input of the stored test: fixed pseudo-random values in 0..1."""
    import numpy as np
    import torch

    shape = (1, config.in_channels, *_example_sizes(config))
    values = np.random.default_rng(20260101).random(shape, dtype=np.float32)
    return torch.from_numpy(values)


def _example_sizes(config: UNetConfig) -> tuple[int, ...]:
    return tuple(max(2 * s, 8) for s in config.stride)


def _close(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    largest = max(float(expected.abs().max()), 1.0)
    return float((found - expected).abs().max()) <= VERIFY_TOLERANCE * largest


def _run(network: UNet, inputs: Tensor) -> Tensor:
    import torch

    parameter = next(network.parameters())
    training = network.training
    network.eval()
    with torch.inference_mode():
        output: Tensor = network(inputs.to(parameter.device, torch.float32)).float().cpu()
    network.train(training)
    return output.clone(memory_format=torch.contiguous_format)
