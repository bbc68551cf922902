"""Little memory: a run ends with the right labels, or in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_unet.io import write_image
from napari_unet.network.model import Model

RUN = """
import hashlib, json, os, resource, sys
from pathlib import Path
from napari_unet.cli import main
from napari_unet.io import read_image

image, model, out = sys.argv[1:]
words = ["segment", image, "-m", model, "--device", "cpu", "--precision", "float32"]

def labels(folder):
    return hashlib.sha256(read_image(Path(folder, "a_labels.tif")).array.tobytes()).hexdigest()

def run(name, extra):
    child = os.fork()
    if child == 0:
        status = 99
        try:
            if extra:
                pages = int(Path("/proc/self/statm").read_text().split()[0])
                limit = pages * os.sysconf("SC_PAGE_SIZE") + extra
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            said = os.open(f"{out}/{name}.txt", os.O_CREAT | os.O_WRONLY)
            os.dup2(said, 1), os.dup2(said, 2)
            status = main([*words, "-o", f"{out}/{name}"])
            sys.stdout.flush(), sys.stderr.flush()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

small = str(Path(image).with_name("small.tif"))
main([*words[:1], small, *words[2:], "-o", f"{out}/warm"])
ends = {"free": [run("free", 0), labels(f"{out}/free")]}
for megabytes in (1500, 250, 60, 20):
    name = f"{megabytes} MB"
    status = run(name, megabytes << 20)
    ends[name] = [status, labels(f"{out}/{name}") if status == 0 else ""]
print(json.dumps(ends))
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="needs fork and Linux's limits")
def test_a_limit_of_memory_changes_no_label_and_is_told(
    tmp_path: Path, make_model: Callable[..., Model]
) -> None:
    model = make_model(features=(16, 32)).save(tmp_path / "model")
    pixels = np.random.default_rng(0).integers(0, 4000, (1200, 1100)).astype(np.uint16)
    image = write_image(tmp_path / "a.tif", pixels, axes="YX")
    write_image(tmp_path / "small.tif", pixels[:64, :64], axes="YX")
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(image), str(model), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
        timeout=250,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # those of the parent do not live in a fork
    )
    ends = json.loads(done.stdout.splitlines()[-1])
    assert ends["free"][0] == 0
    told = 0
    for name, (status, labels) in ends.items():
        said = (tmp_path / "out" / f"{name}.txt").read_text()
        assert status in (0, 2), (name, status, said)
        assert "Traceback" not in said
        if status == 0:
            assert labels == ends["free"][1], name
        else:
            told += 1
            (line,) = [each for each in said.splitlines() if "error" in each]
            assert "memory" in line, said
            assert not list((tmp_path / "out" / name).glob("*"))
    assert told
    assert ends["1500 MB"][0] == 0, (tmp_path / "out" / "1500 MB.txt").read_text()
