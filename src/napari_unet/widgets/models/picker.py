"""The models to choose from, and what the chosen one says of itself."""

from __future__ import annotations

import html
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from qtpy.QtCore import QFileSystemWatcher, QObject, Qt, QTimer, Slot  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_unet.card import ModelCard, Task
from napari_unet.errors import ModelError
from napari_unet.network.files import (
    SUFFIX,
    list_models,
    model_files,
    read_header,
    user_models_folder,
)
from napari_unet.network.suggestion import (
    ImageKind,
    describe_kind,
    rank_models,
    suggest_model,
)
from napari_unet.widgets.models.description import TASKS, card_details, describe
from napari_unet.widgets.models.menu import Dialogs, ModelMenu
from napari_unet.widgets.qt.choice_list import ChoiceList
from napari_unet.widgets.qt.form import Row, text_label
from napari_unet.widgets.qt.wording import worded

FOLDER_DELAY_MS = 150  # a file is written under another name, then renamed

OPEN = "Open a model file …"
NOTHING = object()  # in the list; None is a value that is not told of
MODEL_TIP = (
    "The network that segments. Models you train appear here too; "
    "the last item opens a model file from anywhere."
)


class FolderWatch(QObject):
    """Calls back when anything in the folder of the user's models has changed.

    The folder need not exist: then the nearest one above it is watched, until it does.

    Parameters
    ----------
    parent : QObject
        Whose life the watch shares.
    on_change : callable
        What to do.
    """

    def __init__(self, parent: QObject, on_change: Callable[[], None]) -> None:
        super().__init__(parent)
        self._on_change = on_change
        self._watcher = QFileSystemWatcher(self)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(FOLDER_DELAY_MS)
        self._pause.timeout.connect(self._report_change)
        self._watcher.directoryChanged.connect(self._restart_pause)
        self._watch_nearest_folder()

    # A slot of the object itself: a change that is reported while the dock is closed is dropped
    # with it. A lambda was called after it had been freed, which ended the process.
    @Slot(str)  # type: ignore[untyped-decorator]
    def _restart_pause(self, _folder: str) -> None:
        self._pause.start()

    @Slot()  # type: ignore[untyped-decorator]
    def _report_change(self) -> None:
        self._watch_nearest_folder()  # it may be there now, or gone
        self._on_change()

    def _watch_nearest_folder(self) -> None:
        folder = user_models_folder().absolute()
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        watched = self._watcher.directories()
        if watched != [str(folder)]:
            if watched:
                self._watcher.removePaths(watched)
            self._watcher.addPath(str(folder))


AskFile = Callable[[QWidget], Path | None]


def ask_for_model(parent: QWidget) -> Path | None:
    """Let the user choose a model file; None: the dialog was left without one."""
    name, _ = QFileDialog.getOpenFileName(
        parent, "Open a model file", "", f"U-Net models (*{SUFFIX});;All files (*)"
    )
    return Path(name) if name else None


