"""Tooltips of the fields of the dock "Segment" that no settings model describes."""

CHANNELS_TIP = "Which channels of the image the model gets, counted from 0, in its order."
PIXEL_SIZE_TIP = (
    "From the scale and the units of the layer. Where it is unknown, the object diameter "
    "can be given instead."
)
LEVEL_TIP = "Which level of the multiscale image is segmented; 0 is the finest."
SCORES_TIP = (
    "Show the scores of the network too, as image layers at the bottom of the list, hidden at "
    "first."
)
