"""What can be done to the list of objects: its orders, and its actions with their keys."""

from __future__ import annotations

from collections.abc import Callable

from napari.layers import Labels

from napari_unet.evaluation.review_order import ReviewOrder
from napari_unet.widgets.annotation.painting import DONE_KEY
from napari_unet.widgets.correct.session import session_of

ORDER_NAMES: dict[str, ReviewOrder] = {
    "Least certain first": "confidence",
    "Suggested splits": "split",
    "Unusual shapes": "shape",
    "Smallest first": "small",
    "Largest first": "large",
    "At the border": "border",
    "All, by number": "place",
}
ACTIONS = {
    "next": ("Next", "N", "Go to the next object that nobody has looked at yet."),
    "previous": ("Previous", "Shift-N", "Go back to the object before."),
    "accept": ("Accept", "Q", "Call the object right as it is, and go to the next one."),
    "done": (
        "Plane done",
        DONE_KEY,
        "Call everything in the plane that is shown right, also its background; or take that back.",
    ),
}


def review_command(name: str) -> Callable[[Labels], None]:
    """What the key of an action does to the active layer."""

    def command(layer: Labels) -> None:
        session = session_of(layer)
        if session is not None:
            session.key_pressed.emit(name)

    return command
