"""Seeded mutations of good files: models, images, zarr stores, checkpoints."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

CARD = "napari_unet.card"
NASTY: tuple[Any, ...] = (
    None, True, 0, -1, 1, 7, 255, 65536, 10**6, 10**9, 2**31, 2**63, 10**30, -(10**30), 0.5, 1e-300,
    1e38, 1e308, float("nan"), float("inf"), "", "x", "\x1b[31m\u202e", "../../../etc/passwd",
    "a" * 5000, [], {}, [[]], [0, 0], [10**9, 10**9], [1] * 500, {"a": {"a": {"a": 1}}},
)  # fmt: skip


def mutate_bytes(data: bytes, random: Random) -> bytes:
    """Cut, overwritten, doubled, or with some bits turned."""
    kind = random.randrange(6)
    if kind == 0:
        return data[: random.randrange(len(data))]
    changed = bytearray(data)
    if kind == 1:
        start = random.randrange(len(data))
        changed[start : start + 64] = random.randbytes(64)
    elif kind == 2:  # the start holds what describes the rest
        for _ in range(random.randint(1, 8)):
            changed[random.randrange(min(600, len(changed)))] = random.randrange(256)
    elif kind == 3:
        start = random.randrange(len(data))
        changed[start:start] = data[start : start + random.randint(1, 2000)]
    elif kind == 4:
        del changed[(start := random.randrange(len(data))) : start + random.randint(1, 500)]
    else:
        for _ in range(random.randint(1, 20)):
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def mutate_values(values: Any, random: Random) -> Any:
    """JSON values of which one is another, is gone, or has a sibling or many layers."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in items:
            places.append((node, key))
            if isinstance(value, (dict, list)):
                walk(value)

    walk(values)
    node, key = random.choice(places)
    kind = random.randrange(6)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[f"new{random.randrange(9)}"] = random.choice(NASTY)
    elif kind == 2:
        deep: Any = node[key]
        for _ in range(random.choice((3, 40, 900))):
            deep = [deep]
        node[key] = deep
    elif kind == 3 and isinstance(node[key], int) and not isinstance(node[key], bool):
        node[key] = node[key] * random.choice((-1, 2, 3, 1000, 10**9))
    else:
        node[key] = random.choice(NASTY)
    return values


def mutate_model(source: Path, target: Path, random: Random) -> None:
    """A model file that is damaged as bytes, in its card, in its header or in its weights."""
    data = source.read_bytes()
    kind = random.randrange(4)
    if kind == 0:
        target.write_bytes(mutate_bytes(data, random))
        return
    (length,) = struct.unpack("<Q", data[:8])
    header, tensors = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    if kind == 1:
        card = json.loads(header["__metadata__"][CARD])
        for _ in range(random.randint(1, 3)):
            card = mutate_values(card, random)
        header["__metadata__"][CARD] = json.dumps(card)
    elif kind == 2:
        header = mutate_values(header, random)
    else:
        for _ in range(random.randint(1, 4)):
            place = random.randrange(len(tensors) // 4) * 4
            value = random.choice((float("nan"), float("inf"), 1e38, -1e38, 1e20))
            tensors[place : place + 4] = struct.pack("<f", value)
    text = json.dumps(header).encode()
    target.write_bytes(struct.pack("<Q", len(text)) + text + tensors)


def mutate_image(source: Path, target: Path, random: Random) -> None:
    """An image file that is damaged as bytes, in a tag of a TIFF, or in its text."""
    data = bytearray(source.read_bytes())
    kind = random.randrange(3)
    if kind == 1 and data[:4] == b"II*\0":
        (start,) = struct.unpack_from("<I", data, 4)
        (count,) = struct.unpack_from("<H", data, start)
        for _ in range(random.randint(1, 2)):
            entry = start + 2 + 12 * random.randrange(count)
            value = random.choice((0, 1, 3, 255, 65535, 2**31, 2**32 - 1, len(data)))
            struct.pack_into("<I", data, entry + random.choice((4, 8)), value)
    elif kind == 2 and b"Size" in data:
        place = data.index(random.choice((b"SizeZ", b"SizeX", b"SizeC", b"PlaneCount", b"Size")))
        stop = data.index(b'"', place) + 1
        data[stop : stop + 1] = random.choice((b"9", b"-", b"x", b"0", b"<"))
    else:
        data = bytearray(mutate_bytes(bytes(data), random))
    target.write_bytes(data)


def mutate_store(source: Path, target: Path, random: Random) -> None:
    """A zarr store with other metadata, or with chunks that are damaged or gone."""
    shutil.copytree(source, target)
    files = sorted(path for path in target.rglob("*") if path.is_file())
    texts = [p for p in files if p.name in ("zarr.json", ".zarray", ".zattrs", ".zgroup")]
    chunks = [p for p in files if p not in texts]
    if random.random() < 0.7 or not chunks:
        path = random.choice(texts)
        if random.random() < 0.2:
            path.write_bytes(mutate_bytes(path.read_bytes(), random))
            return
        values = json.loads(path.read_bytes())
        for _ in range(random.randint(1, 2)):
            if values:
                values = mutate_values(values, random)
        path.write_text(json.dumps(values))
        return
    path = random.choice(chunks)
    if random.random() < 0.3:
        path.unlink()
    else:
        path.write_bytes(mutate_bytes(path.read_bytes(), random))


class _Code:
    """What would run at unpickling, if anything did."""

    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit(77)",))


def mutate_checkpoint(source: Path, target: Path, random: Random) -> None:
    """A checkpoint that is damaged, holds something else, or code."""
    kind = random.randrange(5)
    if kind == 0:
        target.write_bytes(pickle.dumps(_Code()))
    elif kind == 1:
        target.write_bytes(random.randbytes(random.randrange(3000)))
    elif kind == 2:
        whole = zipfile.ZipFile(io.BytesIO(source.read_bytes()))
        with zipfile.ZipFile(target, "w") as changed:
            for name in whole.namelist():
                content = whole.read(name)
                if name.endswith("data.pkl"):
                    content = mutate_bytes(content, random)
                changed.writestr(name, content)
    else:
        target.write_bytes(mutate_bytes(source.read_bytes(), random))


MUTATIONS: dict[str, Callable[[Path, Path, Random], None]] = {
    "model": mutate_model,
    "image": mutate_image,
    "store": mutate_store,
    "checkpoint": mutate_checkpoint,
}
