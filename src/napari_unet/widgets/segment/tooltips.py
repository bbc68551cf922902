"""Tooltips of the fields of the dock "Segment" that no settings model describes."""

CHANNELS_TIP = "Which channels of the image the model gets, counted from 0, in its order."
PIXEL_SIZE_TIP = (
    "Micrometres, from the scale and the units of the layer. Type others where they are unknown or "
    "wrong: one number for all axes, or one for each, as 2 × 0.5 × 0.5. They belong to the layer, "
    "and to what is saved of it; where it lies in the viewer stays as it is."
)
LEVEL_TIP = "Which level of the multiscale image is segmented; 0 is the finest."
SCORES_TIP = (
    "Show the scores of the network too, as image layers at the bottom of the list, hidden at "
    "first."
)
