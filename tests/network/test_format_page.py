"""The page on the file of a model: its example runs, and no field of the card is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from napari_unet.card import FORMAT_VERSION, Decoding, ModelCard
from napari_unet.instances.maps import REPRESENTATIONS
from napari_unet.unet_config import UNetConfig

PAGE = (Path(__file__).parents[2] / "docs" / "model-format.md").read_text(encoding="utf-8")


def test_the_example_reads_a_model_without_this_package(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert "import napari_unet" not in code
    exec(compile(code, "model-format.md", "exec"), {})
    assert capsys.readouterr().out.startswith(f"{FORMAT_VERSION} instance CYX (1, 1, ")


def test_every_field_and_representation_is_told() -> None:
    named = set(re.findall(r"`(\w[\w-]*)`", PAGE))
    for model in (ModelCard, UNetConfig, Decoding):
        assert set(model.model_fields) <= named, model
    for each in REPRESENTATIONS.values():
        assert f"`{each.name}`, {each.version} |" in PAGE
