"""The dock "Train" as a script sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unet.errors import InputError
from napari_unet.settings import TrainConfig
from napari_unet.widgets.qt.scripted import ScriptedForm
from napari_unet.widgets.train.recorded import draft_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Labels

    from napari_unet.widgets.qt.job import Outcome
    from napari_unet.widgets.train.bar import TrainBar
    from napari_unet.widgets.train.form import TrainForm


class TrainFace(ScriptedForm):
    """What a script can do with the dock "Train", beside `ScriptedForm`.

    Attributes
    ----------
    image : Image or None
        The first image that is learned from; set to an image and its labels, layers or their
        names, as `take` does.
    model : str, Path or None
        The model to start from; None: a new network.
    result : Model
        That the last training gave, until it is kept or discarded in the dock.

    Examples
    --------
    >>> _, dock = viewer.add_plugin_dock_widget("napari-unet-torch", "Train")  # doctest: +SKIP
    >>> dock.take(viewer.layers["image"], viewer.layers["labels"])  # doctest: +SKIP
    >>> dock.run(model="nuclei", settings={"minutes": 5})  # doctest: +SKIP
    >>> model = dock.wait()  # doctest: +SKIP
    """

    settings_kind = TrainConfig
    form: TrainForm
    bar: TrainBar
    native: Any
    _viewer: Viewer

    def take(self, image: Image, labels: Labels) -> None:
        """Learn from these labels of this image.

        Parameters
        ----------
        image : Image
            A layer of the viewer.
        labels : Labels
            A layer with labels of it.
        """
        self.form.take(image, labels)

    @property
    def image(self) -> Any:
        """The first image that is learned from."""
        return self.form.table.image

    @image.setter
    def image(self, pair: tuple[Any, Any]) -> None:
        image, labels = (
            self._viewer.layers[each] if isinstance(each, str) else each for each in pair
        )
        self.take(image, labels)

    def _settings_values(self) -> dict[str, Any]:
        return {**self._settings_needed(), **self.form.settings.values()}

    def _settings_needed(self) -> dict[str, Any]:
        return {"task": self.form.task.value}

    def _set_settings(self, settings: TrainConfig) -> None:
        values = settings.model_dump(mode="json", exclude_defaults=True)
        task = values.pop("task", settings.task)
        base = None if self.model is None else str(self.model)
        self.form.set_values({"task": task, "base": base, "settings": values})

    def _take_result(self, outcome: Outcome, *, cancelled: bool) -> None:
        """Keep how a training ended, for `wait`."""
        self.failure = outcome.error
        trained = outcome.result
        self.result = None if trained is None or cancelled else trained.model

    def _draft(self) -> dict[str, Any]:
        self.form.refresh()
        request, fault = self.form.request, self.form.fault
        if request is None:
            raise InputError("There is nothing to train on") if fault is None else fault.error
        return draft_of(request)
