"""Open images and their labels in napari: ``python -m napari_unet.widgets.show_results``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from napari_unet.axes import label_axes
from napari_unet.io import read_image
from napari_unet.widgets.viewer.layer_image import LayerImage


def main(paths: Sequence[str]) -> None:
    """Open pairs of an image and its label file, the first pair visible, and wait."""
    import napari

    viewer = napari.Viewer(title="U-Net")
    for number, (image, labels) in enumerate(zip(paths[::2], paths[1::2], strict=True)):
        pictures = [read_image(image), read_image(labels)]
        visible = number == 0
        layer = viewer.add_image(pictures[0].array, name=pictures[0].path.stem, visible=visible)
        shown = LayerImage.of(layer)
        axes = pictures[0].axes or shown.guess_axes(ndim=2, channels=1)[0]
        values, place = np.asarray(pictures[1].array[...], np.int32), {}
        if values.ndim == len(label_axes(axes)):
            placement = shown.placement(axes)
            values, place = placement.lay(values), dict(placement)
        viewer.add_labels(values, name=pictures[1].path.stem, visible=visible, **place)
    napari.run()


if __name__ == "__main__":
    main(sys.argv[1:])
