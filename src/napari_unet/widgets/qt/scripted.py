"""What a script can do with a dock, of whichever kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from napari_unet.errors import InputError, UNetError
from napari_unet.network.files import find_model
from napari_unet.settings import resolve
from napari_unet.widgets.qt.job import JobRunner
from napari_unet.widgets.qt.script_menu import Draft, RecordOf, ScriptMenu


class Copied:
    """A dock that tells what it does as code.

    Attributes
    ----------
    scripts : ScriptMenu
        The menu "Script".
    """

    scripts: ScriptMenu

    def as_python(self) -> str:
        """What the dock does, as a script; see `ScriptMenu.as_python`."""
        return self.scripts.as_python()

    def as_command(self) -> str:
        """What the dock does, as a line for a terminal; see `ScriptMenu.as_command`."""
        return self.scripts.as_command()

    def open_record(self, path: str | Path) -> None:
        """Take over input, model and settings from a run record; the dock tells what is wrong."""
        self.scripts.open_record(Path(path))


class Scripted(Copied):
    """A dock that a script can drive: start its run, wait for it, and tell it as code.

    Attributes
    ----------
    runner : JobRunner
        That runs its job.
    failure : UNetError or None
        Why the last run failed.
    result : object
        What the last run gave.
    """

    runner: JobRunner
    failure: UNetError | None = None
    result: Any = None

    def wait(self, timeout_s: float | None = None) -> Any:
        """Wait until the run has ended, while the window stays alive, and give its result.

        Parameters
        ----------
        timeout_s : float, optional
            How long at most; None: as long as it takes.

        Raises
        ------
        UNetError
            If the run failed.
        TimeoutError
            If it has not ended by then; it goes on.
        """
        self.runner.wait(timeout_s)
        if self.failure is not None:
            raise self.failure
        return self.result


class ScriptedForm(Scripted):
    """A dock with a form for an input, a model and settings, and a bar with Run.

    Attributes
    ----------
    model : str, Path or None
        The model; set to a name or a file.
    settings : BaseModel
        As in the form, of the class ``settings_kind``; set to one, or to a mapping of single
        fields.
    """

    settings_kind: ClassVar[type[BaseModel]]
    form: Any
    bar: Any
    native: Any

    @property
    def model(self) -> str | Path | None:
        """The model: its name or file; None where none is chosen."""
        source: str | Path | None = self.form.models.source
        return source

    @model.setter
    def model(self, source: str | Path | None) -> None:
        if source is not None:
            find_model(source)  # raises where there is none
        self.form.models.reset_choices()
        self.form.models.choose(source)

    @property
    def settings(self) -> Any:
        """The settings in the form."""
        return resolve(self.settings_kind, None, self._settings_values())  # type: ignore[type-var]

    @settings.setter
    def settings(self, settings: BaseModel | Mapping[str, Any]) -> None:
        if not isinstance(settings, self.settings_kind):
            fields = {**self._settings_needed(), **dict(settings)}
            settings = resolve(self.settings_kind, None, fields)  # type: ignore[type-var]
        self._set_settings(settings)

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
        fault = self._find_fault()
        if fault is not None:
            raise fault
        if self.runner.running:
            raise InputError("A run is under way here", "wait for it, or cancel it")
        self.failure = self.result = None
        self._press_run()

    def _settings_values(self) -> dict[str, Any]:
        """The fields of the settings in the form, but for those that are left to themselves."""
        values: dict[str, Any] = self.form.settings.values()
        return values

    def _settings_needed(self) -> dict[str, Any]:
        """Fields that single ones are completed with."""
        return {}

    @abstractmethod
    def _set_settings(self, settings: Any) -> None:
        """Put settings into the form."""

    def _find_fault(self) -> UNetError | None:
        """Why it cannot be run now."""
        self.form.refresh()
        return None if self.form.fault is None else self.form.fault.error

    @abstractmethod
    def _press_run(self) -> None:
        """Start what Run starts."""

    def _add_scripts(
        self,
        draft: Callable[[], Draft],
        open_record: Callable[[Path], str],
        shown_record: RecordOf,
    ) -> None:
        """Put the menu "Script" beside the buttons; see `ScriptMenu`."""
        self.scripts = ScriptMenu(
            self.native, draft, open_record, shown_record, self.bar.show_message
        )
        self.bar.buttons.native.layout().addWidget(self.scripts.button)
