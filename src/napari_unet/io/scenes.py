"""The images of a file that holds several: which one is read, and what is said of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_unet.errors import FileError, InputError, Note

MAX_NAMED = 5  # images that a note tells one by one


@dataclass(frozen=True)
class Scene:
    """One image of a file, called series or scene by other programs.

    Attributes
    ----------
    name : str
        As the file gives it; empty where it gives none.
    shape : tuple of int
        Of its array.
    plane : tuple of int
        Rows and columns of a plane.
    """

    name: str
    shape: tuple[int, ...]
    plane: tuple[int, int]

    def describe(self, number: int) -> str:
        """Number, name and size in words.

        >>> Scene("Position 1", (3, 128, 192), (128, 192)).describe(1)
        "1 'Position 1' (3 × 128 × 192)"
        """
        size = " × ".join(map(str, self.shape))
        return f"{number} {self.name!r} ({size})" if self.name else f"{number} ({size})"


def choose_scene(
    path: Path, scenes: Sequence[Scene], wanted: int | str | None
) -> tuple[int, tuple[Note, ...]]:
    """Which image of a file to read, and what is to be told of the others.

    Unless one is asked for it is the first; where that is a thumbnail, no more than half as
    high and wide as another, it is the largest.

    Parameters
    ----------
    path : Path
        The file.
    scenes : sequence of Scene
        Its images.
    wanted : int, str or None
        Number, counted from 0, or name.

    Raises
    ------
    InputError
        If the file has no such image.
    FileError
        If it has none at all.

    Examples
    --------
    >>> scenes = [Scene("", (32, 48), (32, 48)), Scene("", (128, 192), (128, 192))]
    >>> number, notes = choose_scene(Path("a.tif"), scenes, None)
    >>> number, str(notes[0])
    (1, 'The first of 2 images in the file is a thumbnail: image 1 (128 × 192) was taken, \
and left out is 0 (32 × 48); give scene=0 for that one.')
    """
    if not scenes:
        raise FileError(f"{path} holds no image", "open it in another program, or export it anew")
    if wanted is not None:
        return _find(path, scenes, wanted), ()
    if len(scenes) == 1:
        return 0, ()
    largest = max(range(len(scenes)), key=lambda i: (_area(scenes[i]), -i))
    thumbnail = all(
        2 * small <= large
        for small, large in zip(scenes[0].plane, scenes[largest].plane, strict=True)
    )
    chosen = largest if thumbnail else 0
    others = [(i, scene) for i, scene in enumerate(scenes) if i != chosen]
    named = ", ".join(scene.describe(i) for i, scene in others[:MAX_NAMED])
    if len(others) > MAX_NAMED:
        named += f" and {len(others) - MAX_NAMED} more"
    taken = scenes[chosen].describe(chosen)
    verb = "is" if len(others) == 1 else "are"
    text = (
        f"The first of {len(scenes)} images in the file is a thumbnail: image {taken} was taken, "
        f"and left out {verb} {named}"
        if thumbnail
        else f"The file holds {len(scenes)} images, of which image {taken} was taken, and left out "
        f"{verb} {named}"
    )
    remedy = f"give ⟨scene={others[0][0]}⟩ for that one"
    if len(others) > 1:
        remedy = f"give ⟨scene={others[0][0]}⟩ for the first of these"
    return chosen, (Note("scenes-left-out", text, remedy),)


def _area(scene: Scene) -> int:
    return scene.plane[0] * scene.plane[1]


def _find(path: Path, scenes: Sequence[Scene], wanted: int | str) -> int:
    names = [scene.name for scene in scenes]
    if isinstance(wanted, str) and names.count(wanted) == 1:
        return names.index(wanted)
    if not isinstance(wanted, str) and 0 <= wanted < len(scenes):
        return int(wanted)
    held = ", ".join(scene.describe(i) for i, scene in enumerate(scenes[:MAX_NAMED]))
    held += ", ..." if len(scenes) > MAX_NAMED else ""
    count = "one image" if len(scenes) == 1 else f"{len(scenes)} images"
    raise InputError(
        f"{path} has no image ⟨scene={wanted!r}⟩: it holds {count}, {held}",
        "give the number, counted from 0, or the name of one of these",
        parameter="scene",
        value=wanted,
    )
