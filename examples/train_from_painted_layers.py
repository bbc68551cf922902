"""Train on labels that were painted in layers; a Shapes layer says what is labelled."""

import napari
import numpy as np

import napari_unet as nu
from napari_unet.viewer import add_result, segment_layer, train_from_layers

viewer = napari.Viewer()
sample = nu.load_sample("nuclei_2d")
image = viewer.add_image(sample.image[:160, :160], name="nuclei")
painted = np.zeros((160, 160), np.int32)
painted[:100, :100] = sample.truth[:100, :100]  # stands for what you have painted
labels = viewer.add_labels(painted, name="painted")
done = [[0, 0], [0, 99], [99, 99], [99, 0]]  # everything in here is labelled
box = viewer.add_shapes([done], shape_type="polygon", name="labelled", opacity=0.2)

# a few steps to show it: give minutes= for a model that is of use
model = train_from_layers(
    [(image, labels, box)], base="nuclei", steps=3, batch_size=2, patch=(64, 64), name="mine"
)
print(model.card.training.labelled_pixels, "labelled pixels")
add_result(viewer, segment_layer(image, model), name="by the new model")

if __name__ == "__main__":
    napari.run()
