"""What the name of a file says: labels or an image, and of what; names only, nothing is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath
from typing import Literal

LABEL_WORDS = (
    "cp_masks", "masks", "mask", "labels", "label", "lbl", "simple segmentation", "segmentation",
    "segmented", "seg", "ground_truth", "groundtruth", "truth", "gt", "annotations", "annotation",
    "annotated", "instances", "instance", "object identities", "roiset", "rois",
)  # fmt: skip
"""Words at an end of a name that mark labels; of several label files the first goes."""

IMAGE_WORDS = ("images", "image", "img", "raw", "input")
BYPRODUCT_WORDS = (
    "cp_output", "flows", "outlines", "overlay", "scores", "probabilities", "preview", "thumbnail",
    "thumb",
)  # fmt: skip
RESULT_WORD = "labels"  # what this program adds to the name of an image
LABEL_ONLY = (".zip", ".roi")  # ImageJ's regions are never an image
IMAGE_FOLDERS = ("images", "image", "img", "imgs", "raw", "input", "imagestr", "jpegimages")
LABEL_FOLDERS = (
    "labels", "label", "masks", "mask", "labelstr", "seg", "segmentation", "segmentations", "gt",
    "ground_truth", "groundtruth", "annotations", "segmentationobject", "tra",
)  # fmt: skip

_SEPARATOR = r"[_\-. ]"
_TRACKING = re.compile(r"(?P<case>\d{1,3})_(?P<kind>GT|ST|RES|ERR_SEG)")
_CHANNEL = re.compile(r"(?P<key>.+)_(?P<number>\d{4})")
_FRAME = re.compile(r"t(?P<key>\d{3,})")
LABELLED_FRAME = re.compile(r"(?P<mark>man_seg|man_track|mask)(?P<key>\d{3,})")

Role = Literal["image", "labels", "neither", ""]


Form = tuple[str, str, str]  # kind, key, and what stands beside the key


@dataclass(frozen=True)
class FileName:
    """A name in its parts: the folder, what that means, and the stem."""

    path: str
    folder: tuple[str, ...]
    case: tuple[str, ...]
    role: Role
    stem: str
    suffix: str

    @classmethod
    def of(cls, name: str) -> FileName:
        """The parts of a path with slashes."""
        path = PurePosixPath(name)
        role: Role = ""
        case = []
        for part in path.parts[:-1]:
            tracking = _TRACKING.fullmatch(part)
            if tracking is not None:
                role = "labels" if tracking["kind"] in ("GT", "ST") else "neither"
                case.append(tracking["case"])
            elif part.lower() in LABEL_FOLDERS:
                role = role or "labels"
            elif part.lower() in IMAGE_FOLDERS:
                role = role or "image"
            else:
                case.append(part)
        suffix = path.suffix.lower()
        return cls(name, path.parts[:-1], tuple(case), role, plain_stem(name), suffix)

    @property
    def only_labels(self) -> bool:
        """Whether its kind says that it is no image."""
        return self.suffix in LABEL_ONLY or self.path.lower().endswith("_seg.npy")

    @property
    def is_marked(self) -> bool:
        """Whether its name says that it holds labels."""
        return self.stem.lower() in LABEL_WORDS or any(
            kind in ("ending", "beginning", "frame") for kind, _, _ in self.label_forms()
        )

    @property
    def rank(self) -> tuple[int, int]:
        """Which of several labels of one image is taken: the least."""
        stem = self.stem.lower()
        words = [i for i, w in enumerate(LABEL_WORDS) if stem.endswith(w) or stem.startswith(w)]
        silver = any(part.endswith("_ST") for part in self.folder)
        tracked = stem.startswith("man_track")
        return 2 * tracked + silver, min(words, default=0)

    def label_forms(self) -> Iterator[Form]:
        """What it may be called as labels: kind, key of the image, mark."""
        yield "full", self.stem, ""
        for key, mark in strip_words(self.stem, LABEL_WORDS):
            end = mark[0] in "_-. "
            npy = self.suffix if self.suffix == ".npy" and end else ""
            kind = "ending" if end else "beginning"
            result = end and mark[1:].lower() == RESULT_WORD
            yield ("result" if result else kind), key, mark + npy
        frame = LABELLED_FRAME.fullmatch(self.stem)
        if frame is not None:
            yield "frame", frame["key"], f"{frame['mark']}…"

    def has_namesake(self, labels: Iterable[FileName]) -> bool:
        """Whether the name of any of the labels is made of that of this image."""
        keys = {key for _, key, _ in self.image_forms()}
        return any(key in keys for each in labels for _, key, _ in each.label_forms())

    def image_forms(self) -> Iterator[Form]:
        """What it may be called as an image: kind, key, mark."""
        yield "full", self.stem, ""
        for key, mark in strip_words(self.stem, IMAGE_WORDS):
            yield "marked", key, mark
        channel = _CHANNEL.fullmatch(self.stem)
        if channel is not None:
            yield "channel", channel["key"], channel["number"]
        frame = _FRAME.fullmatch(self.stem)
        if frame is not None:
            yield "frame", frame["key"], "t…"


def strip_words(stem: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A stem without one of the words at its end or beginning, and what was taken away.

    >>> list(strip_words("a_masks", LABEL_WORDS)), list(strip_words("mask0", LABEL_WORDS))
    ([('a', '_masks')], [('0', 'mask')])
    """
    joined = "|".join(words)  # the longer word of two stands first
    end = re.fullmatch(rf"(?P<key>.+?)(?P<mark>{_SEPARATOR}(?:{joined}))", stem, re.IGNORECASE)
    if end is not None:
        yield end["key"], end["mark"]
    begin = re.fullmatch(
        rf"(?P<mark>(?:{joined})(?:{_SEPARATOR}|(?=\d)))(?P<key>.+)", stem, re.IGNORECASE
    )
    if begin is not None:
        yield begin["key"], begin["mark"]


def is_tracking_folder(name: str) -> bool:
    """Whether a folder is called as those of labels of the Cell Tracking Challenge are."""
    return _TRACKING.fullmatch(name) is not None


def sequence_of(folder: PurePath) -> tuple[str, str]:
    """Number and kind of a folder of the Cell Tracking Challenge; empty where it is none.

    The kind is empty for a folder of images.

    >>> sequence_of(PurePath("data/01_GT/SEG")), sequence_of(PurePath("02"))
    (('01', 'GT'), ('02', ''))
    """
    for name in (folder.name, folder.parent.name):
        found = _TRACKING.fullmatch(name)
        if found is not None:
            return found["case"], found["kind"]
    number = folder.name if re.fullmatch(r"\d{1,3}", folder.name) else ""
    return number, ""


def list_names(names: Sequence[str], most: int = 4) -> str:
    """Names in words, the first few of many.

    >>> list_names(["a", "b"]), list_names(["a", "b", "c"], 1)
    ('a, b', 'a and 2 more')
    """
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def plain_stem(path: str | PurePath) -> str:
    """A file's name without its ending, ``.ome.tif`` being one.

    >>> plain_stem("a/cells.ome.tif")
    'cells'
    """
    return PurePath(path).stem.removesuffix(".ome").removesuffix(".OME")
