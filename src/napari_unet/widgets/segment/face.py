"""The dock "Segment" as a script sees it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.errors import InputError
from napari_unet.network.files import find_model
from napari_unet.settings import SegmentSettings, resolve
from napari_unet.widgets.qt.scripted import Scripted
from napari_unet.widgets.segment.recorded import check_image
from napari_unet.widgets.viewer.layer_image import plain

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.segment.form import SegmentForm


class SegmentFace(Scripted):
    """What a script can do with the dock "Segment", beside `Scripted`.

    Attributes
    ----------
    image : Image or None
        The layer to segment; set to a layer, its name, or a list of one per channel.
    model : str, Path or None
        The model; set to a name or a file.
    settings : SegmentSettings
        As in the form; set to settings, or to a mapping of single fields.
    result : Labels or Image
        The layer that the last run gave.

    Examples
    --------
    >>> _, dock = viewer.add_plugin_dock_widget("napari-unet-torch", "Segment")  # doctest: +SKIP
    >>> dock.run(image="nuclei", model="nuclei", settings={"threshold": 0.6})  # doctest: +SKIP
    >>> labels = dock.wait()  # doctest: +SKIP
    """

    _viewer: Viewer
    form: SegmentForm
    _result: weakref.ref[Any] | None = None

    @property
    def result(self) -> Any:
        """The layer that the last run gave, while it is in the viewer."""
        layer = None if self._result is None else self._result()
        return layer if layer in self._viewer.layers else None

    @result.setter
    def result(self, layer: Any) -> None:
        # not held: a closed dock that a script keeps would keep values on disk with it
        self._result = None if layer is None else weakref.ref(plain(layer))

    @property
    def image(self) -> Any:
        """The layer to segment, the first one of several."""
        return self.form.layer

    @image.setter
    def image(self, image: Any) -> None:
        layers = check_image(image, self._viewer)
        self.form.reset_choices()
        if len(layers) > 1:
            self.form.images.choose_channels(layers)
        else:
            self.form.images.choose(layers[0])

    @property
    def model(self) -> str | Path | None:
        """The model: its name or file."""
        return self.form.models.source

    @model.setter
    def model(self, source: str | Path) -> None:
        find_model(source)  # raises where there is none
        self.form.models.reset_choices()
        self.form.models.choose(source)

    @property
    def settings(self) -> SegmentSettings:
        """The settings in the form."""
        return resolve(SegmentSettings, None, self.form.values())

    @settings.setter
    def settings(self, settings: SegmentSettings | Mapping[str, Any]) -> None:
        if not isinstance(settings, SegmentSettings):
            settings = resolve(SegmentSettings, None, settings)
        self.form.set_values(settings.model_dump(exclude_defaults=True))

    def run(self, *, image: Any = None, model: Any = None, settings: Any = None) -> None:
        """Press Run, with another image, model or settings where they are given.

        Parameters
        ----------
        image, model, settings
            As the attributes; None: as they are.

        Raises
        ------
        UNetError
            If it cannot be run; the dock says the same.
        """
        if model is not None:
            self.model = model
        if image is not None:
            self.image = image
        if settings is not None:
            self.settings = settings
        self.form.refresh()
        if self.form.fault is not None:
            raise self.form.fault.error
        if self.runner.running:
            raise InputError("A run is under way here", "wait for it, or cancel it")
        self.failure = self.result = None
        self._run()

    def _run(self) -> None:
        raise NotImplementedError
