"""What a dock does in the background once it is there, so that its first run starts at once."""

from __future__ import annotations

from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from napari_unet.io.scratch import sweep_leftovers
from napari_unet.progress import Progress


def import_torch() -> Generator[Progress, None, list[str]]:
    """Import and compile what a run needs, and look which devices there are.

    In a worker: while it compiles, other threads have their turn every few milliseconds, so
    that the window goes on, and the next session takes the machine code from the disk.
    """
    yield Progress(0, 1, "importing torch")
    sweep_leftovers(Path(gettempdir()))  # scores that a killed process has left
    import numpy as np
    import torch

    import napari_unet.inference.roi  # noqa: F401  # for its side effect: it is loaded
    from napari_unet.card import Decoding
    from napari_unet.instances import maps as instances

    yield Progress(0, 1, "compiling")
    # planes and volumes, in one block or in several, are flooded by the same machine code
    instances.decode(instances.encode(np.ones((8, 8), np.int32)), Decoding())
    compile_label_textures()
    cards = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    devices = ["auto", "cpu", *(f"cuda:{i}" for i in cards)]
    return devices + ["mps"] * torch.backends.mps.is_available()


def import_training() -> Generator[Progress, None, list[str]]:
    """Import what a training needs as well."""
    devices = yield from import_torch()
    yield Progress(0, 1, "importing the training")

    import napari_unet.training.train  # noqa: F401  # for its side effect: it is loaded

    return devices


def compile_label_textures() -> None:
    """Compile what the viewer needs to show int32 labels of more than 255 colours.

    It would do so in the thread of the window, which then stands still for seconds, when the
    first result is shown. It is compiled only, not run: numba's threads must not be entered
    from two places at once.
    """
    import_module("pandas")  # which a Labels layer needs
    from napari.utils.colormaps import _accelerated_cmap

    loop: Any = getattr(_accelerated_cmap, "_zero_preserving_modulo_inner_loop", None)
    if not hasattr(loop, "compile"):
        return  # a viewer that does it otherwise
    from numba import types

    # the colour of the brush; a slice; what a stroke changes; a volume
    for ndim, texture in ((1, types.uint8), *((n, types.uint16) for n in (2, 1, 3))):
        values, out = (types.Array(each, ndim, "C") for each in (types.int32, texture))
        loop.compile((values, types.int64, types.int64, out))
