"""Choose the threshold of a model by a metric of your own; the network runs once."""

import numpy as np

import napari_unet as nu

sample = nu.load_sample("nuclei_2d")
image, truth = sample.image[:200, :240], sample.truth[:200, :240]


def area_error(labels: np.ndarray, truth: np.ndarray) -> float:
    """How far the mean area of the objects is from the true one, as a share of it."""
    areas = [np.count_nonzero(each) / max(len(np.unique(each)) - 1, 1) for each in (labels, truth)]
    return abs(areas[0] - areas[1]) / areas[1]


prediction = nu.predict(image, "nuclei", axes="YX")
errors = {}
for threshold in (0.3, 0.45, 0.6, 0.75):
    labels = nu.decode(prediction, threshold=threshold)  # without the network
    errors[threshold] = area_error(labels, truth)
    print(f"threshold {threshold}: {errors[threshold]:.1%}")
best = min(errors, key=errors.get)
print("the best is", best)
