"""The keys of the tools: actions of the viewer for Labels layers, in its list of shortcuts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Labels
from napari.settings import get_settings
from napari.utils.action_manager import action_manager
from napari.utils.interactions import Shortcut

PREFIX = "napari-unet-torch:correct_"


def register_key(name: str, key: str, description: str, command: Callable[[Labels], None]) -> None:
    """Make an action of the dock known to the viewer, with its key.

    Parameters
    ----------
    name : str
        Short; one that is known already stays as it is, and so does a key that the user chose.
    key : str
        As napari writes keys; one that Labels layers do not use.
    description : str
        In the list of shortcuts.
    command : callable
        Called with the active layer; `session_of` knows which dock corrects it.
    """
    action = PREFIX + name
    if action in action_manager._actions:
        return
    command.__name__ = f"correct_{name}"
    action_manager.register_action(action, command, f"Correct: {description}", Labels)
    if action not in get_settings().shortcuts.shortcuts:
        action_manager.bind_shortcut(action, key)


def key_of(name: str) -> str:
    """The key of an action as the viewer shows it; empty where the user has taken it away."""
    keys = action_manager._shortcuts.get(PREFIX + name, [])
    return str(Shortcut(keys[0])) if keys else ""


class KeyWatch:
    """Calls ``on_change`` when the user gives an action of the dock another key."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        action_manager.events.shortcut_changed.connect(self._changed)

    def close(self) -> None:
        """Stop listening."""
        action_manager.events.shortcut_changed.disconnect(self._changed)

    def _changed(self, event: Any) -> None:
        if event.name.startswith(PREFIX):
            self._on_change()
