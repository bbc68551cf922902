"""Train a bundled model by its recipe, score it on images that it never saw, save it.

    python scripts/train_model.py histology DATA --minutes 70 --checkpoint run.checkpoint
    python scripts/train_model.py histology DATA --model nuclei-histology.safetensors  # score again
    python scripts/train_model.py histology DATA --base nuclei-histology.safetensors --minutes 95
    python scripts/train_model.py histology DATA --model nuclei-histology.safetensors --calibrate

Run once more with the same checkpoint, it goes on where it stopped. A model that was still
getting better at the end of its time is the base of another round, which ``--augmentation standard
--learning-rate 5e-4`` makes a last one, in smaller steps. The bundled ``nuclei`` is that of
`train_nuclei.py`; the recipe of that name goes on from it.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from recipes.recipe import Recipe, calibrate_recipe, finish_recipe, train_recipe

from napari_unet.network.model import Model

RECIPES = ("nuclei", "histology", "nuclei3d", "phase", "denoise")


def find_recipe(name: str) -> Recipe:
    """The recipe of a name."""
    recipe: Recipe = import_module(f"recipes.{name}").RECIPE
    return recipe


def main() -> None:
    """Read the arguments, train, score, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("data", type=Path)
    parser.add_argument("--output", type=Path)
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float)
    budget.add_argument("--steps", type=int)
    parser.add_argument("--checkpoint", type=Path, help="written in between; resumed where it is")
    parser.add_argument("--base", help="a bundled model, or the file of an earlier round")
    parser.add_argument("--diameter", type=float, help="of objects as the network sees them")
    parser.add_argument("--augmentation", choices=("none", "light", "standard", "strong"))
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", type=Path, help="score this model instead of training")
    parser.add_argument("--calibrate", action="store_true", help="its decoding anew, on selection")
    arguments = parser.parse_args()
    recipe = find_recipe(arguments.recipe)
    changes = {name: getattr(arguments, name) for name in ("augmentation", "learning_rate")}
    model = (
        Model.load(arguments.model)
        if arguments.model
        else train_recipe(
            recipe,
            arguments.data,
            minutes=arguments.minutes,
            steps=arguments.steps,
            device=arguments.device,
            checkpoint=arguments.checkpoint,
            base=arguments.base,
            diameter=arguments.diameter,
            changes={name: value for name, value in changes.items() if value is not None},
        )
    )
    if arguments.calibrate or (recipe.calibrate and not arguments.model):
        model = calibrate_recipe(recipe, arguments.data, model)
        print(model.card.decoding, flush=True)
    output = arguments.output or Path(f"{recipe.name}.safetensors")
    print(finish_recipe(recipe, arguments.data, model).save(output))


if __name__ == "__main__":
    main()
