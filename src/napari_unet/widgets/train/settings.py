"""How a training runs: its time, and settings that are seldom needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from magicgui.widgets import FloatSpinBox, PushButton

from napari_unet.card import Task
from napari_unet.settings import DEFAULT_MINUTES, TrainConfig
from napari_unet.widgets.qt.blocker import Blocker
from napari_unet.widgets.qt.choice_list import ChoiceList
from napari_unet.widgets.qt.form import Row, SettingsForm
from napari_unet.widgets.qt.wording import LABELS

OWN = "Own"
TIP = "How long to train. A preset sets the minutes, and how much the patches are varied."
MINUTES_TIP = "Time to train, with all that is measured meanwhile. You can stop earlier."
LEAST_MINUTES, MOST_MINUTES = 0.1, 10_000.0


FIRST = "Standard"
ADVANCED = (
    "augmentation",
    "batch_size",
    "learning_rate",
    "steps",
    "ndim",
    "start",
    "keep_base",
    "match_size",
    "validation_fraction",
    "representation",
    "border_weight",
    "seed",
    "device",
    "precision",
)
DEVICES = ["auto", "cpu", "cuda", "mps"]
HELD = "Fixed while it trains."


@dataclass(frozen=True)
class Preset:
    """A budget of time, and the augmentation that suits it."""

    minutes: float
    augmentation: str


PRESETS = {
    "Quick look": Preset(2, "light"),
    "Standard": Preset(10, "standard"),
    "Thorough": Preset(60, "strong"),
}


class Budget:
    """Chooses a preset or minutes. Its ``rows`` are to be put into a form.

    Parameters
    ----------
    on_preset : callable
        Called with the augmentation when a preset is chosen.
    on_change : callable
        Called when the minutes have changed.
    """

    def __init__(self, on_preset: Callable[[str], None], on_change: Callable[[], None]) -> None:
        self._on_preset = on_preset
        self._on_change = on_change
        self._blocker = Blocker()
        self.preset = ChoiceList(lambda: [(_text(name), name) for name in (*PRESETS, OWN)])
        self.preset.value = FIRST
        start = PRESETS[FIRST].minutes
        self.box = FloatSpinBox(min=LEAST_MINUTES, max=MOST_MINUTES, step=1.0, value=start)
        self.box.native.setDecimals(1)
        self.box.native.setSuffix(" min")
        self.rows = {
            "preset": Row(self.preset, "Training", TIP),
            "minutes": Row(self.box, "Time", MINUTES_TIP),
        }
        self.preset.changed.connect(lambda _: self._chosen())
        self.box.changed.connect(lambda _: self._typed())

    @property
    def chosen(self) -> Preset | None:
        """The preset; None: the user's own settings."""
        return PRESETS.get(self.preset.value)

    @property
    def minutes(self) -> float:
        """The time."""
        return round(float(self.box.value), 1)

    def set_minutes(self, minutes: float) -> None:
        """Take over a time."""
        self.box.value = min(max(minutes, LEAST_MINUTES), MOST_MINUTES)

    def name_preset(self, augmentation: str) -> None:
        """Name the preset that minutes and augmentation are of."""
        found = (
            name
            for name, preset in PRESETS.items()
            if (preset.minutes, preset.augmentation) == (self.minutes, augmentation)
        )
        self.preset.select(next(found, OWN))

    def _chosen(self) -> None:
        preset = PRESETS.get(self.preset.value)
        if preset is None:
            return
        with self._blocker:
            self.box.value = preset.minutes
        self._on_preset(preset.augmentation)

    def _typed(self) -> None:
        if not self._blocker.active:
            self._on_change()


def _text(name: str) -> str:
    return f"{name} ({PRESETS[name].minutes:g} min)" if name in PRESETS else name


