"""Which model suits an image, as far as its shape and its colours tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from napari_unet.card import ModelCard

MIN_PLANES = 8  # of a stack with known spacing, from which a 3D model is tried first


@dataclass(frozen=True)
class ImageKind:
    """What can be seen of an image without reading its pixels.

    Attributes
    ----------
    colours : bool
        Whether it has red, green and blue.
    planes : int
        Along Z; 1: it is no stack.
    spacing_known : bool
        Whether the distance of the planes is.
    """

    colours: bool = False
    planes: int = 1
    spacing_known: bool = False

    @property
    def is_volume(self) -> bool:
        """Whether a 3D model is worth a try first."""
        return self.planes >= MIN_PLANES and self.spacing_known


def suits(card: ModelCard, kind: ImageKind) -> bool:
    """Whether a model was made for images of a kind.

    Examples
    --------
    >>> from napari_unet.network.files import list_models
    >>> nuclei = next(card for card in list_models() if card.name == "nuclei")
    >>> suits(nuclei, ImageKind()), suits(nuclei, ImageKind(colours=True))
    (True, False)
    """
    solid = card.architecture.ndim == 3
    return card.takes_colours == kind.colours and solid == (kind.is_volume and not kind.colours)


def rank_models(cards: Iterable[ModelCard], kind: ImageKind) -> list[ModelCard]:
    """The models that suit an image first; else their order stays."""
    return sorted(cards, key=lambda card: not suits(card, kind))


def suggest_model(
    cards: Iterable[ModelCard], chosen: ModelCard, kind: ImageKind
) -> ModelCard | None:
    """A model of the same task that suits an image where the chosen one does not, or None."""
    if suits(chosen, kind):
        return None
    same = (card for card in cards if card.task == chosen.task)
    return next((card for card in same if suits(card, kind)), None)


def describe_kind(kind: ImageKind) -> str:
    """What is special about an image, in words.

    Examples
    --------
    >>> (
    ...     describe_kind(ImageKind(colours=True)),
    ...     describe_kind(ImageKind(planes=30, spacing_known=True)),
    ... )
    ('in colour', 'a stack of 30 planes')
    """
    if kind.colours:
        return "in colour"
    return f"a stack of {kind.planes} planes" if kind.planes > 1 else "of one channel"
