"""Random variation of patches, a whole batch at once, on the training device.

torchvision's transforms are for 2D and vary all images of a batch alike, MONAI's go through a
batch one sample after another; here each patch of a batch, 2D or 3D, has its own variation.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """How much patches are varied; each value is the largest of a uniform range.

    Attributes
    ----------
    rotate : bool
        Any angle in the YX plane; else multiples of 90 degrees (of 180 where a patch is
        not square).
    scale : float
        Zoom from ``1 / (1 + scale)`` to ``1 + scale``.
    elastic : float
        Displacement of a coarse random grid, in pixels.
    gain, offset, gamma, noise : float
        Of the normalised intensities.
    blur : float
        Gaussian sigma in pixels, for a third of the patches.
    flip : bool
        Along every axis.
    """

    flip: bool = True
    rotate: bool = False
    scale: float = 0.0
    elastic: float = 0.0
    gain: float = 0.0
    offset: float = 0.0
    gamma: float = 0.0
    noise: float = 0.0
    blur: float = 0.0

    @property
    def margin(self) -> float:
        """Size of the window to draw, in patches, so that few corners are missing."""
        if not self.rotate:
            return 1.0
        return 1.2 * (1 + self.scale / 2)


PRESETS = {
    "none": Augmentation(flip=False),
    "light": Augmentation(gain=0.2, offset=0.05, noise=0.02),
    "standard": Augmentation(
        rotate=True, scale=0.35, elastic=2.0, gain=0.3, offset=0.1, gamma=0.3, noise=0.05, blur=1.0
    ),
    "strong": Augmentation(
        rotate=True, scale=0.6, elastic=4.0, gain=0.5, offset=0.2, gamma=0.5, noise=0.1, blur=1.5
    ),
}


def augment(
    images: Tensor,
    targets: Tensor,
    known: Tensor,
    patch: tuple[int, ...],
    amounts: Augmentation,
    generator: torch.Generator,
    *,
    nearest_targets: int | None = None,
    change_intensity: bool = True,
    anisotropy: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut patches out of windows, varied in shape and intensity.

    One sampling grid per patch joins flip, rotation, zoom and elastic deformation, so that
    everything is interpolated once; flips and quarter turns alone move pixels and
    interpolate nothing.

    Parameters
    ----------
    images, targets, known : (B, *, [Z,] Y, X) tensors
        Windows; ``known`` is 1 where the target may be trusted.
    patch : tuple of int
        Size of the patches, at most that of the windows.
    amounts : Augmentation
        The amounts.
    generator : torch.Generator
        On the CPU; the only source of randomness.
    nearest_targets : int, optional
        The target from which on the nearest pixel is taken, not a mean: 0 for class indices, which
        must not be mixed, more for weights, of which no mean is needed.
    change_intensity : bool
        Whether the images' intensities may vary.
    anisotropy : float
        Distance of the planes over that of the pixels in them: elastic displacements in
        pixels are as much smaller along Z.

    Returns
    -------
    images, targets, known : (B, *, *patch) tensors
    """
    count, ndim = images.shape[0], images.ndim - 2
    device = images.device
    if amounts == PRESETS["none"]:
        return _crop_centre(images, patch), _crop_centre(targets, patch), _crop_centre(known, patch)
    if not amounts.rotate and amounts.scale == 0 and amounts.elastic == 0:
        turned = _rotate_and_flip((images, targets, known), patch, amounts, generator)
        if change_intensity:
            turned = (_augment_intensity(turned[0], amounts, generator), *turned[1:])
        return turned
    matrix = _draw_matrices(count, ndim, amounts, generator)
    grid = _make_grid(images.shape[2:], patch, matrix, amounts.elastic, anisotropy, generator).to(
        device
    )
    sampled = _resample(images, grid, "bilinear", "border")
    inside = _resample(known, grid, "nearest", "zeros")
    mixed = targets[:, :nearest_targets]
    if not mixed.shape[1] or bool(known.min() > 0):
        parts = [_resample(mixed, grid, "bilinear", "border")] if mixed.shape[1] else []
    else:  # unknown pixels must not be interpolated into known ones
        share = _resample(known, grid, "bilinear", "border")
        parts = [_resample(mixed * known, grid, "bilinear", "border") / share.clamp_min(1e-6)]
        inside = inside * (share > 1e-3)
    if nearest_targets is not None:
        parts.append(_resample(targets[:, nearest_targets:], grid, "nearest", "border"))
    sampled_target = torch.cat(parts, dim=1)
    if change_intensity:
        sampled = _augment_intensity(sampled, amounts, generator)
    return sampled, sampled_target, inside


def _resample(windows: Tensor, grid: Tensor, mode: str, padding: str) -> Tensor:
    return F.grid_sample(windows, grid, mode=mode, padding_mode=padding, align_corners=False)


