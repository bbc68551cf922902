"""The network of a training: new, or a copy of a base's, with the patches that suit it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from napari_unet.dataset.assembly import TrainingData
from napari_unet.dataset.frames import Frame
from napari_unet.dataset.targets import TargetSpec
from napari_unet.errors import Note, TrainingError, describe_validation
from napari_unet.network.adaptation import adapt_network
from napari_unet.network.architecture import DataProperties, Proposal, propose_architecture
from napari_unet.network.devices import resolve_device
from napari_unet.network.identity import can_be_identity, make_identity
from napari_unet.network.model import Model
from napari_unet.network.unet import UNet
from napari_unet.settings import TrainConfig
from napari_unet.unet_config import UNetConfig

NEARNESS_FRAMES, NEARNESS_PIXELS = 16, 128**2  # that are looked at, and of each of them


@dataclass(frozen=True, eq=False)
class NetworkChoice:
    """A network to train.

    Attributes
    ----------
    network : UNet
        New, or a copy of the base's.
    patch : tuple of int
        Size of the patches, multiples of the network's stride.
    notes : tuple of Note
        What was decided: "new-network" on the levels and the patch of a new one, and where its
        output begins as the image; "layer-renewed" on a base's.
    renewed : bool
        Whether a layer of the base was renewed, so that its answers are not the base's.
    """

    network: UNet
    patch: tuple[int, ...]
    notes: tuple[Note, ...]
    renewed: bool


def choose_network(data: TrainingData, base: Model | None, config: TrainConfig) -> NetworkChoice:
    """The network for the data.

    Raises
    ------
    UNetError
        If the settings make no network, or one that the patch does not fit.
    """
    if base is None:
        proposal = _propose_for_data(data, config, None)
        network = _make_network(config, proposal, data.target_spec, data.ndim, data.channels)
        notes = [Note("new-network", reason) for reason in proposal.reasons]
        if can_be_identity(network) and _image_is_near(data):
            make_identity(network)
            notes.append(
                Note("new-network", "Its output begins as the image; what to change is learned.")
            )
        renewed = False
    else:
        network, changes = _adapt_base(base, data.target_spec, data.channels, config.seed)
        notes = [Note("layer-renewed", change) for change in changes]
        proposal = _propose_for_data(data, config, network.config)
        renewed = bool(notes)
    patch = _fit_patch(config, proposal, network.config)
    check_batch_norm(patch, config.batch_size, network.config)
    return NetworkChoice(network, patch, tuple(notes), renewed)


def _image_is_near(data: TrainingData) -> bool:
    """Regression: whether images are nearer to their targets than the mean of these is.

    By squared errors of known pixels, of frames and pixels spread evenly.
    """
    if data.target_spec.task != "regression":
        return False
    chosen = np.linspace(0, len(data.frames) - 1, min(len(data.frames), NEARNESS_FRAMES))
    from_image = from_mean = 0.0
    for number in np.unique(chosen.round().astype(int)):
        image, target = _sample_pixels(data.frames[number])
        if target.size:
            from_image += float(np.square(target - image).sum())
            from_mean += float(np.square(target - target.mean(1, keepdims=True)).sum())
    return from_image < from_mean


def _sample_pixels(frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Image (C, n) and target (M, n) at known pixels: in steps, or in the midst of a file."""
    ndim = len(frame.shape)
    if frame.cached is not None:
        step = math.ceil((math.prod(frame.shape) / NEARNESS_PIXELS) ** (1 / ndim))
        steps = (slice(None, None, step),) * ndim
        image, target, known = (part[:, *steps] for part in frame.cached)
    else:
        side = round(NEARNESS_PIXELS ** (1 / ndim))
        starts = [max(0, (n - side) // 2) for n in frame.shape]
        region = tuple(slice(a, min(n, a + side)) for a, n in zip(starts, frame.shape, strict=True))
        image, target, known = frame.read(region)
    seen = known[0] > 0
    return image[:, seen].astype(np.float64), target[:, seen].astype(np.float64)


def _adapt_base(
    base: Model, target_spec: TargetSpec, channels: int, seed: int
) -> tuple[UNet, tuple[str, ...]]:
    """A copy of the base's network for these channels and classes, or these maps of objects."""
    other = target_spec.task == "semantic" and [c.value for c in target_spec.classes] != [
        c.value for c in base.card.classes
    ]
    other = other or not has_same_maps(base, target_spec)
    return adapt_network(base.network, channels, target_spec.channels, seed=seed, renew_head=other)


def has_same_maps(base: Model, target_spec: TargetSpec) -> bool:
    """Whether the outputs of a base stand for the same maps of objects."""
    return target_spec.task != "instance" or base.card.instances == target_spec.representation


def _propose_for_data(
    data: TrainingData, config: TrainConfig, architecture: UNetConfig | None
) -> Proposal:
    facts = DataProperties(
        ndim=data.ndim,
        shapes=tuple(frame.shape for frame in data.frames),
        pixel_size=data.pixel_size,
        object_diameter=data.object_diameter,
        object_extents=data.object_extents,
    )
    features, strides = config.features, config.strides
    if architecture is not None:
        features, strides = architecture.features, architecture.strides
    patch = config.patch if config.patch and len(config.patch) == data.ndim else None
    return propose_architecture(
        facts,
        features=features or None,
        strides=strides or None,
        patch=patch,
        for_cpu=resolve_device(config.device).type == "cpu",
    )


def _make_network(
    config: TrainConfig, proposal: Proposal, target_spec: TargetSpec, ndim: int, channels: int
) -> UNet:
    try:
        architecture = UNetConfig.model_validate(
            {
                "ndim": ndim,
                "in_channels": channels,
                "out_channels": target_spec.channels,
                "features": proposal.features,
                "strides": proposal.strides,
                "norm": _choose_norm(config, target_spec),
                "upsampling": config.upsampling,
            }
        )
    except ValidationError as error:
        raise describe_validation(error) from None
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it was
        torch.manual_seed(config.seed)
        return UNet(architecture)


def _choose_norm(config: TrainConfig, target_spec: TargetSpec) -> str:
    """Batch norm loses the brightness of a batch, which the values of a regression need."""
    if config.norm != "auto":
        return config.norm
    return "none" if target_spec.task == "regression" else "batch"


def _fit_patch(
    config: TrainConfig, proposal: Proposal, architecture: UNetConfig
) -> tuple[int, ...]:
    wanted = config.patch or proposal.patch
    if len(wanted) != architecture.ndim:
        raise TrainingError(
            f"⟨patch⟩ {wanted} needs {architecture.ndim} sizes, one per spatial axis",
            parameter="patch",
            value=wanted,
        )
    return tuple(-(-w // s) * s for w, s in zip(wanted, architecture.stride, strict=True))


def check_batch_norm(patch: tuple[int, ...], batch_size: int, config: UNetConfig) -> None:
    """Batch norm cannot train on one value per channel, at the deepest level."""
    deepest = batch_size * math.prod(n // s for n, s in zip(patch, config.stride, strict=True))
    if config.norm == "batch" and deepest < 2:
        raise TrainingError(
            f"⟨patch⟩ {patch} and ⟨batch_size⟩ {batch_size} leave a single pixel at the deepest "
            "level",
            "make one of them larger, or take fewer levels (⟨features⟩)",
            parameter="batch_size",
            value=batch_size,
            code="one-pixel-left",
        )


def reduce_batch(
    batch_size: int, patch: tuple[int, ...], config: UNetConfig
) -> tuple[int, tuple[int, ...]] | None:
    """Half the batch, or half the longest side of the patch; None where neither can train."""
    if batch_size > 1:
        smaller = batch_size // 2, patch
    else:
        axis = patch.index(max(patch))
        stride = config.stride[axis]
        side = max(stride, patch[axis] // 2 // stride * stride)
        smaller = 1, (*patch[:axis], side, *patch[axis + 1 :])
    if smaller == (batch_size, patch):
        return None
    try:
        check_batch_norm(smaller[1], smaller[0], config)
    except TrainingError:
        return None
    return smaller
