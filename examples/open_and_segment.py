"""Open an image in a viewer, segment it, and see the labels on it."""

import napari

import napari_unet as nu
from napari_unet.viewer import add_result, segment_layer

viewer = napari.Viewer()
sample = nu.load_sample("nuclei_2d")  # or: viewer.open("cells.tif", plugin="napari-unet-torch")
image = viewer.add_image(sample.image[:200, :240], name="nuclei", scale=(0.5, 0.5))

# the result has the scale, place, units and axis labels of the image layer
labels = add_result(viewer, segment_layer(image, "nuclei", min_size=30))
print(labels.metadata["napari_unet"]["message"])

if __name__ == "__main__":
    napari.run()