def _crop_centre(windows: Tensor, patch: tuple[int, ...]) -> Tensor:
    for axis, size in enumerate(patch, start=2):
        windows = windows.narrow(axis, (windows.shape[axis] - size) // 2, size)
    return windows


def _rotate_and_flip(
    windows: tuple[Tensor, Tensor, Tensor],
    patch: tuple[int, ...],
    amounts: Augmentation,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Centres of the windows after quarter turns and flips."""
    count, ndim = windows[0].shape[0], len(patch)
    quarters = torch.randint(0, 4, (count,), generator=generator).tolist()
    flips = torch.randint(0, 2, (count, ndim), generator=generator).tolist()
    height, width = windows[0].shape[-2:]
    fits = height >= patch[-1] and width >= patch[-2]  # also when it lies on its side
    turned: tuple[list[Tensor], ...] = ([], [], [])
    for i, (quarter, picks) in enumerate(zip(quarters, flips, strict=True)):
        axes = [axis for axis, pick in enumerate(picks, start=2) if pick and amounts.flip]
        turns = quarter if fits else 2 * (quarter // 2)
        for out, window in zip(turned, windows, strict=True):
            part = _crop_centre(torch.rot90(window[i : i + 1], turns, (-2, -1)), patch)
            out.append(part.flip(axes))
    image, target, known = (torch.cat(parts) for parts in turned)
    return image, target, known


def _draw_uniform(shape: tuple[int, ...], size: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * size


def _draw_matrices(
    count: int, ndim: int, amounts: Augmentation, generator: torch.Generator
) -> Tensor:
    """(B, ndim, ndim) maps from output to input offsets, axes in the order XY[Z]."""
    if amounts.rotate:
        angle = _draw_uniform((count,), math.pi, generator)
    else:
        angle = torch.randint(0, 4, (count,), generator=generator) * (math.pi / 2)
    zoom = torch.exp(_draw_uniform((count,), math.log1p(amounts.scale), generator))
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    matrix = torch.eye(ndim).repeat(count, 1, 1)
    matrix[:, 0, 0], matrix[:, 0, 1] = cos, -sin
    matrix[:, 1, 0], matrix[:, 1, 1] = sin, cos
    if amounts.flip:
        signs = torch.randint(0, 2, (count, 1, ndim), generator=generator) * 2.0 - 1
        matrix = matrix * signs
    return matrix


def _make_grid(
    window: tuple[int, ...],
    patch: tuple[int, ...],
    matrix: Tensor,
    elastic: float,
    anisotropy: float,
    generator: torch.Generator,
) -> Tensor:
    """Sampling grid (B, *patch, ndim) in the normalised coordinates of the window."""
    count, ndim = matrix.shape[:2]
    points = _offsets(patch) @ matrix.transpose(1, 2)
    points = points.reshape(count, *patch, ndim)
    if elastic > 0:
        coarse = tuple(max(2, min(p // 24, 8)) if p > 1 else 1 for p in patch)
        shifts = _draw_uniform((count, ndim, *coarse), elastic, generator)
        if ndim == 3:
            shifts[:, 2] /= anisotropy
        if ndim == 2:  # along one axis after the other: as "bicubic", and several times as fast
            rows, columns = (_cubic_weights(*pair) for pair in zip(coarse, patch, strict=True))
            shifts = rows @ shifts @ columns.T
        else:
            shifts = F.interpolate(shifts, size=patch, mode="trilinear", align_corners=True)
        points += shifts.movedim(1, -1)
    sizes = torch.tensor([float(n) for n in reversed(window)])
    return points.mul_(2.0 / sizes)


@functools.lru_cache(maxsize=8)
def _offsets(patch: tuple[int, ...]) -> Tensor:
    """(1, pixels, ndim) offsets from the centre of a patch, axes in the order XY[Z]."""
    axes = [torch.arange(p) - (p - 1) / 2 for p in reversed(patch)]  # X first
    offsets = torch.stack(torch.meshgrid(*reversed(axes), indexing="ij")[::-1], dim=-1)
    return offsets.reshape(1, -1, len(patch))


@functools.lru_cache(maxsize=8)
def _cubic_weights(coarse: int, size: int) -> Tensor:
    """(size, coarse) weights of a cubic interpolation along one axis, its ends aligned."""
    grids = torch.eye(coarse)[:, None, :, None].expand(-1, -1, -1, 2)
    found = F.interpolate(grids, size=(size, 2), mode="bicubic", align_corners=True)
    return found[:, 0, :, 0].T.contiguous()


def _augment_intensity(x: Tensor, amounts: Augmentation, generator: torch.Generator) -> Tensor:
    count, channels = x.shape[:2]
    shape = (count, channels, *(1,) * (x.ndim - 2))
    if amounts.blur > 0:
        x = _blur_some(x, amounts.blur, generator)
    if amounts.gamma > 0:
        power = torch.exp(_draw_uniform(shape, amounts.gamma, generator)).to(x.device)
        x = torch.where(x > 0, x.clamp_min(1e-6) ** power, x)
    gain = torch.exp(_draw_uniform(shape, amounts.gain, generator)).to(x.device)
    x = x * gain + _draw_uniform(shape, amounts.offset, generator).to(x.device)
    if amounts.noise > 0:
        sigma = torch.rand(shape, generator=generator) * amounts.noise
        seed = int(torch.randint(0, 2**62, (1,), generator=generator))
        local = torch.Generator(x.device).manual_seed(seed)
        x = x + torch.randn(x.shape, generator=local, device=x.device) * sigma.to(x.device)
    return x


def _blur_some(x: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    picked = torch.rand(x.shape[0], generator=generator) < 1 / 3
    sigma = float(torch.rand(1, generator=generator)) * largest + 0.3
    if not picked.any():
        return x
    radius = max(1, math.ceil(2 * sigma))
    kernel = torch.exp(-((torch.arange(-radius, radius + 1) / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum()).to(x.device)
    index = picked.nonzero().flatten().to(x.device)
    part = x[index]
    flat = part.reshape(-1, 1, *part.shape[2:])
    convolve = F.conv2d if x.ndim == 4 else F.conv3d
    for axis in (x.ndim - 2, x.ndim - 1):  # in the plane
        size, pad = [1] * (x.ndim - 2), [0] * 2 * (x.ndim - 2)
        size[axis - 2] = kernel.numel()
        place = 2 * (x.ndim - 1 - axis)
        pad[place] = pad[place + 1] = radius
        flat = convolve(F.pad(flat, pad, mode="replicate"), kernel.reshape(1, 1, *size))
    x = x.clone()
    x[index] = flat.reshape(part.shape)
    return x
