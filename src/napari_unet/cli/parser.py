"""The options of each command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin

from napari_unet.cli.batching import add_batch_options
from napari_unet.cli.evaluating import add_evaluate_options
from napari_unet.cli.examples import ABOUT, EXAMPLES
from napari_unet.cli.exporting import add_export_options
from napari_unet.cli.measuring import add_measure_options
from napari_unet.cli.repeating import add_run_options
from napari_unet.errors import SettingsError


def build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; only the command that ``words`` name gets the options of its settings.

    It raises `SettingsError` for arguments that it does not understand.
    """
    parser = _Parser(
        prog="napari-unet",
        description=ABOUT,
        epilog=EXAMPLES[""],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    # the settings need pydantic, which takes longer than all the rest
    command = next((word for word in words if not word.startswith("-")), "")

    for name, text in (
        ("segment", "label the objects or classes of images"),
        ("predict", "write the scores of a model"),
    ):
        sub = _add_command(commands, name, text)
        add_batch_options(sub, scores=name == "predict")
        _add_model(sub, "-m", "--model", required=True)
        _add_image_options(sub)
        _add_scene(sub, "; 'all' for each of them, with a result of its own")
        if command == name:
            from napari_unet.settings import SegmentSettings

            _add_settings(sub, SegmentSettings)

    sub = _add_command(commands, "train", "train a model")
    _add_training_files(sub)
    _add_image_options(sub)
    _add_scene(sub)
    _add_label_options(sub)
    _add_regions(sub)
    if command == "train":
        from napari_unet.settings import TrainConfig

        _add_settings(sub, TrainConfig, leave_out=("name",))

    sub = _add_command(commands, "measure", "measure the objects of labels")
    add_measure_options(sub)
    _add_axes_options(sub)

    add_run_options(_add_command(commands, "run", "repeat a recorded run"))
    sub = _add_command(commands, "export", "write labels for another program")
    add_export_options(sub)
    _add_axes_options(sub)

    sub = _add_command(commands, "evaluate", "score predictions against the truth")
    add_evaluate_options(sub)
    if command == "evaluate":
        from napari_unet.evaluation.settings import EvaluationSettings

        _add_settings(sub, EvaluationSettings)

    sub = _add_group(commands, "models", "list, show, verify or add models")
    actions = sub.add_subparsers(metavar="ACTION", required=True)
    _add_command(actions, "models list", "list all models, one a line")
    for name, text in (
        ("show", "show the card of a model, as JSON"),
        ("verify", "recompute the output that is stored with a model"),
    ):
        _add_model(_add_command(actions, f"models {name}", text), "model")
    text = "keep models from a file, or from a folder or list that a lab keeps"
    add = _add_command(actions, "models add", text)
    add.add_argument(
        "source", help="a .safetensors file, a folder of them, or a list (JSON; path or address)"
    )
    add.add_argument("names", nargs="*", metavar="NAME", help="which of the models there")
    add.add_argument("--as", dest="new_name", metavar="NAME", help="keep it under another name")

    sub = _add_command(commands, "demo", "segment the images that come with the package")
    sub.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("demo"),
        help="folder for the results (default: demo)",
    )
    sub.add_argument("--no-window", action="store_true", help="do not open napari")
    return parser


def chosen_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Settings that were given on the command line, by field."""
    return {
        name.removeprefix("settings."): value
        for name, value in vars(options).items()
        if name.startswith("settings.") and value is not None
    }


def _add_training_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", type=Path, metavar="IMAGES", help="image file, or folder of images"
    )
    parser.add_argument(
        "labels",
        type=Path,
        nargs="?",
        metavar="LABELS",
        help="label file, or folder of labels by name (default: in the folder of the images)",
    )
    pair = ("IMAGES", "LABELS")
    parser.add_argument(
        "--also",
        nargs=2,
        type=Path,
        action="append",
        metavar=pair,
        help="further files or folders to learn from; can be given several times",
    )
    parser.add_argument(
        "--validation",
        nargs=2,
        type=Path,
        metavar=pair,
        help="files or folders to validate on, never learned from (default: a part is held out)",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        help="name of the new model (kept among your models), or a path ending in .safetensors",
    )
    parser.add_argument(
        "--base", metavar="MODEL", help="model to start from, which is not changed: name or file"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="keeps the state of the training; the same command goes on from it after a break",
    )
    parser.add_argument(
        "--no-checks", action="store_true", help="do not look for mistakes in the examples first"
    )


def _add_label_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--components",
        action="store_true",
        help="make an object of each connected region of the labels, as of a mask of 0 and 255",
    )
    parser.add_argument(
        "--negative-unknown",
        action="store_true",
        help="take negative labels for pixels of which nothing is known",
    )


def _add_regions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--region",
        type=_regions,
        metavar="all|planes|painted",
        help="where labels can be trusted: everywhere; in planes that carry any; where something "
        "is painted; also several, as in planes,painted (default: all)",
    )
    parser.add_argument(
        "--region-masks",
        type=Path,
        metavar="FOLDER",
        help="masks by the names of the images, not 0 where labels can be trusted; beside what "
        "--region says, if that is given",
    )
    parser.add_argument(
        "--background",
        type=int,
        metavar="N",
        help="label that means background, where 0 means not labelled",
    )
    parser.add_argument(
        "--class",
        dest="named",
        type=_class_name,
        action="append",
        metavar="N=NAME",
        help="name of a class of a semantic model, as in 1=nucleus; once for each class",
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # where argparse would print its usage as well: a fault is one line
        raise SettingsError(message, f"'{self.prog} --help' tells the options")


def _add_group(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    """The parser of a command, or of one that has actions; its help ends with examples."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name.rpartition(" ")[2],
        help=text,
        description=f"{text[:1].upper()}{text[1:]}.",
        epilog=EXAMPLES[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _add_command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    parser = _add_group(commands, name, text)
    parser.set_defaults(run=name.replace(" ", "_"))
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a JSON object a line, for programs: progress, result, error, end",
    )
    return parser


