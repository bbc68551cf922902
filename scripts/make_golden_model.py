"""Write the golden model file of the present format_version, which the tests load forever.

    python scripts/make_golden_model.py tests/golden/format_version_1.safetensors

Run once for each format version. A golden file is never written again: it stands for the
files that users have. The weights are a formula, so no random generator is part of it.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from napari_unet.card import (
    FORMAT_VERSION,
    ClassInfo,
    Decoding,
    InstanceRepresentation,
    ModelCard,
    Normalization,
    ScoreRecord,
    TrainingRecord,
)
from napari_unet.network.model import Model
from napari_unet.network.unet import UNet
from napari_unet.unet_config import UNetConfig

# the smallest PNG: one grey pixel
THUMBNAIL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


def make_model() -> Model:
    """A tiny 2D instance model whose card fills every field."""
    architecture = UNetConfig(
        in_channels=2, out_channels=2, features=(4, 6, 8), strides=((2, 2), (1, 3))
    )
    network = UNet(architecture).eval()
    with torch.no_grad():
        for number, (name, tensor) in enumerate(network.state_dict().items()):
            if not tensor.is_floating_point():
                continue
            phase = torch.arange(tensor.numel(), dtype=torch.float64) * 0.7 + number
            values = 0.4 * torch.sin(phase)
            if name.endswith("running_var"):
                values = 0.5 + values.abs()
            elif tensor.ndim > 1:
                values = values * 2 / math.sqrt(tensor[0].numel())
            elif name.endswith("weight"):
                values = 1 + values
            tensor.copy_(values.reshape(tensor.shape))
    card = ModelCard(
        name=f"golden-{FORMAT_VERSION}",
        description="A tiny model with every field of its card filled; it segments nothing.",
        task="instance",
        axes="CYX",
        channels=("DNA", "membrane"),
        classes=(ClassInfo(value=1, name="cell", colour="#33aa55"),),
        instances=InstanceRepresentation(name="foreground-distance", version=1),
        decoding=Decoding(threshold=0.4, split_depth=0.25, min_size=12, smoothing=1.5),
        pixel_size=(0.5, 0.25),
        object_diameter=17.5,
        normalization=Normalization(
            mode="percentile", lower=0.5, upper=99.5, scope="time", limits=None
        ),
        architecture=architecture,
        training=TrainingRecord(
            base="nuclei",
            base_sha256="0" * 64,
            examples=3,
            labelled_pixels=12345,
            data_sha256="1" * 64,
            steps=10,
            seconds=2.5,
            seed=7,
            versions={"python": "3.11"},
            config={"patch": [64, 64], "minutes": None},
        ),
        scores=(ScoreRecord(data="none", images=1, values={"ap_50": 0.5}),),
        thumbnail=THUMBNAIL,
        licence="CC0-1.0",
        authors=("napari-unet contributors",),
        citation="none",
    )
    return Model(card, network)


def main() -> None:
    """Write the file, unless it exists."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="where to write the .safetensors file")
    path: Path = parser.parse_args().path
    if path.exists():
        parser.error(f"{path} exists; a golden file is never written again")
    written = make_model().save(path)
    print(f"{written}: {written.stat().st_size} bytes")


if __name__ == "__main__":
    main()
