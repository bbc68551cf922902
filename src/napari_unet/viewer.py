"""Layers of napari in, layers out: what the docks do, for scripts, notebooks and other plugins.

The only public module that knows napari, which it imports when a function is called. Results lie
on their image as the docks lay them: scale, translation, rotation, shear, affine, units and axis
labels are those of the image layer, and the run record stands in the metadata.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Unpack

from napari_unet.errors import InputError
from napari_unet.progress import drain
from napari_unet.settings import SegmentOverrides, SegmentSettings, TrainConfig, TrainOverrides

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from napari import Viewer
    from napari.layers import Image, Labels, Layer

    from napari_unet.inference.results import Prediction, Segmentation
    from napari_unet.network.model import Model

__all__ = ["add_result", "measure_layer", "segment_layer", "train_from_layers"]

logger = logging.getLogger(__name__)

LayerData = tuple[Any, dict[str, Any], str]
"""Data, attributes and type of a layer, napari's ``LayerDataTuple``."""


def segment_layer(
    layer: Image | Sequence[Image],
    model: Model | str | Path = "nuclei",
    *,
    axes: str | None = None,
    channels: Sequence[int] | None = None,
    settings: SegmentSettings | None = None,
    level: int = 0,
    name: str | None = None,
    **overrides: Unpack[SegmentOverrides],
) -> LayerData:
    """Segment an image layer; the result can be added to a viewer, or returned by a plugin.

    Parameters
    ----------
    layer : Image, or sequence of Image
        The layer, or one per channel of the model, which lie on the same place.
    model : Model, str or Path
        As in `napari_unet.segment`. Of a regression model the values become an image layer.
    axes : str, optional
        Of the layer's array over TCZYX; None: as its axis labels or its file say, else guessed.
    channels : sequence of int, optional
        Which channels along an axis C, in the model's order.
    settings : SegmentSettings, optional
        Settings; ``overrides`` are single fields of it.
    level : int
        Of a multiscale layer; 0 is the finest.
    name : str, optional
        Of the result; None: that of the layer and "labels".
    **overrides
        Single fields of `SegmentSettings`, such as ``threshold=0.6``.

    Returns
    -------
    (data, attributes, "labels") or (data, attributes, "image")
        Labels with the axes of the layer less C, int32 or the card's class values. Pixel sizes
        are those of the layer, in whatever unit of length it has.

    Raises
    ------
    UNetError
        If the layer, the model or a setting cannot be used.

    Examples
    --------
    >>> from napari.layers import Image
    >>> from napari_unet.samples import load_sample
    >>> image = Image(load_sample("nuclei_2d").image[:96, :96], scale=(0.5, 0.5), name="cells")
    >>> data, attributes, kind = segment_layer(image, "nuclei")
    >>> data.shape, kind, attributes["name"], attributes["scale"].tolist()
    ((96, 96), 'labels', 'cells labels', [0.5, 0.5])
    """
    from napari_unet.image.source import open_image
    from napari_unet.inference.segmentation import iter_run
    from napari_unet.network.model import Model
    from napari_unet.widgets.viewer.layer_data import labels_data, values_data
    from napari_unet.widgets.viewer.layer_image import LayerImage

    layers = list(layer) if isinstance(layer, list | tuple) else [layer]
    image = LayerImage.of(*map(_image_layer, layers), level=level)
    loaded = Model.load(model)
    config = loaded.card.architecture
    if axes is None:
        axes = _guessed(image, config.ndim, config.in_channels)
    opened = open_image(
        image.image,
        axes=axes,
        channels=channels,
        pixel_size=image.pixel_size(axes),
        ndim=config.ndim,
        in_channels=config.in_channels,
        origins=image.origins,
    )
    placement = image.placement(axes)
    labelled = loaded.card.task != "regression"
    job = iter_run(
        opened, loaded, settings=settings, labels=labelled, scores=not labelled, **overrides
    )
    result = drain(job)
    if result.labels is not None:
        return labels_data(result.labels, name or f"{image.name} labels", placement)
    assert result.scores is not None
    found = result.scores.prediction
    return values_data(found, name or f"{image.name} {loaded.card.name}", placement)


