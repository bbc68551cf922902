"""The dock "Batch" as a script sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.settings import SegmentSettings
from napari_unet.widgets.qt.scripted import ScriptedForm

if TYPE_CHECKING:
    from napari_unet.batch.result import FileResult
    from napari_unet.errors import UNetError
    from napari_unet.widgets.batch.form import BatchForm
    from napari_unet.widgets.qt.job import Outcome
    from napari_unet.widgets.qt.run_bar import RunBar


class BatchFace(ScriptedForm):
    """What a script can do with the dock "Batch", beside `ScriptedForm`.

    Attributes
    ----------
    image : list of str
        Files, folders, patterns and URLs; set to one or to a list of them.
    output : str or None
        Folder of the results, or its URL; None: beside each image.
    options : dict
        What is written and how: the further arguments of `napari_unet.segment_files`, such as
        ``write`` or ``name``; set to a mapping of those that are to change.
    result : list of FileResult
        That the last run gave.

    Examples
    --------
    >>> _, dock = viewer.add_plugin_dock_widget("napari-unet-torch", "Batch")  # doctest: +SKIP
    >>> dock.output, dock.options = "results", {"write": ["labels"]}  # doctest: +SKIP
    >>> dock.run(image="folder", model="nuclei", settings={"threshold": 0.6})  # doctest: +SKIP
    >>> results = dock.wait()  # doctest: +SKIP
    """

    settings_kind = SegmentSettings
    form: BatchForm
    bar: RunBar
    _paths: list[str]
    _problem: UNetError | None

    @property
    def image(self) -> list[str]:
        """Files, folders, patterns and URLs."""
        return list(self._paths)

    @image.setter
    def image(self, paths: str | Path | list[str | Path] | tuple[str | Path, ...]) -> None:
        given = paths if isinstance(paths, list | tuple) else [paths]
        self._set_paths([_in_full(path) for path in given])

    @property
    def output(self) -> str | None:
        """Folder of the results."""
        return str(self.form.output.value).strip() or None

    @output.setter
    def output(self, folder: str | Path | None) -> None:
        self.form.output.value = "" if folder is None else _in_full(folder)

    @property
    def options(self) -> dict[str, Any]:
        """What is written and how."""
        return self.form.file_options()

    @options.setter
    def options(self, options: Mapping[str, Any]) -> None:
        self.form.set_file_options(options)

    def _set_paths(self, paths: list[str]) -> None:
        raise NotImplementedError

    def _set_settings(self, settings: SegmentSettings) -> None:
        self.form.settings.set_values(settings.model_dump(exclude_defaults=True))

    def _take_result(self, outcome: Outcome) -> None:
        """Keep how a run ended, for `wait`."""
        self.failure = outcome.error
        found: list[FileResult] | None = outcome.result
        self.result = found


def _in_full(path: str | Path) -> str:
    """A path that holds in other folders too; a URL as it is."""
    text = str(path)
    return text if "://" in text else str(Path(text).absolute())
