"""Time the decoding of instance maps against the usual steps with scikit-image.

    python studies/benchmark_decoding.py

Maps of round objects, some of which touch, with the noise of a prediction; medians of five
rounds in turn, on one thread. The usual steps split the foreground by its distance transform:
pieces, distance transform, peaks, watershed, numbers without gaps, small objects removed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.morphology import remove_small_objects
from skimage.segmentation import relabel_sequential, watershed

from napari_unet.card import Decoding
from napari_unet.instances.blockwise import iter_decode_blocks
from napari_unet.instances.maps import decode, encode
from napari_unet.progress import drain

ROUNDS = 5
DECODING = Decoding(min_size=50)
SHAPES = [(1024, 1024), (2048, 2048), (64, 256, 256), (64, 512, 512)]
RADII = (8.0, 14.0)


def make_labels(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.int32]:
    """Balls at random places; where they would overlap, the first one keeps the pixels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    ball = np.mean(RADII) ** len(shape) * (3.1 if len(shape) == 2 else 4.2)
    for number in range(1, int(0.55 * labels.size / ball) + 1):
        centre, radius = rng.uniform(0, shape), rng.uniform(*RADII)
        box = tuple(
            slice(max(0, int(c - radius)), min(n, int(c + radius) + 2))
            for c, n in zip(centre, shape, strict=True)
        )
        grid = np.ogrid[box]
        inside = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) < radius**2
        part = labels[box]
        part[inside & (part == 0)] = number
    return labels


def make_maps(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """The maps of the labels, with smooth noise."""
    maps = encode(labels)
    noise = np.random.default_rng(1).standard_normal(labels.shape, np.float32)
    maps += 0.3 * ndimage.gaussian_filter(noise, 2) * maps[0]
    return maps


def usual_steps(maps: NDArray[np.float32]) -> NDArray[np.int32]:
    """Objects by the distance transform of the foreground, with scipy and scikit-image."""
    foreground = maps[0] > DECODING.threshold
    pieces, _ = ndimage.label(foreground)
    distance = ndimage.distance_transform_edt(foreground)
    seeds = np.zeros(foreground.shape, np.int32)
    peaks = peak_local_max(distance, min_distance=5, labels=pieces)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = watershed(-distance, seeds, mask=foreground)
    labels, _, _ = relabel_sequential(labels)
    return remove_small_objects(labels, max_size=DECODING.min_size - 1)


def in_blocks(maps: NDArray[np.float32]) -> NDArray[np.int32]:
    """Objects, decoded block by block."""
    labels = np.zeros(maps.shape[1:], np.int32)
    job = iter_decode_blocks(
        lambda region: maps[:, *region],
        labels.shape,
        DECODING,
        write=labels.__setitem__,
        reread=labels.__getitem__,
        block=(512, 512) if labels.ndim == 2 else (64, 128, 128),
    )
    drain(job)
    return labels


def main() -> None:
    """Print a line per shape: seconds, and the ratio of paired rounds."""
    ways: list[Callable[[NDArray[np.float32]], NDArray[np.int32]]]
    ways = [decode_whole, in_blocks, usual_steps]
    print("shape | foreground | objects | decode s | in blocks s | scikit-image s | ratio")
    for shape in SHAPES:
        maps = make_maps(make_labels(shape))
        count = decode_whole(maps).max()  # compiles, the first time
        in_blocks(maps[..., :64, :64])
        seconds: dict[str, list[float]] = {way.__name__: [] for way in ways}
        for _ in range(ROUNDS if maps.size < 10**7 else 3):
            for way in ways:
                start = time.perf_counter()
                way(maps)
                seconds[way.__name__].append(time.perf_counter() - start)
        whole, blocks, usual = (statistics.median(s) for s in seconds.values())
        pairs = zip(seconds["decode_whole"], seconds["usual_steps"], strict=True)
        ratio = statistics.median(own / theirs for own, theirs in pairs)
        share = np.mean(maps[0] > DECODING.threshold)
        print(
            f"{shape} | {share:.2f} | {count} | {whole:.3f} | {blocks:.3f} | {usual:.2f} "
            f"| {ratio:.3f}",
            flush=True,
        )


def decode_whole(maps: NDArray[np.float32]) -> NDArray[np.int32]:
    """Objects, decoded at once."""
    return decode(maps, DECODING)


if __name__ == "__main__":
    main()
