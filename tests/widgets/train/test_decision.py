"""What the user is asked when a model is ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_unet.recovery.training import StoredTraining
from napari_unet.settings import TrainConfig
from napari_unet.widgets.train.decision import Decision
from napari_unet.widgets.train.job import Trained
from napari_unet.widgets.train.verdict_panel import suggest_name

pytestmark = pytest.mark.windowless


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"examples": [{"image": "embryo"}, {"image": "second"}]}, "embryo"),
        ({}, "shown now"),
        ({"examples": ["damaged", {}]}, "shown now"),
    ],
)
def test_the_name_is_of_what_this_model_was_trained_on(
    make_model: Any, qtbot: Any, tmp_path: Path, values: dict[str, Any], name: str
) -> None:
    decision = Decision(lambda _: None, lambda _: None, lambda: None)
    qtbot.addWidget(decision.panel.native)
    session = StoredTraining(tmp_path, values, None, TrainConfig())
    decision.ask(Trained(make_model(), "", None, session), image="shown now")
    assert decision.panel.name == suggest_name(name)
