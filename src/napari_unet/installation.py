"""Whether another project's distribution owns the import package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

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
