"""Measure the peak memory of the network on one tile, in full-resolution feature maps.

    python studies/measure_memory.py

`napari_unet.inference.plan.LIVE_FEATURE_MAPS` is the largest of the printed numbers, rounded
up. Each shape runs in a process of its own: a peak is only seen once.
"""

from __future__ import annotations

import math
import subprocess
import sys

CASES = [
    (2, (16, 32, 64, 128, 256), (1024, 1024)),
    (2, (32, 64, 128, 256), (768, 768)),
    (2, (16, 32, 64, 128, 256), (2048, 1024)),
    (3, (16, 32, 64), (48, 160, 160)),
    (3, (8, 16), (64, 128, 128)),
]


def measure(ndim: int, features: tuple[int, ...], shape: tuple[int, ...]) -> float:
    """Peak memory of one forward pass over the size of one feature map at full resolution."""
    import resource

    import numpy as np
    import torch

    from napari_unet.inference.prepared_network import prepare_network
    from napari_unet.network.unet import UNet
    from napari_unet.unet_config import UNetConfig

    config = UNetConfig(ndim=ndim, out_channels=2, features=features)
    prepared = prepare_network(UNet(config), torch.device("cpu"), "float32")
    prepared(np.zeros((1, *config.stride), np.float32))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepared(np.zeros((1, *shape), np.float32))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (after - before) * 1024 / (math.prod(shape) * features[0] * 4)


def main() -> None:
    """Run each case in a new process, or one case in this one."""
    if len(sys.argv) > 1:
        print(CASES[int(sys.argv[1])], f"{measure(*CASES[int(sys.argv[1])]):.2f} feature maps")
        return
    for number in range(len(CASES)):
        subprocess.run([sys.executable, __file__, str(number)], check=True)


if __name__ == "__main__":
    main()
