"""Which distributions are installed, and whether another project's owns the import package."""

from __future__ import annotations

import functools
import platform
from importlib.metadata import PackageNotFoundError, distribution, version

DISTRIBUTION = "napari-unet-torch"
FOREIGN = "napari-unet"


def foreign_distribution() -> str | None:
    """How to repair an installation beside the foreign ``napari-unet``; None if it is sound.

    Another project of that name installs the same import package, so that the files of
    one overwrite those of the other.
    """
    try:
        found = distribution(FOREIGN)
    except PackageNotFoundError:
        return None
    return (
        f"{FOREIGN} {found.version}, another project's distribution, is installed and "
        "overwrites files of napari-unet-torch; repair it with: "
        f"pip uninstall -y {FOREIGN} && pip install --force-reinstall --no-deps napari-unet-torch"
    )


def package_version(distribution: str = DISTRIBUTION) -> str:
    """Version of an installed distribution; "unknown" where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


__version__ = package_version()


@functools.cache  # they stay the same while a process runs; reading them takes milliseconds
def versions() -> dict[str, str]:
    """Versions of what the numbers of a result depend on."""
    names = (DISTRIBUTION, "torch", "numpy", "scipy", "numba", "edt")
    return {"python": platform.python_version(), **{n: package_version(n) for n in names}}
