"""Samples as the viewer's menu opens them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image
from npe2 import PluginManifest

import napari_unet
from napari_unet.io import write_image, write_labels
from napari_unet.samples import load_sample, sample_names
from napari_unet.widgets import show_results
from napari_unet.widgets.viewer.layer_image import LayerImage

PLUGIN = "napari-unet-torch"
MANIFEST = PluginManifest.from_file(Path(napari_unet.__file__).with_name("napari.yaml"))


def test_each_sample_opens_as_one_image_that_says_its_axes(viewer: Any) -> None:
    for name in sample_names():
        sample = load_sample(name)
        opened = viewer.open_sample(PLUGIN, name)
        (layer,) = viewer.layers
        assert opened == [layer]
        assert type(layer) is Image  # and no truth over it
        np.testing.assert_array_equal(layer.data, sample.image)
        assert layer.rgb == (name == "histology")
        assert layer.axis_labels == tuple(sample.axes.replace("C", "").lower())
        assert layer.metadata["source"] == sample.source
        if not layer.rgb:  # what there is to see can be seen
            shown = (sample.image - layer.contrast_limits[0]) / np.ptp(layer.contrast_limits)
            assert np.median(shown[sample.truth > 0]) > 0.25
            assert shown.max() < 2
        # no source states a pixel size
        read = LayerImage.of(layer)
        assert set(read.spacing) == {None}
        # and the dock is in no doubt about the axes
        assert read.guess_axes(ndim=2, channels=1) == (sample.axes, "", ())
        if name == "time_series":  # there is a slider for its frames
            assert viewer.dims.ndim == 3
            assert viewer.dims.not_displayed == (0,)
            assert viewer.dims.nsteps[0] == 12
            assert viewer.dims.axis_labels[0] == "t"
        viewer.layers.clear()
    # opened together they have names of their own
    for name in sample_names():
        viewer.open_sample(PLUGIN, name)
    names = [layer.name for layer in viewer.layers]
    assert names == ["nuclei", "histology", "nuclei 3D", "nuclei over time"]


def test_labels_that_are_shown_beside_their_image_lie_on_it(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = np.arange(5 * 20 * 30, dtype=np.uint16).reshape(5, 20, 30)
    image = write_image(tmp_path / "a.tif", np.zeros((5, 2, 20, 30), np.uint8), axes="TCYX")
    labels = write_labels(tmp_path / "a_labels.tif", truth, axes="TYX")
    monkeypatch.setattr("napari.Viewer", lambda **_: viewer)
    monkeypatch.setattr("napari.run", lambda: None)
    show_results.main([str(image), str(labels)])
    viewer.dims.set_current_step((0, 1), (3, 1))
    np.testing.assert_array_equal(viewer.layers["a_labels"]._slice.image.raw, truth[3])


def test_the_menu_offers_every_sample(viewer: Any) -> None:
    from napari._app_model import get_app_model

    offered = MANIFEST.contributions.sample_data or []
    assert [sample.key for sample in offered] == list(sample_names())
    assert any("synthetic" in s.display_name for s in offered if s.key == "time_series")
    (menu,) = (
        item.submenu
        for item in get_app_model().menus.get_menu("napari/file/samples")
        if getattr(item, "title", "") == MANIFEST.display_name
    )
    titles = {item.command.title for item in get_app_model().menus.get_menu(menu)}
    assert titles == {sample.display_name for sample in offered}


def test_opening_a_sample_imports_no_torch() -> None:
    code = (
        "import sys; from napari_unet.widgets import sample_layers as s; "
        "s.nuclei_2d(), s.histology(), s.nuclei_3d(), s.time_series(); "
        "assert not {'torch', 'napari'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
