"""Choosing an image layer, or one per channel, while layers come and go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_unet.widgets.qt.form import Form
from napari_unet.widgets.segment.image_picker import PER_CHANNEL, ImagePicker, assign, mismatch

SHAPE = (32, 40)


@pytest.fixture
def picker(bare_viewer: Any, changes: list[None], listen: Any, qtbot: Any) -> ImagePicker:
    """In a form, listening to the viewer's layers."""
    picker = ImagePicker(bare_viewer, lambda: changes.append(None))
    form = Form(picker.rows)
    qtbot.addWidget(form)
    listen(bare_viewer, picker)
    picker.form = form  # type: ignore[attr-defined]
    return picker


@pytest.fixture
def card(make_model: Any) -> Any:
    def with_channels(*names: str) -> Any:
        card = make_model(in_channels=len(names)).card
        return card.model_copy(update={"channels": names})

    return with_channels


def add(viewer: Any, name: str, shape: tuple[int, ...] = SHAPE, **options: Any) -> Image:
    return viewer.add_image(np.zeros(shape, np.uint8), name=name, **options)


def texts(choices: Any) -> list[str]:
    native = choices.native
    return [native.itemText(i) for i in range(native.count())]


def names(picker: ImagePicker) -> list[str]:
    return [layer.name for layer in picker.layers]


# One layer


def test_only_image_layers_are_listed(bare_viewer: Any, picker: ImagePicker, changes: Any) -> None:
    assert picker.layers == []
    bare_viewer.add_labels(np.zeros(SHAPE, int))
    bare_viewer.add_points(np.zeros((1, 2)))
    assert picker.layers == []
    assert changes == []
    image = add(bare_viewer, "a")
    assert picker.layers == [image]
    assert texts(picker.image) == ["a"]
    assert changes == [None]


def test_the_choice_outlives_names_orders_and_other_layers(
    bare_viewer: Any, picker: ImagePicker, changes: Any
) -> None:
    first, second = add(bare_viewer, "a"), add(bare_viewer, "b")
    picker.choose(second)
    assert picker.layers == [second]
    changes.clear()
    second.name = "renamed"
    bare_viewer.layers.move(1, 0)
    add(bare_viewer, "c")
    bare_viewer.layers.remove(first)
    assert picker.layers == [second]
    assert changes == []
    assert texts(picker.image) == ["renamed", "c"]
    bare_viewer.layers.remove(second)
    assert names(picker) == ["c"]
    assert changes == [None]
    bare_viewer.layers.clear()
    assert picker.layers == []
    assert len(changes) == 2


def test_layers_of_one_name_can_be_told_apart(bare_viewer: Any, picker: ImagePicker) -> None:
    first, second = add(bare_viewer, "a"), add(bare_viewer, "b")
    second._name = "a"  # the viewer does not let it come so far
    picker.reset_choices()
    assert texts(picker.image) == ["a", "a (2)"]
    picker.image.native.setCurrentIndex(1)
    assert picker.layers == [second]
    picker.image.native.setCurrentIndex(0)
    assert picker.layers == [first]


def test_a_model_of_one_channel_takes_one_layer(
    bare_viewer: Any, picker: ImagePicker, card: Any
) -> None:
    add(bare_viewer, "a")
    picker.set_card(card("nuclei"))
    assert texts(picker.image) == ["a"]
    assert picker.layers_row.native.isHidden()
    picker.set_card(None)
    assert names(picker) == ["a"]


