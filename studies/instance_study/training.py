"""The same short training for every representation, and its scores."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from instance_study.data import Dataset, Sample, iter_patches
from instance_study.representation import Decoder, Labels, Maps, Representation, turn
from napari_unet.inference.prepared_network import fold_batch_norm
from napari_unet.metrics import InstanceScores, evaluate
from napari_unet.network.unet import UNet
from napari_unet.renumbering import remove_small
from napari_unet.unet_config import UNetConfig

IOUS = (0.5, 0.7, 0.9)
THRESHOLDS = (0.4, 0.5, 0.6, 0.7)
SIZES = (0, 10, 20, 40, 80, 160)
SEED = 0


def run(dataset: Dataset, representation: Representation, output: Path) -> None:
    """Train, pick the decoding, score and write a result file."""
    torch.manual_seed(SEED)
    start = time.perf_counter()
    cached = [representation.cached(sample.labels) for sample in dataset.training]
    encoding = time.perf_counter() - start
    network, loss = train(dataset, representation, cached)
    torch.save(network.state_dict(), output.with_suffix(".pt"))
    network = fold_batch_norm(network)
    training = time.perf_counter() - start - encoding
    result: dict[str, Any] = {
        "dataset": dataset.name,
        "representation": representation.key,
        "radius": dataset.radius,
        "steps": dataset.steps,
        "loss": loss,
        "encode_seconds": encoding,
        "train_seconds": training,
        "images": {name: len(samples) for name, samples in dataset.tests.items()},
        "training_images": len(dataset.training),
    }
    chosen = select(network, representation, dataset.selection)
    result["decoding"] = {
        decoder.name: value
        for decoder, (value, _) in zip(representation.decoders, chosen, strict=True)
    }
    best = max(range(len(chosen)), key=lambda i: chosen[i][1])
    result["best_decoder"] = representation.decoders[best].name
    result["select_seconds"] = time.perf_counter() - start - encoding - training
    result["tests"] = score_tests(network, representation, dataset, result["decoding"])
    result["tests_given_foreground"] = score_tests(
        network, representation, dataset, result["decoding"], given=True
    )
    result["seconds"] = time.perf_counter() - start
    part = output.with_suffix(".part")
    part.write_text(json.dumps(result, indent=1))
    part.replace(output)
    print(json.dumps(result), flush=True)


def score_tests(
    network: UNet,
    representation: Representation,
    dataset: Dataset,
    decoding: dict[str, Any],
    *,
    given: bool = False,
) -> dict[str, Any]:
    """AP of each decoding on each kind of test image; ``given`` takes the true foreground.

    With the true foreground only the division into objects is scored.
    """
    out: dict[str, Any] = {decoder.name: {} for decoder in representation.decoders}
    for name, samples in dataset.tests.items():
        found: list[list[Labels]] = [[] for _ in representation.decoders]
        for sample in samples:
            maps = predict(network, representation, sample)
            if given:
                maps = np.concatenate([(sample.labels > 0)[None].astype(np.float32), maps[1:]])
            for labels, decoder in zip(found, representation.decoders, strict=True):
                labels.append(decode(decoder, maps, **decoding[decoder.name]))
        for decoder, labels in zip(representation.decoders, found, strict=True):
            out[decoder.name][name] = scores(labels, samples)
    return out


def retest(dataset: Dataset, representation: Representation, output: Path) -> None:
    """Score a network that was kept, with the true foreground, at the decoding it has."""
    result = json.loads(output.read_text())
    if "decoding" not in result:
        result["decoding"] = {d: t.pop("parameters") for d, t in result["tests"].items()}
    network = UNet(configure(dataset, representation))
    network.load_state_dict(torch.load(output.with_suffix(".pt"), weights_only=True))
    network = fold_batch_norm(network.eval())
    result["tests_given_foreground"] = score_tests(
        network, representation, dataset, result["decoding"], given=True
    )
    output.write_text(json.dumps(result, indent=1))


def configure(dataset: Dataset, representation: Representation) -> UNetConfig:
    """The architecture, the same for all representations but for the last layer."""
    return UNetConfig(
        ndim=len(dataset.patch),
        in_channels=dataset.training[0].image.shape[0],
        out_channels=representation.channels,
        features=dataset.features,
        strides=dataset.strides,
    )


def train(
    dataset: Dataset, representation: Representation, cached: list[Maps]
) -> tuple[UNet, float]:
    """AdamW with a one-cycle rate; flips, quarter turns and a change of gain and offset."""
    ndim = len(dataset.patch)
    network = UNet(configure(dataset, representation)).train()
    if ndim == 3:  # faster on a CPU, in 2D it is slower
        network = network.to(memory_format=torch.channels_last_3d)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 3e-3, total_steps=dataset.steps + 1, pct_start=0.2
    )
    patches = iter_patches(dataset.training, cached, dataset, SEED)
    rng = np.random.default_rng(SEED)
    losses = []
    start = time.perf_counter()
    for step in range(dataset.steps):
        images, targets = [], []
        for image, maps, quarters, flips in itertools.islice(patches, dataset.batch):
            gain, offset = np.exp(rng.uniform(-0.3, 0.3)), rng.uniform(-0.1, 0.1)
            images.append(turn(image, quarters, flips) * np.float32(gain) + np.float32(offset))
            targets.append(representation.turned(maps, quarters, flips))
        x = torch.from_numpy(np.stack(images))
        y = torch.from_numpy(np.stack(targets))
        loss = representation.loss(network(x), y)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step % 50 == 49:
            print(
                f"  {dataset.name} {representation.key} step {step + 1} "
                f"{(time.perf_counter() - start) / (step + 1):.3f} s a step, "
                f"loss {np.mean(losses[-50:]):.4f}",
                flush=True,
            )
    return network.eval(), float(np.mean(losses[-50:]))


def predict(network: UNet, representation: Representation, sample: Sample) -> Maps:
    """Maps of a whole image."""
    with torch.inference_mode():
        return representation.maps(network(torch.from_numpy(sample.image[None])))


def decode(
    decoder: Decoder, maps: Maps, *, threshold: float, parameter: float, min_size: int
) -> Labels:
    """Labels with the small ones removed."""
    return remove_small(decoder.decode(maps, threshold, parameter), min_size)


def select(
    network: UNet, representation: Representation, samples: list[Sample]
) -> list[tuple[dict[str, Any], float]]:
    """For each decoding the best parameter, then threshold, then size, by mean AP."""
    predicted = [predict(network, representation, sample) for sample in samples]
    chosen = []
    for decoder in representation.decoders:
        grid = [(0.5, value) for value in decoder.grid]
        first = _measure(decoder, predicted, samples, grid, (0,))
        value = max(first, key=lambda key: first[key])[1]
        # a threshold means little where there is no background
        dense = all((sample.labels > 0).mean() > 0.95 for sample in samples)
        pairs = [(level, value) for level in ((0.5,) if dense else THRESHOLDS)]
        second = _measure(decoder, predicted, samples, pairs, SIZES)
        best = max(second, key=lambda key: second[key])
        parameters = {"threshold": best[0], "parameter": best[1], "min_size": best[2]}
        chosen.append((parameters, second[best]))
    return chosen


def _measure(
    decoder: Decoder,
    predicted: list[Maps],
    samples: list[Sample],
    grid: list[tuple[float, float]],
    sizes: tuple[int, ...],
) -> dict[tuple[float, float, int], float]:
    total: dict[tuple[float, float, int], float] = {}
    for maps, sample in zip(predicted, samples, strict=True):
        for threshold, value in grid:
            labels = decoder.decode(maps, threshold, value)
            for size in sizes:
                found = scores([remove_small(labels, size)], [sample])
                key = threshold, value, size
                total[key] = total.get(key, 0.0) + sum(found.values()) / len(samples)
    return total


def scores(found: list[Labels], samples: list[Sample]) -> dict[str, float]:
    """AP = TP / (TP + FP + FN) at three IoU, mean over images."""
    ignore = [sample.ignore for sample in samples]
    result = evaluate(
        found,
        [sample.labels for sample in samples],
        task="instance",
        ignore=None if ignore[0] is None else ignore,
    )
    assert isinstance(result, InstanceScores)
    return {str(iou): float(result.ap_mean[iou]) for iou in IOUS}
