"""What stands above the buttons of the dock "Train", and what is offered above its form."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtGui import QColor

from napari_unet.errors import Note
from napari_unet.network.architecture import DataProperties, propose_architecture
from napari_unet.settings import TrainConfig
from napari_unet.training.steps import TrainStep
from napari_unet.widgets.qt.notice import FRAME, Notice
from napari_unet.widgets.train.bar import NEW_NETWORK, TrainBar

pytestmark = pytest.mark.windowless


@pytest.fixture
def bar(qapp: Any, qtbot: Any) -> TrainBar:
    bar = TrainBar(*[lambda: None] * 4)
    qtbot.addWidget(bar.native)
    return bar


@pytest.mark.parametrize(
    "facts",
    [
        DataProperties(2, ((512, 640),), None, None),
        DataProperties(2, ((512, 20),), None, 12.5),
        DataProperties(3, ((24, 512, 512),), (2.5, 1.0, 1.0), 16.0),
    ],
)
def test_why_a_network_is_as_it_is_stands_in_the_tooltip(
    bar: TrainBar, facts: DataProperties
) -> None:
    reasons = propose_architecture(facts).reasons
    notes = [
        Note("held-out", "The last rows are held out."),
        *(Note("new-network", reason) for reason in reasons),
        Note("memory-short", "The memory is short."),
    ]
    said = f"The last rows are held out. The memory is short. {NEW_NETWORK}"
    step = TrainStep(3, 9, 0.5, 1e-3, None, None, 1.0)
    bar.show_step(step, TrainConfig(minutes=1), notes)
    assert bar.message.value == f"Step 3, 59 s left. {said}"
    assert bar.message.tooltip == " ".join(reasons)
    bar.show_message("Comparing …")
    assert not bar.message.tooltip


def test_a_notice_has_a_frame_and_tells_why_it_stays(qapp: Any, qtbot: Any) -> None:
    notice = Notice("Something was left.", {"Resume": lambda: "There is no model ‘mine’."})
    qtbot.addWidget(notice)
    notice.resize(300, 100)
    picture = notice.grab().toImage()
    assert QColor(picture.pixel(150, 0)) == QColor(FRAME)
    assert QColor(picture.pixel(0, 50)) == QColor(FRAME)
    notice.buttons["Resume"].native.click()
    assert notice.fault.value == "There is no model ‘mine’."
    assert not notice.fault.native.isHidden()
