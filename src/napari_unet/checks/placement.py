"""Whether labels lie on all of their image, or on a part of it."""

from __future__ import annotations

from napari_unet.checks.finding import Report
from napari_unet.dataset.label_placement import LabelPlacement
from napari_unet.dataset.labelled_image import LabelledImage


def check_placement(report: Report, index: int, labelled: LabelledImage) -> None:
    """Tell where labels lie on a part of the image: of the rest nothing is known."""
    place = getattr(labelled.labels, "placement", None)
    if not isinstance(place, LabelPlacement) or place.share == 1:
        return
    percent = f"{100 * place.share:.2g} %"
    found = f"The labels lie on {place.describe_part()} of the image only, {percent} of it"
    code, remedy = "labels-of-a-part", "what lies beside it counts as not labelled."
    if place.ratio > 1:
        size = "half" if place.ratio == 2 else f"1/{place.ratio}"
        found += f"; they have {size} of its size, as another level of a pyramid has"
        code, remedy = "labels-of-another-size", "else open image and labels at the same size."
    remedy = f"Dismiss this if they are of that part; {remedy}"
    report.doubt(code, index, "labels", f"{found}.", remedy)
