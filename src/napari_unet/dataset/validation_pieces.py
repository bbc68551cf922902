"""Pieces to validate on: normalised pixels with what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.dataset.frames import MAX_CACHED_BYTES, MAX_FRAME_BYTES, Frame
from napari_unet.dataset.label_statistics import ANYWHERE

CONTEXT_PIXELS = 48  # around the known pixels, for the receptive field of the network
MIN_SIDE_PIXELS = 64  # to which a piece may be cropped


@dataclass(frozen=True, eq=False)
class ValidationPiece:
    """The labelled part of a plane or volume.

    Attributes
    ----------
    image : (C, *spatial) float32 array
        Normalised.
    labels : (K, *spatial) array
        Labels, or values; K is 1 but for regression.
    known : (*spatial) array of bool
        Where they can be trusted.
    looked_at : (*spatial) array of bool or None
        Where two models can be compared; None: wherever the labels can be trusted. Elsewhere the
        labels are those that a model has predicted.
    """

    image: NDArray[np.float32]
    labels: NDArray[Any]
    known: NDArray[np.bool_]
    looked_at: NDArray[np.bool_] | None = None

    @property
    def axes(self) -> str:
        """Axes of the image."""
        return "CZYX" if self.image.ndim == 4 else "CYX"


def make_validation_pieces(frames: Sequence[Frame]) -> list[ValidationPiece]:
    """The known parts of frames with context, up to `MAX_CACHED_BYTES` in total.

    Of a frame larger than `MAX_FRAME_BYTES` only the block with most objects (known pixels, where
    there are no objects) is taken.
    """
    pieces: list[ValidationPiece] = []
    used = 0
    for frame in frames:
        part = _known_part(frame)
        size = int(np.prod([p.stop - p.start for p in part])) * _pixel_bytes(frame)
        if pieces and used + size > MAX_CACHED_BYTES:
            break
        used += size
        labels, known = frame.read_labels(part)
        looked_at = frame.find_looked_at(part, labels)
        pieces.append(ValidationPiece(frame.read_image(part), labels, known, looked_at))
    return pieces


def _known_part(frame: Frame) -> tuple[slice, ...]:
    """The box of the known pixels with context, of a bounded size."""
    shape = frame.shape
    if frame.statistics.complete:
        low, high = np.zeros(len(shape), int), np.array(shape)
    else:
        positions = np.concatenate([p.positions for p in frame.statistics.places.values()])
        low = np.maximum(positions.min(0) - CONTEXT_PIXELS, 0)
        high = np.minimum(positions.max(0) + 1 + CONTEXT_PIXELS, shape)
    positions, weights = _content(frame)
    while np.prod(high - low) * _pixel_bytes(frame) > MAX_FRAME_BYTES:
        axis = int(np.argmax(high - low))
        length = (high[axis] - low[axis] + 1) // 2
        starts = np.linspace(low[axis], high[axis] - length, 5).round().astype(int)
        held = [
            weights[(positions[:, axis] >= start) & (positions[:, axis] < start + length)].sum()
            for start in starts
        ]
        # of equal ones that in the middle
        best = max(range(5), key=lambda i: (held[i], -abs(i - 2)))
        low[axis], high[axis] = starts[best], starts[best] + length
        inside = ((positions >= low) & (positions < high)).all(axis=1)
        positions, weights = positions[inside], weights[inside]
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def _content(frame: Frame) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Places of the objects, or of known pixels, and what they stand for."""
    places = frame.statistics.places
    objects = places.get(1) if frame.target_spec.task == "instance" else None
    found = places[ANYWHERE] if objects is None else objects
    return found.positions, found.weights


def _pixel_bytes(frame: Frame) -> int:
    labelled = frame.labelled
    values = frame.target_spec.channels if frame.target_spec.task == "regression" else 1
    label_bytes = values * int(np.dtype(labelled.labels.dtype).itemsize)
    return 4 * len(labelled.source.channels) + label_bytes + 1


def crop_pieces(pieces: Sequence[ValidationPiece], pixels: int) -> list[ValidationPiece]:
    """Pieces of at most so many pixels together, each an equal share: its middle.

    A piece that is known in part keeps the known pixels' middle.
    """
    if not pieces:
        return []
    share = max(1, pixels // len(pieces))
    return [_crop_piece(piece, share) for piece in pieces]


def _crop_piece(piece: ValidationPiece, pixels: int) -> ValidationPiece:
    shape = np.array(piece.known.shape)
    if shape.prod() <= pixels:
        return piece
    places = np.argwhere(piece.known)
    centre = np.median(places, axis=0) if len(places) else shape / 2
    size = shape.copy()
    while size.prod() > pixels and size.max() > MIN_SIDE_PIXELS:
        size[np.argmax(size)] = max(size.max() * 3 // 4, MIN_SIDE_PIXELS)
    start = np.clip((centre - size / 2).astype(int), 0, shape - size)
    part = tuple(slice(int(a), int(a + n)) for a, n in zip(start, size, strict=True))
    looked_at = None if piece.looked_at is None else piece.looked_at[part]
    return ValidationPiece(
        piece.image[:, *part], piece.labels[:, *part], piece.known[part], looked_at
    )
