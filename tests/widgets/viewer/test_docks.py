"""One dock of each kind, in tabs, whichever way it is opened."""

from __future__ import annotations

from functools import partial
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QWidget

from napari_unet.network.files import list_models
from napari_unet.training.verdict import Verdict
from napari_unet.widgets.qt.notice import Notice
from napari_unet.widgets.train.job import Comparison
from napari_unet.widgets.viewer.docks import PLUGIN, _Frame, frame_of, open_dock


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


def test_one_dock_whichever_way_it_is_opened(shown: Any, qtbot: Any) -> None:
    for name in ("Segment", "Train"):
        found: list[Any] = []
        for ways in permutations(WAYS):
            for way in ways:
                given = way(shown, name)
                qtbot.waitUntil(lambda name=name: len(docks_of(shown, name)) == 1)
                found += [each for each in (given, *docks_of(shown, name)) if each is not None]
                (dock,) = docks_of(shown, name)
                if not dock.native.isVisible():  # the menu closes what is in front
                    assert way is by_menu
        assert len({id(each) for each in found}) == 1
        # it is not taken for closed: it still follows the layers
        by_button(shown, name)
        listed: list[None] = []
        found[0].form.reset_choices = partial(listed.append, None)
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


def test_of_docks_that_are_opened_at_once_the_last_is_in_front(shown: Any, qtbot: Any) -> None:
    segment, train = open_dock(shown, "Segment"), open_dock(shown, "Train")
    assert open_dock(shown, "Segment") is segment
    qtbot.wait(50)  # whatever is put off until the window has drawn itself
    qtbot.waitUntil(lambda: in_front(segment) and not in_front(train))


def in_front(dock: Any) -> bool:
    return bool(dock.native.isVisible() and not dock.native.visibleRegion().isEmpty())


def test_a_dock_that_was_closed_is_made_anew(shown: Any, qtbot: Any) -> None:
    first = open_dock(shown, "Segment")
    frame_of(first).destroyOnClose()
    second = open_dock(shown, "Segment")
    assert second is not first
    qtbot.waitUntil(lambda: in_front(second))


def test_buttons_stay_on_a_small_screen_in_the_fullest_states(shown: Any, qtbot: Any) -> None:
    train = open_dock(shown, "Train")
    segment = open_dock(shown, "Segment")
    long = "A long sentence that takes several lines. " * 6
    for text in ("first", "second", "third"):
        train._above.addWidget(Notice(f"{text}: {long}", {"Resume": str, "Discard": str}))
    segment.form.more.native.click()
    segment.bar.show_message(long * 2, fault=True)
    assert_seen(shown, segment.bar.run, qtbot)
    assert_seen(shown, segment.bar.cancel, qtbot)

    open_dock(shown, "Train")
    train.bar.show_message(long)
    assert_seen(shown, train.bar.train, qtbot)
    train.form.native.hide()
    train.curves.show()
    image = np.zeros((128, 128))
    rows = tuple((f"AP at IoU 0.{digit}", 0.4, 0.8) for digit in range(5, 9))
    verdict = Verdict(False, long, rows, "nuclei", 3)
    train.verdict.show(list_models()[0], verdict, Comparison(image, None, image.astype(int)))
    for button in (train.verdict.keep, train.verdict.discard, train.bar.train):
        assert_seen(shown, button, qtbot)


def assert_seen(viewer: Any, button: Any, qtbot: Any) -> None:
    window = button.native.window()

    def seen() -> bool:
        viewer.window.resize(1280, 768)
        corner = QPoint(button.native.width(), button.native.height())
        low = button.native.mapTo(window, corner)
        whole = button.native.visibleRegion().boundingRect() == button.native.rect()
        return bool(window.height() == 768 and low.y() <= 768 and low.x() <= 1280 and whole)

    qtbot.waitUntil(seen)


def test_a_watch_that_python_has_taken_apart_hears_nothing(qtbot: Any) -> None:
    """At the end of the process Qt goes on sending events; an error there ends it by a crash."""
    content, other = QWidget(), QWidget()
    qtbot.addWidget(other)
    watch = _Frame(content)
    vars(watch).clear()
    content.setParent(other)  # sends an event to the watch
    assert content.parent() is other
