"""A form does not react to what it fills in itself."""

from __future__ import annotations

import pytest

from napari_unet.widgets.qt.blocker import Blocker


def test_a_nested_block_does_not_end_the_one_around_it() -> None:
    blocker = Blocker()
    with blocker:
        with blocker:
            assert blocker.active
        assert blocker.active
    assert not blocker.active


def test_an_error_ends_the_block() -> None:
    blocker = Blocker()
    with pytest.raises(ValueError, match="in a field"), blocker:
        raise ValueError("in a field")
    assert not blocker.active
