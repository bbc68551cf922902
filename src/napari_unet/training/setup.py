"""Set-up of a training: checked data, a network, and the card of the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import torch
from pydantic import ValidationError

from napari_unet.card import ClassInfo, Decoding, ModelCard, TrainingRecord
from napari_unet.dataset.assembly import TrainingData, prepare_data
from napari_unet.dataset.example import Example
from napari_unet.dataset.properties import check_task
from napari_unet.dataset.representation import check_boundary
from napari_unet.dataset.targets import TargetSpec
from napari_unet.errors import Note, Text, TrainingError, describe_validation
from napari_unet.installation import versions
from napari_unet.instances import maps as instances
from napari_unet.instances.maps import BOUNDARY
from napari_unet.network.adaptation import adapt_network
from napari_unet.network.architecture import DataProperties, Proposal, propose_architecture
from napari_unet.network.devices import resolve_device
from napari_unet.network.model import Model
from napari_unet.network.unet import UNet
from napari_unet.settings import TrainConfig
from napari_unet.unet_config import UNetConfig


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
        What was decided: "new-network" on the levels and the patch of a new one,
        "layer-renewed" on a base's.
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
        renewed = False
    else:
        network, changes = _adapt_base(base, data.target_spec, data.channels, config.seed)
        notes = [Note("layer-renewed", change) for change in changes]
        proposal = _propose_for_data(data, config, network.config)
        renewed = bool(notes)
    patch = _fit_patch(config, proposal, network.config)
    check_batch_norm(patch, config.batch_size, network.config)
    return NetworkChoice(network, patch, tuple(notes), renewed)


def _adapt_base(
    base: Model, target_spec: TargetSpec, channels: int, seed: int
) -> tuple[UNet, tuple[str, ...]]:
    """A copy of the base's network for these channels and classes, or these maps of objects."""
    other = target_spec.task == "semantic" and [c.value for c in target_spec.classes] != [
        c.value for c in base.card.classes
    ]
    other = other or not _has_same_maps(base, target_spec)
    return adapt_network(base.network, channels, target_spec.channels, seed=seed, renew_head=other)


def _has_same_maps(base: Model, target_spec: TargetSpec) -> bool:
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


class ResolvedSettings(TypedDict):
    """Settings that a training chooses for "auto", or has to change."""

    batch_size: int
    patch: tuple[int, ...]
    device: str
    precision: str
    statistics: str
    loss: str