def test_the_wheel_over_a_list_does_not_choose(
    bare_viewer: Any, picker: ImagePicker, qtbot: Any
) -> None:
    add(bare_viewer, "a")
    add(bare_viewer, "b")
    middle = QPoint(5, 5)
    event = QWheelEvent(
        QPointF(middle),
        QPointF(picker.image.native.mapToGlobal(middle)),
        QPoint(0, -120),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(picker.image.native, event)
    assert names(picker) == ["a"]


# One layer per channel


def test_channels_are_filled_in_by_name_then_in_order(
    bare_viewer: Any, picker: ImagePicker, card: Any, changes: Any
) -> None:
    for name in ("first", "my Nuclei", "second"):
        add(bare_viewer, name)
    add(bare_viewer, "small", (8, 8))
    bare_viewer.add_image(np.zeros((*SHAPE, 3), np.uint8), rgb=True, name="colours")
    picker.set_card(card("cells", "nuclei"))
    assert picker.layers_row.native.isHidden()
    assert names(picker) == ["first"]
    assert texts(picker.image)[-1] == PER_CHANNEL
    changes.clear()
    picker.image.native.setCurrentIndex(picker.image.native.count() - 1)
    assert changes == [None]
    assert not picker.layers_row.native.isHidden()
    assert picker.per_channel
    assert names(picker) == ["first", "my Nuclei"]
    assert "colours" not in texts(picker.editors[0])  # its colours are channels already
    assert (picker.fault, picker.hint) == ("", "")

    picker.editors[0].value = bare_viewer.layers["second"]
    assert names(picker) == ["second", "my Nuclei"]
    assert len(changes) == 2


def test_hidden_layers_and_other_shapes_come_last(bare_viewer: Any) -> None:
    layers = [add(bare_viewer, name) for name in "abc"]
    small = add(bare_viewer, "d", (8, 8))
    layers[0].visible = False
    four = [*layers, small]
    assert [i.name for i in assign(("x", "y"), four, [None, None])] == ["b", "c"]
    assert [i.name for i in assign(("x", "y", "z"), four, [None] * 3)] == ["b", "c", "a"]
    assert [i.name for i in assign(("x",), four, [None], like=small)] == ["d"]
    assert [i.name for i in assign(("x", "y"), four, [None, layers[1]])] == ["c", "b"]
    assert assign(("x", "y"), [], [None, None]) == []
    assert assign(("x", "y"), [small], [None, None]) == [small, small]


def test_a_deleted_channel_gets_another_layer(
    bare_viewer: Any, picker: ImagePicker, card: Any, changes: Any
) -> None:
    for name in ("a", "b", "c"):
        add(bare_viewer, name)
    picker.set_card(card("x", "y"))
    picker.choose(PER_CHANNEL)
    assert names(picker) == ["a", "b"]
    changes.clear()
    bare_viewer.layers.remove("a")
    assert names(picker) == ["c", "b"]
    assert changes == [None]
    bare_viewer.layers["b"].name = "renamed"
    assert names(picker) == ["c", "renamed"]
    bare_viewer.layers.remove("c")
    assert names(picker) == ["renamed", "renamed"]
    assert "‘renamed’ is taken for both x and y" in picker.hint
    bare_viewer.layers.clear()
    assert picker.layers == []
    add(bare_viewer, "new")
    assert names(picker) == ["new"]


def test_another_model_keeps_what_it_can(bare_viewer: Any, picker: ImagePicker, card: Any) -> None:
    for name in ("a", "b", "c"):
        add(bare_viewer, name)
    picker.set_card(card("x", "y"))
    picker.choose(PER_CHANNEL)
    picker.editors[0].value = bare_viewer.layers["c"]
    picker.set_card(card("r", "g", "b"))
    assert names(picker) == ["c", "b", "a"]
    picker.set_card(card("x", "y"))
    assert names(picker) == ["c", "b"]
    picker.set_card(card("only"))
    assert names(picker) == ["c"]
    assert picker.layers_row.native.isHidden()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": (2, 2)}, "differ in scale"),
        ({"translate": (1, 0)}, "differ in translate"),
        ({"rotate": 30}, "differ in rotation or shear"),
        ({"shear": [0.3]}, "differ in rotation or shear"),
        ({"affine": np.diag([2.0, 1, 1])}, "differ in their affine"),
        ({"units": ("um", "um")}, "differ in units"),
    ],
)
def test_layers_that_do_not_lie_on_each_other(change: dict[str, Any], words: str) -> None:
    first, other = Image(np.zeros(SHAPE), name="one"), Image(np.zeros(SHAPE), name="two")
    assert mismatch([first, first, other]) == ""
    for name, value in change.items():
        setattr(other, name, value)
    fault = mismatch([first, first, other])
    assert words in fault
    assert "‘one’ and ‘two’" in fault


def test_layers_of_different_shapes_are_told(
    bare_viewer: Any, picker: ImagePicker, card: Any
) -> None:
    add(bare_viewer, "a")
    small = add(bare_viewer, "b", (8, 8))
    assert picker.fault == ""
    picker.set_card(card("x", "y"))
    picker.choose(PER_CHANNEL)
    assert "‘a’ and ‘b’ differ in shape (32 × 40 and 8 × 8)" in picker.fault
    picker.layers_row.show_message(fault=picker.fault)
    assert all("border" in editor.native.styleSheet() for editor in picker.editors)
    picker.layers_row.show_message()
    assert all(editor.native.styleSheet() == "" for editor in picker.editors)
    picker.choose(small)
    assert picker.fault == ""


def test_only_colours_are_no_channels(bare_viewer: Any, picker: ImagePicker, card: Any) -> None:
    bare_viewer.add_image(np.zeros((*SHAPE, 3), np.uint8), rgb=True, name="colours")
    picker.set_card(card("x", "y"))
    assert names(picker) == ["colours"]
    picker.choose(PER_CHANNEL)
    assert picker.layers == []
    assert "open one for each channel" in picker.fault


def test_finest_levels_are_compared(bare_viewer: Any) -> None:
    data = [np.zeros((32, 40)), np.zeros((16, 20))]
    pyramid = Image(data, multiscale=True)
    assert mismatch([pyramid, Image(np.zeros(SHAPE))]) == ""


def test_in_a_dock_of_a_real_window(
    window: Any, card: Any, qtbot: Any, changes: Any, listen: Any
) -> None:
    picker = ImagePicker(window, lambda: changes.append(None))
    form = Form(picker.rows)
    window.window.add_dock_widget(form, name="image")
    form.setFixedWidth(340)
    listen(window, picker)
    add(window, "a very long name " * 5)
    add(window, "nuclei")
    picker.set_card(card("nuclei", "a stain with a very long name"))
    combo = picker.image.native
    combo.setFocus()
    combo.showPopup()
    qtbot.keyClick(combo.view(), Qt.Key.Key_End)
    qtbot.keyClick(combo.view(), Qt.Key.Key_Return)
    assert picker.per_channel
    assert [name[:6] for name in names(picker)] == ["nuclei", "a very"]
    for editor in (picker.image, *picker.editors):
        assert editor.tooltip
        qtbot.waitUntil(editor.native.isVisible)
        assert editor.native.mapTo(form, QPoint(editor.native.width(), 0)).x() <= 340
        assert editor.native.width() >= 100
    window.layers.remove("nuclei")
    assert len(picker.layers) == 2
    window.layers.clear()
    assert picker.layers == []
    assert len(changes) == 4  # added, other mode, removed, cleared
