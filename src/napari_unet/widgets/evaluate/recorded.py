"""The dock "Evaluate" and run records: what it does as a draft, and one taken over into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.errors import InputError
from napari_unet.image.given import origin_of_layer
from napari_unet.replay.evaluating import EvaluateRun
from napari_unet.replay.kept_arrays import HeldArray
from napari_unet.replay.records import describe_taken, read_run_of_kind
from napari_unet.widgets.evaluate.request import FilesRequest, LayersRequest

if TYPE_CHECKING:
    from napari_unet.widgets.evaluate.form import EvaluateForm

SHOWN = ("task", "ignore", "components")  # settings that the form has fields for


def draft_of(form: EvaluateForm) -> dict[str, Any]:
    """The record of what the form says.

    Raises
    ------
    InputError
        If it says nothing that can be run again.
    """
    form.refresh()
    request = form.request
    if isinstance(request, FilesRequest):
        paths = [request.predictions, request.truth, request.second]
    elif isinstance(request, LayersRequest):
        return _draft(request, _hold_arrays(request, form), request.axes)
    elif form.fault is not None:
        raise form.fault.error
    else:
        raise InputError("A list by confidence is no run of its own", "choose a truth")
    return _draft(request, [None if p is None else str(p.absolute()) for p in paths], None)


def _hold_arrays(request: LayersRequest, form: EvaluateForm) -> list[HeldArray | None]:
    """What is compared: of a layer that was edited, or has truth in part, not all of its file."""
    labels = request.settings.task != "regression"

    def hold(layer: Any, array: Any) -> HeldArray:
        origin = origin_of_layer(layer)
        if {*origin} != {"path"}:  # a channel, a scene or a level: a path alone is another array
            origin = {}
        return HeldArray(array, layer.name, origin, as_labels=labels)

    first, *others = map(hold, form.candidates, request.predictions)
    return [first, hold(form.true_layer, request.truth), others[0] if others else None]


def _draft(
    request: FilesRequest | LayersRequest, inputs: list[Any], axes: str | None
) -> dict[str, Any]:
    names = ("predictions", "truth", "second")
    return {
        "operation": "evaluate",
        "inputs": {**dict(zip(names, inputs, strict=True)), "axes": axes},
        "settings": request.settings.model_dump(mode="json"),
    }


def take_over(path: Path, form: EvaluateForm) -> str:
    """Fill the form from a record; gives what is to be said of it.

    Raises
    ------
    UNetError
        If it is no record of an evaluation.
    """
    run = read_run_of_kind(path, EvaluateRun)
    predictions, truth, second = run.inputs.paths()
    form.choose_files(predictions, truth, second)
    form.show_settings(run.settings)
    left = ["the axes"] if run.inputs.axes is not None else []
    given = run.settings.model_dump(exclude_defaults=True)
    left += [name.replace("_", " ") for name in given if name not in SHOWN]
    return describe_taken(path, left)