@dataclass(frozen=True, eq=False)
class TrainingSetup:
    """All that the training loop needs, checked.

    Attributes
    ----------
    config : TrainConfig
        The settings, resolved.
    data : TrainingData
        What is learned from and validated on.
    network : UNet
        New, or a copy of the base's.
    patch : tuple of int
        Size of the patches.
    base : Model or None
        What training starts from.
    renewed : bool
        Whether a layer of the base was renewed.
    notes : tuple of Note
        What was decided from the data: "held-out" on the validation, "representation" on the
        maps of objects, and those of the network.
    """

    config: TrainConfig
    data: TrainingData
    network: UNet
    patch: tuple[int, ...]
    base: Model | None
    renewed: bool
    notes: tuple[Note, ...]

    @property
    def distance_known(self) -> bool:
        """Instances: whether distances, or boundaries, were or are learned from any object."""
        return self._goes_on or self.data.distance_known

    @property
    def _goes_on(self) -> bool:
        """Whether there is a base with the same maps of objects."""
        return self.base is not None and _has_same_maps(self.base, self.data.target_spec)

    @property
    def statistics(self) -> str:
        """Batch-norm statistics; for "auto" see docs/decisions/batch-norm.md."""
        return "settled" if self.config.statistics == "auto" else self.config.statistics

    @property
    def metric_name(self) -> str:
        """Name of the score by which the best weights are chosen, for a legend."""
        if self.data.target_spec.task == "regression":
            return "PSNR"
        return (
            "mean AP"
            if self.data.target_spec.task == "instance" and self.distance_known
            else "Dice"
        )

    @property
    def anisotropy(self) -> float:
        """Distance of the planes over that of the pixels in them; 1 in 2D."""
        return _anisotropy(self.data.pixel_size, self.network.config)

    def make_card(
        self, steps: int, seconds: float, resolved: ResolvedSettings | None = None
    ) -> ModelCard:
        """The card of the network after so many steps; ``resolved`` replaces settings."""
        architecture = self.network.config
        known: dict[str, object] = {
            "ndim": architecture.ndim,
            "features": architecture.features,
            "strides": architecture.strides,
            "norm": architecture.norm,
            "upsampling": architecture.upsampling,
            "patch": self.patch,
        }
        base, spec = self.base, self.data.target_spec
        if spec.task == "instance":
            known["representation"] = instances.name_in_settings(spec.representation)
        config = self.config.model_copy(update={**known, **(resolved or {})})
        return ModelCard(
            name=self.config.name,
            description=self.config.description or self._describe_maps(),
            task=spec.task,
            axes="CZYX" if architecture.ndim == 3 else "CYX",
            channels=self._channels(),
            classes=self._classes(),
            instances=spec.representation if spec.task == "instance" else None,
            decoding=base.card.decoding if base and self._goes_on else Decoding(),
            pixel_size=self.data.pixel_size,
            object_diameter=self._diameter(),
            normalization=self.config.normalization,
            output_limits=self.data.target_spec.output_limits or None,
            domain=self.data.domain,
            architecture=architecture,
            training=TrainingRecord(
                base=base.card.name if base else None,
                base_sha256=base.sha256 if base else None,
                examples=self.data.examples,
                labelled_pixels=self.data.labelled_pixels,
                data_sha256=self.data.sha256,
                steps=steps,
                seconds=round(seconds, 1),
                seed=self.config.seed,
                versions=versions(),
                config=config.model_dump(mode="json"),
            ),
        )

    def _classes(self) -> tuple[ClassInfo, ...]:
        if self.data.target_spec.task == "instance":
            return (ClassInfo(value=1, name="object"),)
        return self.data.target_spec.classes

    def _describe_maps(self) -> str:
        """Why the objects stand in other maps than the usual ones."""
        chosen = self.data.plan.representation
        return str(Text(chosen.reason).as_sentence()) if chosen.representation == BOUNDARY else ""

    def _diameter(self) -> float | None:
        known = self.data.object_diameter
        return self.base.card.object_diameter if known is None and self.base is not None else known

    def _channels(self) -> tuple[str, ...]:
        if self.base is not None and len(self.base.card.channels) == self.data.channels:
            return self.base.card.channels
        return tuple(f"channel {i}" for i in range(self.data.channels))


def prepare_training(
    examples: Sequence[Example],
    *,
    base: Model | None,
    config: TrainConfig,
    validation: Sequence[Example] | None,
) -> TrainingSetup:
    """Check examples and settings against one another and make frames and network.

    Raises
    ------
    UNetError
        If something does not fit; the message says what.
    """
    for each in (examples, validation or ()):
        if isinstance(each, Example) or not all(isinstance(e, Example) for e in each):
            raise TrainingError(
                "⟨examples⟩ must be a list of napari_unet.Example(image, labels)",
                parameter="examples",
            )
    if not examples:
        raise TrainingError(
            "There are no examples", "give at least one image with labels", parameter="examples"
        )
    if config.patch is not None and config.ndim != "auto" and len(config.patch) != config.ndim:
        raise TrainingError(
            f"⟨patch⟩ {config.patch} does not have {config.ndim} sizes",
            parameter="patch",
            value=config.patch,
        )
    if base is not None:
        check_task(base.card, config)
        config = config.model_copy(update={"normalization": base.card.normalization})
    if base is None and config.statistics == "frozen":
        raise TrainingError(
            "⟨statistics⟩ 'frozen' keeps the batch norm of a base model, but there is none",
            "choose a base, or 'auto'",
            parameter="statistics",
            value="frozen",
        )
    data = prepare_data(examples, validation, base.card if base else None, config)
    check_boundary(base.card if base else None, config, known=data.distance_known)
    chosen = choose_network(data, base, config)
    maps = data.plan.representation
    told = [Note("held-out", data.held_out)] if data.held_out else []
    told += [Note("representation", maps.reason, maps.remedy)] if maps.reason else []
    return TrainingSetup(
        config=config,
        data=data,
        network=chosen.network,
        patch=chosen.patch,
        base=base,
        renewed=chosen.renewed,
        notes=(*told, *chosen.notes),
    )


def _anisotropy(pixel_size: tuple[float, ...] | None, architecture: UNetConfig) -> float:
    if architecture.ndim == 2:
        return 1.0
    if pixel_size is not None:
        return max(1.0, pixel_size[0] / max(pixel_size[1:]))
    depth, *plane = architecture.stride
    return max(1.0, max(plane) / depth)