def _add_model(parser: argparse.ArgumentParser, *names: str, **more: Any) -> None:
    parser.add_argument(
        *names, metavar="MODEL", help="name of a model, or a .safetensors file", **more
    )


def _add_image_options(parser: argparse.ArgumentParser) -> None:
    _add_axes_options(parser)
    parser.add_argument(
        "--channels",
        type=_integers,
        metavar="N[,N]",
        help="channels to use, counted from 0, as in 0,2 (default: all)",
    )


def _add_axes_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--axes", help="axes of the images over TCZYX, as in ZYX (default: as the file says)"
    )
    parser.add_argument(
        "--pixel-size",
        type=_numbers,
        metavar="SIZE[,SIZE]",
        help="micrometres: one number, or one per spatial axis in the order of the axes, as in "
        "0.5,0.1,0.1 (default: as the file says)",
    )


def _add_scene(parser: argparse.ArgumentParser, more: str = "") -> None:
    parser.add_argument(
        "--scene",
        type=lambda text: int(text) if text.isascii() and text.isdigit() else text,
        metavar="N",
        help=f"which image of files that hold several: its number from 0, or its name{more} "
        "(default: the first that is no thumbnail)",
    )


def _add_settings(
    parser: argparse.ArgumentParser, kind: type, leave_out: Sequence[str] = ()
) -> None:
    """One option per field of a settings model; values are checked by the model."""
    from napari_unet.card import Decoding

    group = parser.add_argument_group("settings")
    for name, field in kind.model_fields.items():  # type: ignore[attr-defined]
        if name in leave_out:
            continue
        flag, dest = "--" + name.replace("_", "-"), f"settings.{name}"
        text = (field.description or "").replace("%", "%%").replace("empty:", "left out:")
        default = field.get_default(call_default_factory=True)
        if isinstance(default, bool):
            group.add_argument(flag, dest=dest, action=argparse.BooleanOptionalAction, help=text)
            continue
        metavar = "VALUE"
        if get_origin(field.annotation) is Literal:
            metavar = "|".join(map(str, get_args(field.annotation)))
        if default is None and name in Decoding.model_fields:
            text += " (default: the model's)"
        elif isinstance(default, str | int | float) and default != "":
            text += f" (default: {default})"
        elif isinstance(default, tuple) and default:
            text += f" (default: {','.join(map(str, default))})"
        if name == "normalization":
            text += """ As JSON: '{"mode": "range", "limits": [[0, 255]]}'."""
        if name == "classes":
            text += """ As JSON: '[{"value": 1, "name": "nucleus"}]'; --class is shorter."""
        # text stays text: a description may be a number, or have commas
        read = str if field.annotation is str else _value
        group.add_argument(flag, dest=dest, metavar=metavar, type=read, help=text)


def _value(text: str) -> object:
    """A number, list or JSON object where the text is one; else the text itself.

    >>> _value("64"), _value("8,64"), _value("auto"), _value('{"mode": "none"}')
    (64, [8, 64], 'auto', {'mode': 'none'})
    """
    import json

    for candidate in (text, f"[{text}]"):
        try:
            return json.loads(candidate)
        except ValueError:
            if "," not in text:
                break
    return text


def _integers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of integers such as 0,2") from None


def _numbers(text: str) -> float | list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number or list as 0.5,0.1") from None
    return values[0] if len(values) == 1 else values


def _regions(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if not set(parts) <= {"all", "planes", "painted"}:
        raise argparse.ArgumentTypeError(f"{text!r} is unknown; choose all, planes or painted")
    return parts


def _class_name(text: str) -> tuple[int, str]:
    value, _, name = text.partition("=")
    if not (value.isascii() and value.isdigit() and int(value) <= 65535 and name.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} is no label and name as 1=nucleus")
    return int(value), name.strip()


class _Version(argparse.Action):
    def __init__(self, option_strings: list[str], dest: str, **_: object) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from napari_unet.installation import package_version

        print(package_version())
        parser.exit()