def train_from_layers(
    examples: Sequence[tuple[Image, Labels] | tuple[Image, Labels, Any]],
    *,
    base: Model | str | Path | None = None,
    config: TrainConfig | None = None,
    axes: str | None = None,
    channels: Sequence[int] | None = None,
    is_truth: bool = False,
    **overrides: Unpack[TrainOverrides],
) -> Model:
    """Train on layers: images, and labels that were painted on them.

    Parameters
    ----------
    examples : sequence of (image, labels) or (image, labels, where)
        Layers that lie on one another, and where the labels can be trusted: "all" (the
        default), "planes" (those marked as done in the dock "Train"), "painted" (what is painted;
        the layer's marks name the background), or a Shapes layer. Labels may lie on a part of
        their image; elsewhere nothing is known then.
    base : Model, str or Path, optional
        A model to start from, which is not changed; None: a new network.
    config : TrainConfig, optional
        Settings; ``overrides`` are single fields of it.
    axes, channels
        Of all images; None: as each layer says, else guessed.
    is_truth : bool
        Whether predictions that nobody has corrected may be learned from.
    **overrides
        Single fields of `TrainConfig`, such as ``steps=200``.

    Returns
    -------
    Model
        As of `napari_unet.train`.

    Raises
    ------
    UNetError
        If layers, base and settings do not fit one another.

    Examples
    --------
    >>> import numpy as np
    >>> from napari.layers import Image, Labels
    >>> truth = np.zeros((64, 64), np.int32)
    >>> truth[8:24, 8:24], truth[40:56, 30:50] = 1, 2
    >>> pair = Image((truth > 0) * 200.0), Labels(truth)
    >>> model = train_from_layers([pair], minutes=5, name="squares")  # doctest: +SKIP
    """
    from napari_unet.network.model import Model
    from napari_unet.settings import resolve
    from napari_unet.training.train import train
    from napari_unet.widgets.train.labelled_layers import labelled_layers
    from napari_unet.widgets.viewer.layer_image import LayerImage

    loaded = None if base is None else Model.load(base)
    given: dict[str, Any] = dict(overrides)
    if loaded is not None and config is None:
        given.setdefault("task", loaded.card.task)
    wanted = resolve(TrainConfig, config, given)
    found = []
    for image, labels, *more in examples:
        known = LayerImage.of(_image_layer(image))
        if axes is None:
            ndim = 2 if loaded is None else loaded.card.architecture.ndim
            count = None if loaded is None else loaded.card.architecture.in_channels
            letters = _guessed(known, ndim, count)
        else:
            letters = axes
        chosen = tuple(channels) if channels is not None and "C" in letters else None
        line: Any = SimpleNamespace(image=image, labels=labels, where=more[0] if more else "all")
        layers = labelled_layers(line, letters, chosen, wanted.task, is_truth=is_truth)
        found.append(layers.example(copy=True))
    return train(found, base=loaded, config=wanted)


def measure_layer(
    labels: Labels,
    image: Image | Sequence[Image] | None = None,
    *,
    properties: Sequence[str] | None = None,
    features: bool = False,
) -> pd.DataFrame:
    """Measure the objects of a labels layer: a row per object.

    Parameters
    ----------
    labels : Labels
        The layer; its axes and the size of its pixels count.
    image : Image, or sequence of Image, optional
        For intensities: on the same pixels, or one per channel.
    properties : sequence of str, optional
        What to measure; None: all that can be. See `napari_unet.measure`.
    features : bool
        Write the table into the layer's features, which napari shows in the status bar; what
        others have written there, such as names of classes, stays.

    Returns
    -------
    pandas.DataFrame
        As of `napari_unet.measure`.

    Examples
    --------
    >>> import numpy as np
    >>> from napari.layers import Labels
    >>> layer = Labels(np.eye(4, dtype=int), scale=(0.5, 0.5), units=("um", "um"))
    >>> measure_layer(layer, properties=["area"])["area"].tolist()
    [1.0]
    """
    from napari_unet.measurement import measure

    given: Any = list(image) if isinstance(image, list | tuple) else image
    table = measure(labels, given, properties=properties)
    if features:
        from napari_unet.widgets.viewer.object_features import write_features

        write_features(labels, table)
    return table


