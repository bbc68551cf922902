"""Segment without a viewer, as on a server; open one only to look at the result."""

import sys

import napari_unet as nu

sample = nu.load_sample("nuclei_3d")
labels = nu.segment(sample.image[8:16], "nuclei", axes="ZYX", pixel_size=(2.0, 0.5, 0.5))
print(labels.max(), "objects, linked through the planes")

if "--look" in sys.argv:
    import napari

    viewer = napari.Viewer()
    viewer.add_image(sample.image[8:16], scale=(2.0, 0.5, 0.5))
    viewer.add_labels(labels, scale=(2.0, 0.5, 0.5))
    napari.run()
