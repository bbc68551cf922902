"""The dock "Train" as a script sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.errors import InputError
from napari_unet.network.files import find_model
from napari_unet.settings import TrainConfig, resolve
from napari_unet.widgets.qt.script_menu import ScriptMenu
from napari_unet.widgets.qt.scripted import Scripted
from napari_unet.widgets.train.recorded import draft_of, take_over
from napari_unet.widgets.viewer.records import record_shown

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Labels

    from napari_unet.widgets.qt.job import Outcome
    from napari_unet.widgets.train.bar import TrainBar
    from napari_unet.widgets.train.form import TrainForm


class TrainFace(Scripted):
    """What a script can do with the dock "Train", beside `Scripted`.

    Attributes
    ----------
    image : Image or None
        The first image that is learned from; its labels are set with it, by `take`.
    model : str, Path or None
        The model to start from; None: a new network. Set to a name or a file.
    settings : TrainConfig
        As in the form; set to a config, or to a mapping of single fields, such as ``steps``.
    result : Model
        That the last training gave, until it is kept or discarded in the dock.

    Examples
    --------
    >>> _, dock = viewer.add_plugin_dock_widget("napari-unet-torch", "Train")  # doctest: +SKIP
    >>> dock.take(viewer.layers["image"], viewer.layers["labels"])  # doctest: +SKIP
    >>> dock.run(model="nuclei", settings={"minutes": 5})  # doctest: +SKIP
    >>> model = dock.wait()  # doctest: +SKIP
    """

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

    @property
    def model(self) -> str | Path | None:
        """The model to start from; None: a new network."""
        return self.form.models.source

    @model.setter
    def model(self, source: str | Path | None) -> None:
        if source is not None:
            find_model(source)  # raises where there is none
        self.form.models.reset_choices()
        self.form.models.choose(source)

    @property
    def settings(self) -> TrainConfig:
        """The settings in the form."""
        values = {"task": self.form.task.value, **self.form.settings.values()}
        return resolve(TrainConfig, None, values)

    @settings.setter
    def settings(self, settings: TrainConfig | Mapping[str, Any]) -> None:
        if not isinstance(settings, TrainConfig):
            settings = resolve(TrainConfig, None, {"task": self.form.task.value, **settings})
        values = settings.model_dump(mode="json", exclude_defaults=True)
        task = values.pop("task", settings.task)
        self.form.set_values(
            {
                "task": task,
                "base": None if self.model is None else str(self.model),
                "settings": values,
            }
        )

    def run(self, *, model: Any = None, settings: Any = None) -> None:
        """Press Train, with another base or settings where they are given.

        Raises
        ------
        UNetError
            If there can be no training; the dock says the same.
        """
        if model is not None:
            self.model = model
        if settings is not None:
            self.settings = settings
        self.form.refresh()
        if self.form.fault is not None:
            raise self.form.fault.error
        if self.runner.running:
            raise InputError("A training is under way here", "wait for it, or cancel it")
        self.failure = self.result = None
        self._train()

    def _train(self) -> None:
        raise NotImplementedError

    def _take_result(self, outcome: Outcome, *, cancelled: bool) -> None:
        """Keep how a training ended, for `wait`."""
        self.failure = outcome.error
        trained = outcome.result
        self.result = None if trained is None or cancelled else trained.model

    def _add_scripts(self) -> None:
        """Put the menu "Script" beside the buttons."""
        viewer = self._viewer
        self.scripts = ScriptMenu(
            self.native,
            self._draft,
            lambda path: take_over(path, self.form, viewer),
            lambda: record_shown(viewer),
            self.bar.show_message,
        )
        self.bar.buttons.native.layout().addWidget(self.scripts.button)

    def _draft(self) -> dict[str, Any]:
        self.form.refresh()
        request, fault = self.form.request, self.form.fault
        if request is None:
            raise InputError("There is nothing to train on") if fault is None else fault.error
        return draft_of(request)