def add_result(
    viewer: Viewer,
    result: LayerData | Segmentation | Prediction | Any,
    image: Image | None = None,
    *,
    name: str | None = None,
    axes: str | None = None,
    record: Mapping[str, Any] | None = None,
) -> Layer:
    """Show a result in a viewer, on the image that it is of.

    Parameters
    ----------
    viewer : Viewer
        Where.
    result : LayerDataTuple, Segmentation, Prediction or array
        What `segment_layer` gives, what the generators of `napari_unet.inference` return, or
        labels: an array with the axes of the image less C.
    image : Image, optional
        The layer that the result is of; not needed for a LayerDataTuple.
    name : str, optional
        Of the layer; None: that of the image and "labels".
    axes : str, optional
        Of the image layer's array; None: as it says, else guessed.
    record : mapping, optional
        Run record of labels that are an array.

    Returns
    -------
    Layer
        That was added.

    Raises
    ------
    InputError
        If there is no image to lay it on, or it does not have its shape.

    Examples
    --------
    >>> import numpy as np
    >>> from napari.components import ViewerModel
    >>> viewer = ViewerModel()
    >>> layer = viewer.add_image(np.zeros((4, 5)), scale=(2, 2), name="cells")
    >>> add_result(viewer, np.ones((4, 5), int), layer).scale.tolist()
    [2.0, 2.0]
    """
    from napari.layers import Layer

    from napari_unet.inference.results import Prediction, Segmentation
    from napari_unet.widgets.viewer.layer_data import labels_data, values_data
    from napari_unet.widgets.viewer.layer_image import RECORD_KEY, LayerImage

    if isinstance(result, tuple):
        data, attributes, kind = result
        found = Layer.create(data, {**attributes, **({"name": name} if name else {})}, kind)
        return _added(viewer, found)
    if image is None:
        raise InputError(
            "There is no image to lay the result on", "give ⟨image⟩, its layer", parameter="image"
        )
    shown = LayerImage.of(_image_layer(image))
    if axes is None:
        known = result.axes if isinstance(result, Prediction) else None
        axes = known or _guessed(shown, 2, None)
    placement = shown.placement(axes)
    title = name or f"{shown.name} labels"
    if isinstance(result, Segmentation):
        data, attributes, kind = labels_data(result, title, placement)
    elif isinstance(result, Prediction):
        data, attributes, kind = values_data(result, title, placement)
    else:
        sizes = dict(zip(axes, shown.shape, strict=True))
        wanted = tuple(sizes[axis] for axis in axes if axis != "C")
        if tuple(result.shape) != wanted:
            raise InputError(
                f"The result has the shape {tuple(result.shape)}, its image {wanted} "
                f"(axes {axes.replace('C', '')})",
                "give the layer that it is of, or ⟨axes⟩",
                parameter="image",
            )
        metadata = {} if record is None else {RECORD_KEY: dict(record)}
        attributes = {"name": title, "metadata": metadata, **placement}
        data, kind = placement.lay(result), "labels"
    return _added(viewer, Layer.create(data, attributes, kind))


def _guessed(image: Any, ndim: int, channels: int | None) -> str:
    """Axes of a layer's array; a doubt about them is told by the logger of this module."""
    guess = image.guess_axes(ndim=ndim, channels=channels)
    if guess.doubt:
        logger.warning("%s: taken as %s. %s", image.name, guess.axes, guess.doubt)
    return str(guess.axes)


def _added(viewer: Viewer, layer: Layer) -> Layer:
    found: Layer = viewer.add_layer(layer)
    return found


def _image_layer(layer: Any) -> Any:
    from napari.layers import Image

    from napari_unet.widgets.viewer.layer_image import plain

    if not isinstance(plain(layer), Image):
        raise InputError(
            f"{getattr(layer, 'name', layer)!r} is no image layer",
            "give one of a viewer's image layers",
            parameter="layer",
            value=layer,
        )
    return layer
