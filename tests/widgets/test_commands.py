"""The viewer's palette finds the commands, which get the viewer by type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

import napari_unet as nu
from napari_unet.viewer import add_result, measure_layer, segment_layer

PREFIX = "napari-unet-torch."


def test_the_palette_segments_the_active_layer(window: Any, qtbot: Any) -> None:
    from napari._app_model import get_app_model

    app = get_app_model()
    titles = {command.title: command.id for command in dict(app.commands).values()}
    found = titles["U-Net: segment the active layer (U-Net)"]
    image = nu.load_sample("nuclei_2d").image[:96, :96]
    layer = window.add_image(image, name="cells", scale=(0.5, 0.5), units=("um", "um"))
    window.layers.selection.active = layer
    app.commands.execute_command(found).result()
    dock = window.window.dock_widgets["Segment (U-Net)"]
    labels = dock.wait(180)
    assert labels.name == "cells labels"
    assert np.array_equal(labels.data, nu.segment(layer, "nuclei"))
    app.commands.execute_command(f"{PREFIX}copy_as_python").result()
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    assert "nu.segment(" in clipboard.text()
    app.commands.execute_command(f"{PREFIX}show_record").result()
    shown = [each for each in QApplication.topLevelWidgets() if "Record of" in each.windowTitle()]
    assert [each.windowTitle() for each in shown] == ["Record of cells labels"]
    shown[0].close()
    app.commands.execute_command(f"{PREFIX}train_on_active_layer").result()
    assert "Train (U-Net)" in window.window.dock_widgets
    window.layers.selection.active = labels
    app.commands.execute_command(f"{PREFIX}measure_active_layer").result()
    measured = window.window.dock_widgets["Measure (U-Net)"].wait(180)
    assert len(measured) == labels.data.max()


@pytest.mark.windowless
def test_layers_are_understood_wherever_an_array_is(bare_viewer: Any) -> None:
    frames = np.stack([nu.load_sample("nuclei_2d").image[:64, :80]] * 2)
    layer = bare_viewer.add_image(
        frames,
        name="movie",
        axis_labels=("t", "y", "x"),
        scale=(3, 0.5, 0.5),
        units=("s", "um", "um"),
        translate=(0, 7, 9),
        rotate=(0, 0, 10),
    )
    data, attributes, kind = segment_layer(layer, "nuclei", min_size=5)
    assert kind == "labels"
    assert np.array_equal(data, nu.segment(layer, "nuclei", min_size=5))
    expected = nu.segment(frames, "nuclei", axes="TYX", pixel_size=0.5, min_size=5)
    assert np.array_equal(data, expected)
    record = attributes["metadata"]["napari_unet"]
    assert (record["axes"], record["pixel_size"]) == ("TYX", [0.5, 0.5])
    result = add_result(bare_viewer, (data, attributes, kind))
    for name in ("scale", "translate", "rotate", "shear"):
        np.testing.assert_allclose(getattr(result, name), getattr(layer, name))
    np.testing.assert_allclose(result.affine.affine_matrix, layer.affine.affine_matrix)
    assert (result.units, result.axis_labels) == (layer.units, layer.axis_labels)
    again = add_result(bare_viewer, expected, layer, name="mine")
    np.testing.assert_allclose(again.translate, layer.translate)
    with pytest.raises(nu.UNetError, match="has the shape"):
        add_result(bare_viewer, expected[:, :9], layer)
    table = measure_layer(result, layer, properties=["area", "intensity_mean"], features=True)
    known = nu.measure(expected, frames, axes="TYX", pixel_size=0.5, properties=["area"])
    np.testing.assert_allclose(table["area"], known["area"])
    np.testing.assert_allclose(nu.measure(result, layer)["area"], known["area"])
    assert "area" in result.features
    with pytest.raises(nu.UNetError, match="no image layer"):
        segment_layer(result)


@pytest.mark.windowless
def test_painted_layers_train(bare_viewer: Any, make_model: Any) -> None:
    from napari_unet.viewer import train_from_layers

    sample = nu.load_sample("nuclei_2d")
    image = bare_viewer.add_image(sample.image[:96, :96], name="cells")
    labels = bare_viewer.add_labels(sample.truth[:96, :96].astype(np.int32), name="painted")
    corners = [[0, 0], [0, 90], [90, 90], [90, 0]]
    box = bare_viewer.add_shapes([corners], shape_type="polygon")
    base = make_model(features=(4, 8))
    settings = {"steps": 2, "batch_size": 1, "patch": (32, 32), "base": base}
    part = train_from_layers([(image, labels, box)], **settings)
    whole = train_from_layers([(image, labels)], **settings)
    known = [model.card.training.labelled_pixels for model in (part, whole)]
    assert 0 < known[0] < known[1]
    made = segment_layer(image, base)
    prediction = add_result(bare_viewer, made)
    with pytest.raises(nu.UNetError, match="nobody has corrected"):
        train_from_layers([(image, prediction)], **settings)