class ModelPicker:
    """A list of models, and what the card of the chosen one says.

    Its ``row`` and, under it, the row ``about`` are to be put into a form.

    Parameters
    ----------
    on_change : callable
        Called when another model is chosen.
    ask_file : callable, optional
        Asks for a model file; gets the widget that asks.
    nothing : str
        Text of a first item that stands for no model; empty: there is no such item.
    label : str
        Stands before the list.
    tooltip : str
        What the model is for.
    dialogs : Dialogs, optional
        Ask and tell what the menu beside the list needs.
    """

    def __init__(
        self,
        on_change: Callable[[], None],
        ask_file: AskFile = ask_for_model,
        *,
        nothing: str = "",
        label: str = "Model",
        tooltip: str = MODEL_TIP,
        dialogs: Dialogs | None = None,
    ) -> None:
        self._on_change = on_change
        self._ask_file = ask_file
        self._nothing = nothing
        self._task: Task | None = None  # only models of this
        self._cards: dict[str | Path, ModelCard] = {}
        self._files: list[Path] = []
        self._faults: dict[Path, str] = {}
        self._gone = ""  # the chosen model of the user's, which somebody has deleted
        self._seen: dict[Path, tuple[int, int]] = {}  # the files as they were when read
        self._source: str | Path | None = None
        self._kind = ImageKind()  # of the image that is to be segmented
        self._by_hand = False  # whether somebody has chosen the model
        self._combo = ChoiceList(self._items)
        self._source = self._chosen_source()
        self.row = Row(self._combo, label, tooltip)
        self.menu = ModelMenu(self, dialogs)
        self.row.put_beside(self.menu.button)
        self._folder = FolderWatch(self._combo.native, self.reset_choices)
        self._about = text_label()
        self._about.native.setTextFormat(Qt.TextFormat.RichText)
        self._about.native.linkActivated.connect(self._take_suggestion)
        self.about = Row(self._about, "", "What the model says of itself.")
        self._combo.changed.connect(self._chosen)
        self._show_card()

    @property
    def widget(self) -> QWidget:
        """The list, for dialogs to stand before."""
        native: QWidget = self._combo.native
        return native

    @property
    def source(self) -> str | Path | None:
        """What `Model.load` takes: the name of a model, or a file; None: there is no model."""
        return self._source

    @property
    def sources(self) -> list[str | Path]:
        """All models that can be chosen."""
        return list(self._cards)

    @property
    def card(self) -> ModelCard | None:
        """Card of the chosen model; None where there is no model at all, or none legible."""
        return None if self._source is None else self._cards.get(self._source)

    @property
    def fault(self) -> str:
        """Why the chosen model cannot be used, in words; empty where it can."""
        source = self._source
        if isinstance(source, Path):
            if not source.is_file():
                return f"The model file {source} is not there any more; choose another model."
            return self._faults.get(source, "")
        if source is not None and source == self._gone:
            word = "damaged" if source in model_files() else "gone"
            return f"The model ‘{source}’ is {word}; choose another."
        if self._nothing:
            return ""
        return "" if source is not None else "There is no model; open a model file, or train one."

    def choose(self, source: object) -> None:
        """Choose a model where there is one of that name, or a file that holds one."""
        if isinstance(source, Path) or Path(str(source)).suffix == SUFFIX:
            source = _whole(Path(str(source)))
            self._open(source)
        if source in self._cards:
            self._by_hand = True
            self._combo.value = source
        elif source is None and self._nothing:
            self._combo.value = NOTHING

    def set_task(self, task: Task) -> None:
        """Offer only the models of a task; a choice that is none of them goes."""
        if task == self._task:
            return
        self._task = task
        self._renew()

    def set_image(self, kind: ImageKind) -> None:
        """Put the models first that suit an image; a choice that nobody made follows.

        A model that somebody chose stays, and a better one is told of.
        """
        if kind == self._kind:
            return
        self._kind = kind
        self._renew(None if self._by_hand else self.suggestion)

    @property
    def suggestion(self) -> ModelCard | None:
        """A model that suits the image where the chosen one does not."""
        card = self.card
        return None if card is None else suggest_model(self._named_cards(), card, self._kind)

    def _named_cards(self) -> list[ModelCard]:
        return [card for name, card in self._cards.items() if isinstance(name, str)]

    def _take_suggestion(self, name: str) -> None:
        self.choose(name)

    def reset_choices(self, *_: object) -> None:
        """List the models anew, with their cards as they are now; the choice stays."""
        if self._state() != self._seen:  # layers come and go more often than models
            self._renew()

    def _renew(self, better: ModelCard | None = None) -> None:
        before = self._source, self.card
        with self._combo.changed.blocked():
            self._combo.reset_choices()
            if better is not None:
                self._combo.value = better.name
        self._source = self._chosen_source()
        self._show_card()
        if (self._source, self.card) != before:
            self._on_change()

    def _state(self) -> dict[Path, tuple[int, int]]:
        """Time and size of the models' files, as far as there are such."""
        found = {}
        for path in (*model_files().values(), *self._files):
            with suppress(OSError):
                status = path.stat()
                found[path] = status.st_mtime_ns, status.st_size
        return found

    def _chosen_source(self) -> str | Path | None:
        value = self._combo.value
        return value if isinstance(value, str | Path) else None

    def _items(self) -> list[tuple[str, object]]:
        self._seen = self._state()
        models = {card.name: card for card in list_models()}
        self._cards = {name: card for name, card in models.items() if self._has_task(card)}
        ranked = rank_models(self._cards.values(), self._kind)
        names: list[tuple[str, object]] = [(card.name, card.name) for card in ranked]
        source = self._source
        self._gone = source if isinstance(source, str) and source not in models else ""
        if self._gone:  # it stays chosen: another must not step into its place unnoticed
            names.append((f"{self._gone} (gone)", self._gone))
        for path in self._files:
            self._read(path)
        offered = [path for path in self._files if path in self._cards or path in self._faults]
        files: list[tuple[str, object]] = [(path.name, path) for path in offered]
        first: list[tuple[str, object]] = [(self._nothing, NOTHING)] if self._nothing else []
        return (first + names + files or [("No model yet", None)]) + [(OPEN, OPEN)]

    def _has_task(self, card: ModelCard) -> bool:
        return self._task is None or card.task == self._task

    def _read(self, path: Path) -> None:
        self._cards.pop(path, None)
        self._faults.pop(path, None)
        try:
            card = read_header(path)
            if self._has_task(card):
                self._cards[path] = card
        except ModelError as error:
            self._faults[path] = worded(error)

    def _open(self, path: Path) -> str:
        """Take a file into the list; what is wrong with it, or nothing."""
        try:
            card = read_header(path)
        except ModelError as error:
            return worded(error)
        if self._task is not None and not self._has_task(card):
            kinds = TASKS[card.task], TASKS[self._task]
            return f"{path.name} is a model of {kinds[0]}, not of {kinds[1]}; open another."
        if path not in self._files:
            self._files.append(path)
        self._combo.reset_choices()
        return ""

    def _chosen(self, value: object) -> None:
        if value != OPEN:
            self._by_hand = True
            self._source = self._chosen_source()
            if self._gone and self._source != self._gone:
                self._combo.reset_choices()  # it is not offered any more
            self._show_card()
            self.row.show_message()
            self._on_change()
            return
        before = NOTHING if self._source is None and self._nothing else self._source
        self._combo.select(before)  # stays, unless a file is opened
        path = self._ask_file(self._combo.native)
        fault = "" if path is None else self._open(_whole(path))
        self.row.show_message(fault=fault)
        if path is not None and not fault:
            self._combo.value = _whole(path)

    def _show_card(self) -> None:
        card = self.card
        text = "" if card is None else describe(card)
        better = self.suggestion
        if better is not None:
            name, kind = html.escape(better.name), describe_kind(self._kind)
            text += f"The image is {kind}: <a href='{name}'>{name}</a> was made for such images."
        self._about.value = text
        if card is not None:
            lines = card_details(card)
            if isinstance(self._source, Path):
                lines.append(f"File: {self._source}")
            tooltip = "<br>".join(map(html.escape, lines))
            self._about.tooltip = tooltip
            self.about.native.setToolTip(tooltip)
        self.about.show(visible=card is not None)
        self.menu.update_button()


def _whole(path: Path) -> Path:
    return path.expanduser().absolute()
