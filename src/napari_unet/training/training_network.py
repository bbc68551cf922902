"""The network of a training: a copy of the base's, or a new one that suits the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pydantic import ValidationError

from napari_unet.card import UNetConfig
from napari_unet.dataset.assembly import TrainingData
from napari_unet.dataset.goal import LearningGoal
from napari_unet.errors import SettingsError, TrainingError
from napari_unet.network.adaptation import adapt
from napari_unet.network.architecture import DataFacts, Proposal, propose
from napari_unet.network.devices import resolve_device
from napari_unet.network.model import Model
from napari_unet.network.unet import UNet
from napari_unet.settings import TrainConfig, describe


@dataclass(frozen=True, eq=False)
class NetworkChoice:
    """A network to train.

    Attributes
    ----------
    network : UNet
        New, or a copy of the base's.
    patch : tuple of int
        Size of the patches, multiples of the network's stride.
    notes : tuple of str
        What was decided, in sentences to be shown.
    renewed : bool
        Whether a layer of the base was renewed, so that its answers are not the base's.
    """

    network: UNet
    patch: tuple[int, ...]
    notes: tuple[str, ...]
    renewed: bool


def choose_network(data: TrainingData, base: Model | None, config: TrainConfig) -> NetworkChoice:
    """The network for the data.

    Raises
    ------
    UNetError
        If the settings make no network, or one that the patch does not fit.
    """
    if base is None:
        proposal = _propose(data, config, None)
        network = _make_network(config, proposal, data.goal, data.ndim, data.channels)
        notes, renewed = proposal.reasons, False
    else:
        network, notes = _adapt(base, data.goal, data.channels, config.seed)
        proposal = _propose(data, config, network.config)
        renewed = bool(notes)
    patch = _fit_patch(config, proposal, network.config)
    check_statistics(patch, config.batch_size, network.config)
    return NetworkChoice(network, patch, tuple(notes), renewed)


def _adapt(
    base: Model, goal: LearningGoal, channels: int, seed: int
) -> tuple[UNet, tuple[str, ...]]:
    """A copy of the base's network for these channels and classes."""
    other = goal.task == "semantic" and [c.value for c in goal.classes] != [
        c.value for c in base.card.classes
    ]
    return adapt(base.network, channels, goal.channels, seed=seed, renew_head=other)


def _propose(data: TrainingData, config: TrainConfig, architecture: UNetConfig | None) -> Proposal:
    facts = DataFacts(
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
    return propose(
        facts,
        features=features or None,
        strides=strides or None,
        patch=patch,
        small=resolve_device(config.device).type == "cpu",
    )


def _make_network(
    config: TrainConfig, proposal: Proposal, goal: LearningGoal, ndim: int, channels: int
) -> UNet:
    try:
        architecture = UNetConfig.model_validate(
            {
                "ndim": ndim,
                "in_channels": channels,
                "out_channels": goal.channels,
                "features": proposal.features,
                "strides": proposal.strides,
                "norm": _choose_norm(config, goal),
                "upsampling": config.upsampling,
            }
        )
    except ValidationError as error:
        raise SettingsError(describe(error)) from None
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it was
        torch.manual_seed(config.seed)
        return UNet(architecture)


def _choose_norm(config: TrainConfig, goal: LearningGoal) -> str:
    """Batch norm loses the brightness of a batch, which the values of a regression need."""
    if config.norm != "auto":
        return config.norm
    return "none" if goal.task == "regression" else "batch"


def _fit_patch(
    config: TrainConfig, proposal: Proposal, architecture: UNetConfig
) -> tuple[int, ...]:
    wanted = config.patch or proposal.patch
    if len(wanted) != architecture.ndim:
        raise TrainingError(
            f"patch {wanted} needs {architecture.ndim} sizes, one per spatial axis."
        )
    return tuple(-(-w // s) * s for w, s in zip(wanted, architecture.stride, strict=True))


def check_statistics(patch: tuple[int, ...], batch_size: int, config: UNetConfig) -> None:
    """Batch norm cannot train on one value per channel, at the deepest level."""
    deepest = batch_size * math.prod(n // s for n, s in zip(patch, config.stride, strict=True))
    if config.norm == "batch" and deepest < 2:
        raise TrainingError(
            f"patch {patch} and batch_size {batch_size} leave a single pixel at the deepest "
            "level; make one of them larger, or take fewer levels (features)."
        )
