"""Hidden folders of what is not complete: a live process keeps its own, a killed one's go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from napari_unet.errors import FileError
from napari_unet.io import atomic_path
from napari_unet.io import scratch as scratch_module
from napari_unet.io.scratch import ScratchFolder, sweep_leftovers

OWNER = """
import sys
from pathlib import Path
from napari_unet.io.scratch import ScratchFolder
folder = ScratchFolder(Path(sys.argv[1]))
(folder.path / "half").write_text("half")
print(folder.path.name, flush=True)
sys.stdin.read()
"""


@pytest.mark.process
def test_leftovers_of_a_killed_process_are_swept_and_those_of_a_live_one_are_not(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    pipe = subprocess.PIPE
    owners = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    try:
        names = [owner.stdout.readline().strip() for owner in owners if owner.stdout]
        owners[0].kill()
        owners[0].wait()
        sweep_leftovers(tmp_path, again=True)
        assert [p.name for p in tmp_path.iterdir()] == [names[1]]
        assert (tmp_path / names[1] / "half").read_text() == "half"
    finally:
        for owner in owners:
            owner.kill()
            owner.communicate()
    with atomic_path(tmp_path / "first") as part:  # this process has swept here already
        part.write_text("1")
    sweep_leftovers(tmp_path, again=True)
    assert [p.name for p in tmp_path.iterdir()] == ["first"]


def test_the_next_write_beside_leftovers_sweeps_them(tmp_path: Path) -> None:
    left = ScratchFolder(tmp_path / "." if tmp_path.is_dir() else tmp_path)
    left._release()  # as the end of its process does
    place = tmp_path / "other"
    place.mkdir()
    left.path.rename(place / left.path.name)
    with atomic_path(place / "file") as part:
        part.write_text("1")
    assert [p.name for p in place.iterdir()] == ["file"]


def test_what_looks_alike_but_has_no_lock_or_is_a_link_stays(tmp_path: Path) -> None:
    plain = tmp_path / ".0123456789ab.partial"
    plain.mkdir()
    (plain / "data").write_text("somebody's")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "lock").write_text("")
    (tmp_path / ".ba9876543210.partial").symlink_to(outside)
    sweep_leftovers(tmp_path, again=True)
    assert (plain / "data").read_text() == "somebody's"
    assert (outside / "lock").exists()


def test_a_folder_whose_process_was_killed_before_it_was_locked_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".0123456789ab.partial").mkdir()
    sweep_leftovers(tmp_path, again=True)
    assert not list(tmp_path.iterdir())
    real, swept = scratch_module.try_lock, []

    def late(folder: Path, timeout_s: float = 0.0) -> Any:
        if not swept:  # somebody sweeps before this process has locked its new folder
            swept.append(folder)
            sweep_leftovers(tmp_path, again=True)
        return real(folder, timeout_s)

    monkeypatch.setattr(scratch_module, "try_lock", late)
    scratch = ScratchFolder(tmp_path)
    assert not swept[0].exists()
    (scratch.path / "file").write_text("1")
    scratch.remove()


def test_an_abandoned_folder_is_left_to_the_user(tmp_path: Path) -> None:
    scratch = ScratchFolder(tmp_path)
    (scratch.path / "result").write_text("whole")
    scratch.abandon()
    sweep_leftovers(tmp_path, again=True)
    assert (scratch.path / "result").read_text() == "whole"


@pytest.mark.parametrize("links", [True, False])
def test_an_exclusive_file_replaces_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:  # as on exFAT

        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = tmp_path / "file"
    with atomic_path(path, exclusive=True) as part:
        part.write_text("first")
    with (
        pytest.raises(FileError, match="already") as caught,
        atomic_path(path, exclusive=True) as part,
    ):
        part.write_text("second")
    assert caught.value.code == "exists"
    assert path.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_temporary_folder_goes_with_its_object(tmp_path: Path) -> None:
    kept, dropped = (ScratchFolder(tmp_path, temporary=True) for _ in range(2))
    place = dropped.path
    del dropped
    assert [each.name for each in tmp_path.iterdir()] == [kept.path.name]
    kept.path.rename(tmp_path / "moved")
    kept.remove()
    assert not place.exists()


def test_a_folder_that_may_not_be_looked_into_does_not_keep_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [ScratchFolder(tmp_path) for _ in range(3)]
    for each in places:
        each._release()  # as the end of its process does
    first = next(tmp_path.iterdir())
    is_file = Path.is_file

    def refuse(path: Path) -> bool:
        if path.parent == first:  # of another user; nothing binds root, so pretend
            raise PermissionError
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refuse)
    sweep_leftovers(tmp_path, again=True)
    assert list(tmp_path.iterdir()) == [first]
