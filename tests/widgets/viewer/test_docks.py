"""One dock of each kind, in tabs, whichever way it is opened."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from napari_unet.widgets.viewer.docks import PLUGIN, frame_of, open_dock


def by_menu(viewer: Any, name: str) -> Any:
    """Open a dock as the plugin's menu and the command palette do it."""
    from napari._app_model import get_app_model

    get_app_model().commands.execute_command(f"{PLUGIN}.{name.lower()}").result()
    return None


def by_script(viewer: Any, name: str) -> Any:
    return viewer.window.add_plugin_dock_widget(PLUGIN, name)[1]


def by_button(viewer: Any, name: str) -> Any:
    """Open a dock as *Correct* and *Keep* do it."""
    return open_dock(viewer, name)


def docks_of(viewer: Any, name: str) -> list[Any]:
    docks = viewer.window.dock_widgets
    return [docks[title] for title in docks if title.startswith(f"{name} (")]


WAYS = [by_menu, by_script, by_button]


@pytest.fixture
def shown(window: Any) -> Any:
    window.window.resize(1280, 768)
    return window


@pytest.mark.parametrize("name", ["Segment", "Train"])
def test_one_dock_whichever_way_it_is_opened(shown: Any, qtbot: Any, name: str) -> None:
    found: list[Any] = []
    for ways in permutations(WAYS):
        for way in ways:
            given = way(shown, name)
            qtbot.waitUntil(lambda: len(docks_of(shown, name)) == 1)
            found += [each for each in (given, *docks_of(shown, name)) if each is not None]
            (dock,) = docks_of(shown, name)
            if not dock.native.isVisible():  # the menu closes what is in front
                assert way is by_menu
    assert len({id(each) for each in found}) == 1
    # it is not taken for closed: it still follows the layers
    by_button(shown, name)
    listed: list[None] = []
    found[0].form.reset_choices = lambda: listed.append(None)
    shown.add_image(np.zeros((32, 32)), name="later")
    assert listed


def test_docks_lie_in_tabs_and_the_menu_brings_them_to_the_front(shown: Any, qtbot: Any) -> None:
    by_menu(shown, "Segment")
    by_menu(shown, "Train")
    (segment,), (train,) = docks_of(shown, "Segment"), docks_of(shown, "Train")
    qtbot.waitUntil(lambda: in_front(train) and not in_front(segment))
    around = frame_of(segment)
    assert around.parent().tabifiedDockWidgets(around) == [frame_of(train)]
    by_menu(shown, "Segment")  # behind the other one
    qtbot.waitUntil(lambda: in_front(segment) and not in_front(train))
    by_menu(shown, "Segment")  # in front: the menu's tick is taken away
    qtbot.waitUntil(lambda: not segment.native.isVisible())
    by_menu(shown, "Segment")
    qtbot.waitUntil(lambda: in_front(segment))
    assert open_dock(shown, "Train") is train
    qtbot.waitUntil(lambda: in_front(train))


def in_front(dock: Any) -> bool:
    return bool(dock.native.isVisible() and not dock.native.visibleRegion().isEmpty())


def test_a_dock_that_was_closed_is_made_anew(shown: Any, qtbot: Any) -> None:
    first = open_dock(shown, "Segment")
    frame_of(first).destroyOnClose()
    second = open_dock(shown, "Segment")
    assert second is not first
    qtbot.waitUntil(lambda: in_front(second))
