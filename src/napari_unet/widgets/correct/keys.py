"""The keys of the tools: actions of the viewer for Labels layers, in its list of shortcuts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Labels
from napari.settings import get_settings
from napari.utils.action_manager import action_manager
from napari.utils.interactions import Shortcut

from napari_unet.errors import UNetError
from napari_unet.widgets.correct.session import CorrectionSession, session_of
from napari_unet.widgets.correct.tools import TOOLS, Place, Tool
from napari_unet.widgets.qt.wording import worded

PREFIX = "napari-unet-torch:correct_"


def register_keys() -> None:
    """Make the tools known to the viewer, once; keys that the user has chosen stay."""
    for tool in TOOLS:
        register_key(tool.name, tool.key, f"Correct: {tool.tip}", _command(tool))


def register_key(name: str, key: str, description: str, command: Callable[[Labels], None]) -> None:
    """Make an action of the dock known to the viewer, with its key.

    Parameters
    ----------
    name : str
        Short; one that is known already stays as it is.
    key : str
        As napari writes keys; one that Labels layers do not use.
    description : str
        In the list of shortcuts.
    command : callable
        Called with the active layer.
    """
    action = PREFIX + name
    if action in action_manager._actions:
        return
    command.__name__ = f"correct_{name}"
    action_manager.register_action(action, command, description, Labels)
    if action not in get_settings().shortcuts.shortcuts:
        action_manager.bind_shortcut(action, key)


def shown_key(tool: Tool) -> str:
    """The key of a tool as the viewer shows it; empty where the user has taken it away."""
    return key_of(tool.name)


def key_of(name: str) -> str:
    """The key of an action as the viewer shows it; empty where the user has taken it away."""
    keys = action_manager._shortcuts.get(PREFIX + name, [])
    return str(Shortcut(keys[0])) if keys else ""


def press(session: CorrectionSession, tool: Tool) -> None:
    """Use a tool on the object under the cursor."""
    point = session.point_under_cursor()
    if session.target is None:
        session.tell(session.problem, fault=True)
        return
    if point is None:
        session.tell(f"{tool.title}: point at an object.", fault=True)
        return
    place = Place(session.target, (point,), session.plane_only)
    try:
        changed = session.apply(tool.edit(place), tool.name, place.points)
    except UNetError as error:
        session.tell(worded(error), fault=True)
        return
    session.tell(f"{tool.title}: done." if changed else f"{tool.title}: nothing to change.")


class KeyWatch:
    """Calls ``on_change`` when the user gives an action another key."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        action_manager.events.shortcut_changed.connect(self._changed)

    def close(self) -> None:
        """Stop listening."""
        action_manager.events.shortcut_changed.disconnect(self._changed)

    def _changed(self, event: Any) -> None:
        if event.name.startswith(PREFIX):
            self._on_change()


def _command(tool: Tool) -> Callable[[Labels], None]:
    def command(layer: Labels) -> None:
        session = session_of(layer)
        if session is not None:
            press(session, tool)

    return command
