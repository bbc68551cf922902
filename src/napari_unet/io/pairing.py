"""Which label file belongs to which image file, by their names alone; nothing is read.

Known are the names that people and programs give: a_masks.tif (Cellpose), a_seg.npy, mask_0.tif
beside image_0.tif, nnU-Net's case_0000.tif, a folder per case (Data Science Bowl 2018), and the
Cell Tracking Challenge's man_seg000.tif. `napari_unet.io.example_files` asks a disk.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from napari_unet.io.naming import (
    BYPRODUCT_WORDS,
    IMAGE_WORDS,
    LABEL_ONLY,
    LABEL_WORDS,
    LABELLED_FRAME,
    FileName,
    strip_words,
)

KNOWN = (
    "the same name in two folders; an ending such as _masks, _mask, _labels, _label or _seg.npy; "
    "a beginning such as mask_0 or label_0 beside 0, image_0 or img_0; nnU-Net's case_0000 with "
    "case; a folder per case with image and mask, or with images/ and masks/; the Cell Tracking "
    "Challenge's 01/t000 with 01_GT/SEG/man_seg000"
)
"""The patterns, in words."""


@dataclass(frozen=True)
class Pair:
    """An image and its labels, as they were named.

    Attributes
    ----------
    images : tuple of str
        The file of the image; several are its channels.
    labels : tuple of str
        The file of its labels; several have one object each.
    pattern : str
        How they were recognised, in words: "the ending _masks".
    """

    images: tuple[str, ...]
    labels: tuple[str, ...]
    pattern: str


@dataclass(frozen=True)
class Pairing:
    """Pairs, and what is left.

    Attributes
    ----------
    pairs : tuple of Pair
        In the order of the images' names.
    images, labels : tuple of str
        Those that belong to no pair.
    passed_over : tuple of (str, str)
        Labels of an image for which others were taken, and those.
    ambiguous, ambiguous_labels : tuple of tuple of str
        Images, and labels, among which names do not decide.
    """

    pairs: tuple[Pair, ...]
    images: tuple[str, ...]
    labels: tuple[str, ...]
    passed_over: tuple[tuple[str, str], ...] = ()
    ambiguous: tuple[tuple[str, ...], ...] = ()
    ambiguous_labels: tuple[tuple[str, ...], ...] = ()


def pair_files(images: Iterable[str], labels: Iterable[str] | None = None) -> Pairing:
    """Find pairs among names.

    Parameters
    ----------
    images : iterable of str
        Paths of image files below their folder, with slashes.
    labels : iterable of str, optional
        Those of label files below theirs; None: they are in the folder of the images.

    Returns
    -------
    Pairing
        The same for any order of the names. A file stands in it once at most.

    Examples
    --------
    >>> found = pair_files(["a.tif", "a_masks.tif", "b.tif"])
    >>> found.pairs[0].labels, found.pairs[0].pattern, found.images
    (('a_masks.tif',), 'the ending _masks', ('b.tif',))
    """
    pictures = [FileName.of(name) for name in sorted(set(images))]
    one_folder = labels is None
    candidates = pictures if labels is None else [FileName.of(name) for name in sorted(set(labels))]
    beside = find_companions(f.path for f in pictures)
    pictures = [
        f
        for f in pictures
        if f.role in ("image", "") and f.path not in beside and not f.only_labels
    ]
    candidates = [f for f in candidates if f.role in ("labels", "")]
    search = _Search(pictures, candidates, one_folder=one_folder)
    search.join_objects()
    for label_kind, image_kind in _ORDER:
        search.match(label_kind, image_kind)
    search.match_cases()
    return search.result(beside)


def find_companions(names: Iterable[str]) -> dict[str, str]:
    """Files that are labels or by-products of another file beside them, and of which.

    Parameters
    ----------
    names : iterable of str
        Paths with slashes; files in different folders do not know each other.

    Examples
    --------
    >>> find_companions(["a.tif", "a_masks.tif", "mask_0.tif", "image_0.tif", "lonely_mask.tif"])
    {'a_masks.tif': 'a.tif', 'mask_0.tif': 'image_0.tif'}
    """
    files = [FileName.of(name) for name in sorted(set(names))]
    table: dict[tuple[object, ...], str] = {}
    for file in files:
        for kind, key, _ in file.image_forms():
            if kind != "channel":
                table.setdefault((file.folder, kind == "frame", key), file.path)
    found = {}
    for file in files:
        forms = [f for f in file.label_forms() if f[0] != "full"]
        keys = [(kind == "frame", key) for kind, key, _ in forms]
        keys += [(False, key) for key, _ in strip_words(file.stem, BYPRODUCT_WORDS)]
        for frame, key in keys:
            other = table.get((file.folder, frame, key))
            if other is not None and other != file.path:
                found[file.path] = other
                break
    for folder in {file.folder for file in files}:
        # mask.tif beside the only image, whatever that is called
        here = [f for f in files if f.folder == folder and f.path not in found]
        bare = [f for f in here if f.stem.lower() in LABEL_WORDS]
        if len(here) == len(bare) + 1:
            (image,) = (f for f in here if f not in bare)
            found |= {f.path: image.path for f in bare}
    return dict(sorted(found.items()))


def describe_patterns(pairs: Sequence[Pair]) -> str:
    """How pairs were recognised, in a line.

    >>> pairs = [Pair(("a",), ("b",), "the same name")] * 2
    >>> describe_patterns(pairs)
    '2 pairs by the same name'
    >>> describe_patterns([*pairs, Pair(("c",), ("d",), "the ending _masks")])
    '3 pairs: 2 by the same name, 1 by the ending _masks'
    """
    counts = Counter(pair.pattern for pair in pairs)
    total = f"{len(pairs)} pair{'' if len(pairs) == 1 else 's'}"
    if len(counts) == 1:
        return f"{total} by {next(iter(counts))}"
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return f"{total}: " + ", ".join(f"{count} by {words}" for words, count in ranked)


_ORDER = (
    ("ending", "full"),
    ("full", "full"),
    ("result", "full"),  # a label file of the same name goes before a result
    ("beginning", "full"),
    ("ending", "marked"),
    ("result", "marked"),
    ("beginning", "marked"),
    ("full", "marked"),
    ("full", "channel"),
    ("ending", "channel"),
    ("result", "channel"),
    ("beginning", "channel"),
    ("frame", "frame"),
)
"""Kinds of names of labels and image that make a pair, the surest first."""


class _Search:
    """Pairs as they are found; what belongs to one is not looked at any more."""

    def __init__(self, images: list[FileName], labels: list[FileName], *, one_folder: bool) -> None:
        self._one_folder = one_folder
        self._images = {f.path: f for f in images}
        self._labels = {f.path: f for f in labels}
        # markers of tracked objects are no outlines of them, where there are such
        self._segmented = any(f.stem.startswith("man_seg") for f in labels)
        self._pairs: list[Pair] = []
        self._passed_over: list[tuple[str, str]] = []
        self._ambiguous: set[tuple[str, ...]] = set()
        self._ambiguous_labels: set[tuple[str, ...]] = set()

    def join_objects(self) -> None:
        """Folders of masks, one object a file: masks/ of a case, or a folder named as the image."""
        images, labels = _by_case(self._images.values()), _by_case(self._labels.values())
        for case, files in labels.items():
            masks = [f for f in files if not self._one_folder or f.role == "labels"]
            tracked = any(LABELLED_FRAME.fullmatch(f.stem) for f in masks)
            several = len(masks) > 1 and len({f.folder for f in masks}) == 1
            if not case or not several or tracked or any(f.only_labels for f in masks):
                continue
            (own, named) = images.get(case, []), images.get(case[:-1], [])
            named = [f for f in named if f.stem == case[-1]]
            if len(own) == 1 and not own[0].has_namesake(masks):
                self._take(own, masks, "a folder of masks per image")
            elif not own and len(named) == 1:
                self._take(named, masks, "a folder of masks per image")

    def match(self, label_kind: str, image_kind: str) -> None:
        """Pair what has equal keys in forms of these kinds."""
        images: dict[object, list[tuple[FileName, str]]] = defaultdict(list)
        labels: dict[object, list[tuple[FileName, str]]] = defaultdict(list)
        for file in self._images.values():
            for kind, key, mark in file.image_forms():
                if kind == image_kind:
                    images[file.case, key].append((file, mark))
        for file in self._labels.values():
            for kind, key, mark in file.label_forms():
                markers = mark.startswith("man_track") and self._segmented
                if kind == label_kind and not markers:
                    labels[file.case, key].append((file, mark))
        for place in sorted(images.keys() & labels.keys(), key=str):
            self._match_key(images[place], labels[place], label_kind, image_kind)

    def _match_key(
        self,
        images: list[tuple[FileName, str]],
        labels: list[tuple[FileName, str]],
        label_kind: str,
        image_kind: str,
    ) -> None:
        images = [each for each in images if each[0].path in self._images]
        labels = [
            each
            for each in labels
            if each[0].path in self._labels
            and all(self._may_be_labels(each[0], image, label_kind) for image, _ in images)
        ]
        if not images or not labels:
            return
        labels.sort(key=lambda each: (each[0].rank, each[0].path))
        best = [each for each in labels if each[0].rank == labels[0][0].rank]
        numbers = [mark for _, mark in images]
        channels = image_kind == "channel" and numbers == [f"{i:04d}" for i in range(len(images))]
        if image_kind == "channel" and not channels:
            return
        if (len(images) > 1 and not channels) or len(best) > 1:
            if len(best) > 1:
                self._ambiguous_labels.add(tuple(sorted(f.path for f, _ in best)))
            else:
                self._ambiguous.add(tuple(sorted(f.path for f, _ in images)))
            for file, _ in images:
                self._images.pop(file.path)
            for file, _ in labels:
                self._labels.pop(file.path, None)
            return
        words = _words(label_kind, image_kind, best[0][1], images[0][1])
        self._take([f for f, _ in images], [best[0][0]], words)
        for file, _ in labels[1:]:
            if self._labels.pop(file.path, None):
                self._images.pop(file.path, None)
                self._passed_over.append((file.path, best[0][0].path))

    def _may_be_labels(self, labels: FileName, image: FileName, kind: str) -> bool:
        if not self._one_folder:
            return True
        if labels.path == image.path:
            return False
        # an equal name in one folder tells nothing, unless the kind of file does
        return kind != "full" or labels.role == "labels" or labels.suffix in LABEL_ONLY

    def match_cases(self) -> None:
        """A folder per case, with one image and one label file of whatever names."""
        images = _by_case(
            f
            for f in self._images.values()
            if not self._one_folder or f.role == "image" or not f.is_marked
        )
        labels = _by_case(
            f
            for f in self._labels.values()
            if not self._one_folder or f.role == "labels" or f.only_labels or f.is_marked
        )
        for case in sorted(images.keys() & labels.keys()):
            picture, mask = images[case], labels[case]
            if len(picture) != 1 or len(mask) != 1 or picture[0].path == mask[0].path:
                continue
            bare = picture[0].stem.lower() in IMAGE_WORDS and mask[0].stem.lower() in LABEL_WORDS
            if bare:
                self._take(picture, mask, f"the names {picture[0].stem} with {mask[0].stem}")
            elif case or (self._one_folder and mask[0].stem.lower() in LABEL_WORDS):
                self._take(picture, mask, "a folder per case")

    def _take(self, images: list[FileName], labels: list[FileName], words: str) -> None:
        for file in images:
            self._images.pop(file.path)
            if self._one_folder:
                self._labels.pop(file.path, None)
        for file in labels:
            self._labels.pop(file.path)
            if self._one_folder:
                self._images.pop(file.path, None)
        pictures, masks = (tuple(f.path for f in files) for files in (images, labels))
        self._pairs.append(Pair(pictures, masks, words))

    def result(self, beside: Iterable[str]) -> Pairing:
        """All that was found, and what is left; ``beside`` are no images."""
        images, labels = self._images, self._labels
        if self._one_folder:
            # an image is no labels that are left over, unless its name says so
            marked = {f.path for f in labels.values() if f.role == "labels" or f.only_labels}
            marked |= {f.path for f in labels.values() if f.is_marked and f.role != "image"}
            marked |= set(beside)
            images = {path: file for path, file in images.items() if path not in marked}
            labels = {path: file for path, file in labels.items() if path in marked}
        return Pairing(
            tuple(sorted(self._pairs, key=lambda pair: pair.images)),
            tuple(sorted(images)),
            tuple(sorted(labels)),
            tuple(sorted(self._passed_over)),
            tuple(sorted(self._ambiguous)),
            tuple(sorted(self._ambiguous_labels)),
        )


def _by_case(files: Iterable[FileName]) -> dict[tuple[str, ...], list[FileName]]:
    found: dict[tuple[str, ...], list[FileName]] = defaultdict(list)
    for file in files:
        found[file.case].append(file)
    return found


def _words(label_kind: str, image_kind: str, label_mark: str, image_mark: str) -> str:
    """How a pair was recognised."""
    if (label_kind, image_kind) == ("full", "full"):
        return "the same name"
    if image_kind == "frame":
        return f"the Cell Tracking Challenge's names, {image_mark} with {label_mark}"
    at_end = label_mark[:1] in tuple("_-. ")
    if image_kind == "full":
        return f"the {'ending' if at_end else 'beginning'} {label_mark.strip()}"
    labels = f"…{label_mark}" if at_end else f"{label_mark}…"
    if image_kind == "channel":
        return f"nnU-Net's names, …_0000 with {labels}"
    image = f"…{image_mark}" if image_mark[:1] in tuple("_-. ") else f"{image_mark}…"
    return f"the names {image} with {labels}"
