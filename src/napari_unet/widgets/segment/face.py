"""The dock "Segment" as a script sees it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from napari_unet.settings import SegmentSettings
from napari_unet.widgets.qt.scripted import ScriptedForm
from napari_unet.widgets.segment.recorded import check_image
from napari_unet.widgets.viewer.layer_image import plain

if TYPE_CHECKING:
    from napari import Viewer

    from napari_unet.widgets.segment.form import SegmentForm


class SegmentFace(ScriptedForm):
    """What a script can do with the dock "Segment", beside `ScriptedForm`.

    Attributes
    ----------
    image : Image or None
        The layer to segment; set to a layer, its name, or a list of one per channel.
    result : Labels or Image
        The layer that the last run gave.

    Examples
    --------
    >>> _, dock = viewer.add_plugin_dock_widget("napari-unet-torch", "Segment")  # doctest: +SKIP
    >>> dock.run(image="nuclei", model="nuclei", settings={"threshold": 0.6})  # doctest: +SKIP
    >>> labels = dock.wait()  # doctest: +SKIP
    """

    settings_kind = SegmentSettings
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

    def _settings_values(self) -> dict[str, Any]:
        return self.form.values()

    def _set_settings(self, settings: SegmentSettings) -> None:
        self.form.set_values(settings.model_dump(exclude_defaults=True))
