"""The dock "Evaluate" and run records: what it does as a draft, and one taken over into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.errors import InputError
from napari_unet.image.given import origin_of_layer
from napari_unet.replay.evaluating import EvaluateRun
from napari_unet.replay.records import describe_taken, read_run_of_kind
from napari_unet.widgets.evaluate.request import FilesRequest, LayersRequest

if TYPE_CHECKING:
    from napari_unet.widgets.evaluate.form import EvaluateForm


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
        layers = [*form.candidates, form.true_layer]
        found = [origin_of_layer(layer).get("path") for layer in layers]
        for layer, path in zip(layers, found, strict=True):
            if path is None:
                raise InputError(
                    f"‘{layer.name}’ is in no file",
                    "save it with File > Save Selected Layers first",
                )
        first, *others = [Path(str(path)) for path in found]
        paths = [first, others[-1], others[0] if len(others) > 1 else None]
    elif form.fault is not None:
        raise form.fault.error
    else:
        raise InputError("A list by confidence is no run of its own", "choose a truth")
    names = ("predictions", "truth", "second")
    return {
        "operation": "evaluate",
        "inputs": {
            name: None if path is None else str(path.absolute())
            for name, path in zip(names, paths, strict=True)
        },
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
    form.choose_files(run.inputs.predictions, run.inputs.truth, run.inputs.second)
    form.show_settings(run.settings)
    left = ["the axes"] if run.inputs.axes is not None else []
    return describe_taken(path, left)
