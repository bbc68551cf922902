"""Set-up of a training: checked data, a network, and the card of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from napari_unet.card import ClassInfo, Decoding, ModelCard, TrainingRecord
from napari_unet.dataset.assembly import TrainingData, prepare_data
from napari_unet.dataset.example import Example
from napari_unet.dataset.frames import Frame
from napari_unet.dataset.properties import check_task
from napari_unet.dataset.representation import check_boundary
from napari_unet.errors import Note, Text, TrainingError
from napari_unet.installation import versions
from napari_unet.instances import maps as instances
from napari_unet.instances.maps import BOUNDARY
from napari_unet.network.model import Model
from napari_unet.network.unet import UNet
from napari_unet.settings import TrainConfig
from napari_unet.training.network_choice import choose_network, has_same_maps
from napari_unet.training.replay import make_replay_frames
from napari_unet.training.start import GO_ON, StartChoice, choose_start, match_zoom
from napari_unet.unet_config import UNetConfig


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
        maps of objects, "start-base" or "start-scratch", and those of the network.
    declined : Model or None
        A base that a new network is trained instead of.
    choice : StartChoice
        Whether training goes on from the base, and why.
    replay : tuple of Frame
        Images of the base's own, from which a share of each batch is drawn.
    zoom : float
        Pixels that the network sees per pixel of the images, so that objects have the diameter
        that the base knows; whatever labels come later.
    """

    config: TrainConfig
    data: TrainingData
    network: UNet
    patch: tuple[int, ...]
    base: Model | None
    renewed: bool
    notes: tuple[Note, ...]
    declined: Model | None = None
    choice: StartChoice = GO_ON
    replay: tuple[Frame, ...] = ()
    zoom: float = 1.0

    @property
    def decides_scale(self) -> bool:
        """Whether the images are to be brought to the diameter that the base knows."""
        objects = self.data.target_spec.task == "instance" and self.data.ndim == 2
        return self.config.match_size and objects and self._goes_on

    @property
    def compared(self) -> Model | None:
        """The base that is scored beside the new model; None: none, or none that could be."""
        if self.declined is None:
            return None if self.renewed else self.base
        card, spec = self.declined.card, self.data.target_spec
        same = card.classes == spec.classes or spec.task != "semantic"
        same = same and card.architecture.in_channels == self.data.channels
        return self.declined if same and has_same_maps(self.declined, spec) else None

    @property
    def distance_known(self) -> bool:
        """Instances: whether distances, or boundaries, were or are learned from any object."""
        return self._goes_on or self.data.distance_known

    @property
    def _goes_on(self) -> bool:
        """Whether there is a base with the same maps of objects."""
        return self.base is not None and has_same_maps(self.base, self.data.target_spec)

    @property
    def statistics(self) -> str:
        """Batch-norm statistics; for "auto" see docs/decisions/batch-norm.md.

        A base that is to be kept keeps its own: those over old and new images suit neither.
        """
        if self.config.statistics != "auto":
            return self.config.statistics
        return "frozen" if self.replay else "settled"

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
            pixel_size=self._pixel_size(),
            object_diameter=self._diameter(),
            image_diameter=self._image_diameter(),
            normalization=self.config.normalization,
            output_limits=self.data.target_spec.output_limits or None,
            domain=self.data.domain,
            architecture=architecture,
            training=TrainingRecord(
                base=base.card.name if base else None,
                base_sha256=base.sha256 if base else None,
                start=str(Text(self.choice.reason).as_sentence()) if self.choice.reason else None,
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
        known = self.data.object_diameter if self.zoom == 1 else None
        return self.base.card.object_diameter if known is None and self.base is not None else known

    def _image_diameter(self) -> float | None:
        """Of the objects in the images, where the network sees them at another."""
        own = self._diameter()
        return None if self.zoom == 1 or own is None else round(own / self.zoom, 4)

    def _pixel_size(self) -> tuple[float, ...] | None:
        """Of the pixels that the network sees."""
        known = self.data.pixel_size
        return known and tuple(round(size / self.zoom, 6) for size in known)

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
    choice: StartChoice | None = None,
) -> TrainingSetup:
    """Check examples and settings against one another and make frames and network.

    ``choice`` is what an interrupted training had chosen between base and new network.

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
    if base is None:
        return _set_up(examples, None, config, validation)
    check_task(base.card, config)
    config = config.model_copy(update={"normalization": base.card.normalization})
    if config.keep_base and config.start == "scratch":
        raise TrainingError(
            "⟨keep_base⟩ keeps what a base could do, but ⟨start='scratch'⟩ asks for a new network",
            "leave out one of them",
            parameter="keep_base",
            value=True,
        )
    if choice is None and config.start != "auto":
        choice = StartChoice(config.start)
    if choice is None or choice.start == "base":
        setup = _set_up(examples, base, config, validation)
        if choice is None:
            choice = _choose_start(setup, base)
        if choice.start == "base":
            told = (*choice.notes, *setup.notes)
            replay = _find_replay(setup, base) if config.keep_base else ()
            zoom = match_zoom(base, setup.data) if setup.decides_scale else 1.0
            return replace(setup, choice=choice, notes=told, replay=replay, zoom=zoom)
        del setup  # its frames make room for those of the new network
    fresh = _set_up(examples, base, config, validation, anew=True)
    return replace(fresh, declined=base, choice=choice, notes=(*choice.notes, *fresh.notes))


def _set_up(
    examples: Sequence[Example],
    base: Model | None,
    config: TrainConfig,
    validation: Sequence[Example] | None,
    *,
    anew: bool = False,
) -> TrainingSetup:
    """Frames and network; ``anew``: a new one for the images as the base reads them."""
    card = base.card if base is not None else None
    learned = None if anew else card
    if learned is None and config.statistics == "frozen":
        raise TrainingError(
            "⟨statistics⟩ 'frozen' keeps the batch norm of a base model, but there is none",
            "choose a base, or 'auto'",
            parameter="statistics",
            value="frozen",
        )
    data = prepare_data(examples, validation, card, config, anew=anew)
    check_boundary(learned, config, known=data.distance_known)
    start = None if anew else base
    chosen = choose_network(data, start, config)
    maps = data.plan.representation
    told = [Note("held-out", data.held_out)] if data.held_out else []
    told += [Note("representation", maps.reason, maps.remedy)] if maps.reason else []
    return TrainingSetup(
        config=config,
        data=data,
        network=chosen.network,
        patch=chosen.patch,
        base=start,
        renewed=chosen.renewed,
        notes=(*told, *chosen.notes),
    )


def _choose_start(setup: TrainingSetup, base: Model) -> StartChoice:
    """Ask the base, where it can answer: objects, in the maps that it has."""
    spec, config = setup.data.target_spec, setup.config
    asked = spec.task == "instance" and has_same_maps(base, spec)
    if not asked or config.keep_base or config.statistics == "frozen":
        return GO_ON
    return choose_start(
        Model(setup.make_card(0, 0.0), setup.network),
        base,
        setup.data,
        device=config.device,
        precision=config.precision,
        threads=config.threads,
    )


def _find_replay(setup: TrainingSetup, base: Model) -> tuple[Frame, ...]:
    """The images that the base carries of its own.

    Raises
    ------
    TrainingError
        If there are none, or they teach something else.
    """
    spec, data = setup.data.target_spec, setup.data
    if not base.replay or spec.task != "instance" or data.ndim != 2:
        raise TrainingError(
            f"The base model {base.card.name!r} carries no sample of its own training images that "
            "could be learned from again",
            "leave out ⟨keep_base⟩",
            parameter="keep_base",
            value=True,
            code="no-replay",
        )
    return tuple(make_replay_frames(base.replay, data.channels, spec))


def _anisotropy(pixel_size: tuple[float, ...] | None, architecture: UNetConfig) -> float:
    if architecture.ndim == 2:
        return 1.0
    if pixel_size is not None:
        return max(1.0, pixel_size[0] / max(pixel_size[1:]))
    depth, *plane = architecture.stride
    return max(1.0, max(plane) / depth)
