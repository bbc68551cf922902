"""What the fields of a settings model allow: their types and bounds."""

from __future__ import annotations

import types
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo


def members_of(annotation: Any) -> list[Any]:
    """Members of a union, without their annotations."""
    return [member for member, _ in _unfold(annotation, ())]


def _unfold(annotation: Any, bounds: tuple[Any, ...]) -> list[tuple[Any, tuple[Any, ...]]]:
    """Members of a union, each with what is required of it."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        found = [b for m in more for b in (m.metadata if isinstance(m, FieldInfo) else [m])]
        return _unfold(inner, (*bounds, *found))
    if get_origin(annotation) in (Union, types.UnionType):
        return [pair for part in get_args(annotation) for pair in _unfold(part, bounds)]
    return [(annotation, bounds)]


def bounds_of(number: type, info: FieldInfo) -> tuple[float, float]:
    """The smallest and the largest value that can be typed."""
    own = [b for member, bounds in _unfold(info.annotation, ()) if member is number for b in bounds]
    low, high, open_low, open_high = 0.0, 1e6, False, False
    for bound in (*info.metadata, *own):  # each says one of ge, gt, le and lt
        if (ge := getattr(bound, "ge", None)) is not None:
            low = float(ge)
        if (gt := getattr(bound, "gt", None)) is not None:
            low, open_low = float(gt), True
        if (le := getattr(bound, "le", None)) is not None:
            high = float(le)
        if (lt := getattr(bound, "lt", None)) is not None:
            high, open_high = float(lt), True
    step = 10.0 ** -digits_of(number, high)
    return low + step * open_low, high - step * open_high


def digits_of(number: type, high: float) -> int:
    """Number of decimals that a field of this type and upper bound shows."""
    return 0 if number is int else 2 if high <= 1 else 1
