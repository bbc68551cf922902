"""Segment microscopy images with U-Nets: in napari, from Python, on the command line.

The public names stand in ``__init__.pyi``, which type checkers and editors read as it is.
Here each of them is imported at its first use, so that importing the package stays cheap.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
