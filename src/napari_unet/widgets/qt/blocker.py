"""Keeping a form from reacting to changes that it makes itself."""

from __future__ import annotations

from types import TracebackType


class Blocker:
    """Marks a stretch of code in which changes are not reacted to.

    The blockers of Qt and psygnal silence one signal each; a form fills in dozens of widgets,
    whose lists may be rebuilt meanwhile. So its handlers ask here, in one place, whether they
    are to react. Blocks may be nested, and end with an exception too.

    Examples
    --------
    >>> filling = Blocker()
    >>> with filling:
    ...     with filling:
    ...         pass
    ...     filling.active
    True
    >>> filling.active
    False
    """

    def __init__(self) -> None:
        self._depth = 0

    @property
    def active(self) -> bool:
        """Whether changes are not to be reacted to now."""
        return self._depth > 0

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._depth -= 1