class TrainSettings:
    """Budget and settings. The rows ``shown`` and ``folded`` are to be put into a form.

    Parameters
    ----------
    on_change : callable
        Called after each change.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._blocker = Blocker()
        self._opened = False
        self._hidden: set[str] = set()
        self.budget = Budget(self._preset_chosen, self._changed)
        self.advanced = SettingsForm(
            TrainConfig,
            ADVANCED,
            labels=LABELS,
            choices={"device": DEVICES},
            on_change=self._changed,
        )
        self.more = PushButton()
        self.more.native.setFlat(True)
        self.more.native.setStyleSheet("text-align: left; background: transparent;")
        self.defaults = PushButton(text="Back to defaults")
        self.rows = {**self.budget.rows, **self.advanced.rows}
        self.shown = [*self.budget.rows.values(), Row(self.more, "", "What is seldom needed.")]
        self.folded = [
            *self.advanced.rows.values(),
            Row(self.defaults, "", "All settings as at the beginning."),
        ]
        self.more.changed.connect(lambda _: self.fold(opened=not self._opened))
        self.defaults.changed.connect(lambda _: self._reset())

    @property
    def ndim(self) -> int | None:
        """Spatial axes of a new network; None: found from the images."""
        value = self.rows["ndim"].editor.value
        return value if isinstance(value, int) else None

    def values(self) -> dict[str, Any]:
        """Fields of `TrainConfig`: those that differ from their defaults, and the budget."""
        values = self.advanced.values()
        return values if "steps" in values else {**values, "minutes": self.budget.minutes}

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Take over what `values` gave, without telling; the rest gets its default."""
        with self._blocker:
            minutes = values.get("minutes")
            usable = isinstance(minutes, int | float) and minutes > 0
            self.budget.set_minutes(
                float(minutes) if usable and minutes is not None else DEFAULT_MINUTES
            )
            self.advanced.set_values(values)
        self._name_preset()

    def set_devices(self, devices: list[str]) -> None:
        """Offer the devices that there are."""
        self.advanced.set_choices("device", devices)

    def hold(self, *, held: bool) -> None:
        """Whether nothing can be set, as while a training runs with these settings."""
        for row in self.rows.values():
            hold_row(row, held=held)
        self.defaults.native.setEnabled(not held)

    def show_for_task(self, task: Task, *, from_scratch: bool) -> None:
        """Show what matters for a task, and for a new network."""
        self._hidden = {"start", "keep_base", "match_size"} if from_scratch else {"ndim"}
        if task != "instance":
            self._hidden |= {"start", "keep_base", "match_size"}
            self._hidden |= {"representation", "border_weight"}
        by_time = self.rows["steps"].editor.value is None
        for row in self.budget.rows.values():
            row.show(visible=by_time)
        self.fold(opened=self._opened)

    def fold(self, *, opened: bool) -> None:
        """Show or hide what is seldom needed."""
        self._opened = opened
        hidden = [self.rows[name] for name in self._hidden]
        for row in self.folded:
            row.show(visible=opened and row not in hidden)
        preset = {"augmentation"} if self.budget.chosen is not None else set()
        changed = len(set(self.advanced.values()) - self._hidden - preset)
        count = f" ({changed} changed)" if changed else ""
        self.more.text = f"{'▾' if opened else '▸'} More settings{count}"

    def _reset(self) -> None:
        self.set_values({})
        self._on_change()

    def _preset_chosen(self, augmentation: str) -> None:
        with self._blocker:
            self.rows["augmentation"].editor.value = augmentation
        self._on_change()

    def _changed(self) -> None:
        if not self._blocker.active:
            self._name_preset()
            self._on_change()

    def _name_preset(self) -> None:
        self.budget.name_preset(self.rows["augmentation"].editor.value)


def hold_row(row: Row, *, held: bool) -> None:
    """Let a field be changed, or not, since a training runs with it."""
    tip = row.native.toolTip()
    row.editor.tooltip = f"{HELD} {tip}" if held else tip
    row.editor.native.setEnabled(not held)
