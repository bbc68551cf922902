"""Whether an image is of the kind that a model learned from, as far as its intensities tell.

A model gives an answer for any image, also where stained tissue is given to a model of
fluorescence. What most kinds differ in is how bright their background is once the intensities
are normalised: it is dark in fluorescence, grey in phase contrast and bright in stained sections.
How often that tells them apart is measured in `docs/results/domain.md`.
"""

from __future__ import annotations

from collections.abc import Sequence

from napari_unet.card import IntensityDomain, ModelCard

PROFILE_PERCENTILES = (10, 50)  # of the normalised pixels
MIN_IMAGES = 8  # from which a range of images says something
TOLERANCE = 0.1  # of the normalised intensity

Profile = tuple[tuple[float, ...], ...]  # of each channel, at PROFILE_PERCENTILES


def measure_domain(profiles: Sequence[Profile]) -> IntensityDomain | None:
    """The range of the profiles of training images; None where there are too few.

    Parameters
    ----------
    profiles : sequence of tuple
        Of each image, per channel, at `PROFILE_PERCENTILES`.

    Examples
    --------
    >>> measure_domain([((0.0, 0.02 * i),) for i in range(8)])
    IntensityDomain(background=((0.0, 0.0),), median=((0.0, 0.14),))
    >>> measure_domain([((0.0, 0.02),)] * 8) is None
    True
    """
    # pieces of one image share its profile, and count once
    known = list(dict.fromkeys(p for p in profiles if p and len(p) == len(profiles[0])))
    if len(known) < MIN_IMAGES:
        return None
    background, median = (
        tuple(
            (round(min(values), 4), round(max(values), 4))
            for values in zip(*([channel[i] for channel in each] for each in known), strict=True)
        )
        for i in range(len(PROFILE_PERCENTILES))
    )
    return IntensityDomain(background=background, median=median)


def doubt_domain(profile: Profile, card: ModelCard) -> str:
    """One sentence where an image is unlike all that a model learned from; else nothing.

    Parameters
    ----------
    profile : tuple
        Of the image, per channel, at `PROFILE_PERCENTILES`; empty: unknown.
    card : ModelCard
        Of the model.

    Examples
    --------
    >>> from napari_unet.network.files import list_models
    >>> nuclei = next(card for card in list_models() if card.name == "nuclei")
    >>> doubt_domain(((0.01, 0.03),), nuclei)
    ''
    """
    domain = card.domain
    if domain is None or len(profile) != len(domain.median):
        return ""
    offsets = [
        _offset(value, bounds)
        for levels, *ranges in zip(profile, domain.background, domain.median, strict=True)
        for value, bounds in zip(levels, ranges, strict=True)
    ]
    furthest = max(offsets, key=abs, default=0.0)
    if abs(furthest) <= TOLERANCE:
        return ""
    what = "brighter" if furthest > 0 else "darker"
    other = "invert it, " if len(profile) == 1 else ""
    return (
        f"The background of this image is {what} than in the images that ‘{card.name}’ learned "
        f"from, so the result may be wrong: {other}choose another channel or another model, or "
        "train one on a few labels."
    )


def _offset(value: float, bounds: tuple[float, float]) -> float:
    """How far a value lies above (positive) or below a range."""
    low, high = bounds
    return max(value - high, 0.0) + min(value - low, 0.0)
