"""What a dock does in the background once it is there, so that its first run starts at once."""

from __future__ import annotations

from collections.abc import Generator

from napari_unet.progress import Progress


def import_torch() -> Generator[Progress, None, list[str]]:
    """Import what a run needs, and look which devices there are."""
    yield Progress(0, 1, "importing torch")
    import numpy as np
    import torch

    import napari_unet.inference.roi  # noqa: F401  # for its side effect: it is loaded
    from napari_unet.card import Decoding
    from napari_unet.instances import maps as instances

    yield Progress(0, 1, "compiling")
    instances.decode(instances.encode(np.ones((8, 8), np.int32)), Decoding())
    cards = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    devices = ["auto", "cpu", *(f"cuda:{i}" for i in cards)]
    return devices + ["mps"] * torch.backends.mps.is_available()


def import_training() -> Generator[Progress, None, list[str]]:
    """Import what a training needs as well."""
    devices = yield from import_torch()
    yield Progress(0, 1, "importing the training")
    import torch

    import napari_unet.training.train  # noqa: F401  # for its side effect: it is loaded

    # the first optimiser of a process imports torch's compiler, which takes seconds
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    return devices
