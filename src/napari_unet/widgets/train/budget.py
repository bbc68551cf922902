"""How long to train: a preset, or minutes of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from magicgui.widgets import FloatSpinBox

from napari_unet.widgets.qt.choice_list import ChoiceList
from napari_unet.widgets.qt.form import Row

OWN = "Own"
TIP = "How long to train. A preset sets the minutes, and how much the patches are varied."
MINUTES_TIP = "Time to train, with all that is measured meanwhile. You can stop earlier."
LEAST, MOST = 0.1, 10_000.0


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
FIRST = "Standard"


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
        self._busy = False
        self.preset = ChoiceList(lambda: [(_text(name), name) for name in (*PRESETS, OWN)])
        self.preset.value = FIRST
        start = PRESETS[FIRST].minutes
        self.box = FloatSpinBox(min=LEAST, max=MOST, step=1.0, value=start)
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
        self.box.value = min(max(minutes, LEAST), MOST)

    def follow(self, augmentation: str) -> None:
        """Name the preset that minutes and augmentation are of."""
        found = (
            name
            for name, preset in PRESETS.items()
            if (preset.minutes, preset.augmentation) == (self.minutes, augmentation)
        )
        self.preset.point_at(next(found, OWN))

    def _chosen(self) -> None:
        preset = PRESETS.get(self.preset.value)
        if preset is None:
            return
        self._busy = True
        self.box.value = preset.minutes
        self._busy = False
        self._on_preset(preset.augmentation)

    def _typed(self) -> None:
        if not self._busy:
            self._on_change()


def _text(name: str) -> str:
    return f"{name} ({PRESETS[name].minutes:g} min)" if name in PRESETS else name
