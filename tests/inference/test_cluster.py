"""Blocks of one image on a Dask cluster of two worker processes: the labels of one process."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import napari_unet as nu
from napari_unet.errors import FileError, SettingsError
from napari_unet.inference import cluster
from napari_unet.inference.cluster import open_client
from napari_unet.inference.segmentation import iter_run
from napari_unet.instances.maps import BOUNDARY
from napari_unet.io import read_image

distributed = pytest.importorskip("distributed")
cluster_run = pytest.importorskip("napari_unet.inference.cluster_run")
pytestmark = [pytest.mark.process, pytest.mark.filterwarnings("default")]


@contextmanager
def local_cluster(count: int = 2) -> Iterator[Any]:
    with open_client(f"local:{count}") as client:
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with local_cluster() as client:
            yield client


def blobs(*shape: int, seed: int = 0) -> np.ndarray:
    """Round objects, some through several planes, in noise."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    sigma = [3.0 if n > 30 else 1.0 if i == len(shape) - 3 else 0.0 for i, n in enumerate(shape)]
    smooth = gaussian_filter(rng.normal(size=shape), sigma)
    return (1000 + 400 * smooth / smooth.std()).clip(0, 4000).astype(np.uint16)


def test_one_process_and_two_workers_agree_to_the_bit_though_one_is_killed(
    bright_model: Callable[..., nu.Model], client: Any, tmp_path: Path
) -> None:
    model = bright_model()
    image = blobs(16, 96, 128)
    stored = zarr.create_array(
        tmp_path / "in.zarr", data=image, chunks=(1, 96, 128), dimension_names=["z", "y", "x"]
    )
    alone = nu.segment(image, model, axes="ZYX", tile=48, smoothing=1.0)
    assert alone.max() > 20
    victim: list[int] = []
    job = iter_run(
        stored,
        model,
        axes="ZYX",
        tile=48,
        smoothing=1.0,
        client=client,
        output=tmp_path / "out.zarr",
    )
    before = set(client.run(os.getpid).values())
    try:
        while True:
            step = next(job)
            if not victim and step.phase == "segmenting" and step.done >= 2:
                victim.append(next(iter(before)))
                os.kill(victim[0], signal.SIGKILL)
    except StopIteration as end:
        result = end.value
    assert victim
    assert victim[0] not in client.run(os.getpid).values()
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "out.zarr")[:], alone)
    assert result.labels.record["objects"] == alone.max()
    assert result.labels.record["threads"] == 1  # of the workers, whatever they are here
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.zarr", "out.zarr"]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many threads as the workers have: sums of instance norm depend on them."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_every_kind_of_run_agrees(
    make_model: Callable[..., nu.Model], bright_model: Callable[..., nu.Model], client: Any
) -> None:
    series = blobs(3, 4, 40, 56, seed=1)
    cases: list[tuple[nu.Model, np.ndarray, str, dict[str, Any]]] = [
        (bright_model(), series, "TZYX", {"tile": 32, "smoothing": 1.0}),
        (bright_model(), series, "TZYX", {"tile": 32, "volume_mode": "slices"}),
        (bright_model(), series[0, 0], "YX", {"tile": 16, "smoothing": 1.0}),
        (bright_model(ndim=3), series[0], "ZYX", {"tile": 16, "smoothing": 1.0}),
        (bright_model(ndim=3), series, "TZYX", {"tile": 16, "smoothing": 1.0}),
        (make_model(task="semantic"), series[0], "ZYX", {"tile": 16}),
        (make_model(task="semantic", norm="instance"), series[0, 0], "YX", {"tile": 16}),
        (make_model(norm="instance"), series[0], "YXZ"[::-1], {"tile": 16}),
        (make_model(instances=BOUNDARY), series[0], "ZYX", {"tile": 16}),
        (make_model(ndim=3, instances=BOUNDARY), series[0], "ZYX", {"tile": 16}),
        (
            bright_model(object_diameter=9.0),
            series[0],
            "ZYX",
            {"object_diameter": 14.0, "tile": 16},
        ),
    ]
    for model, image, axes, settings in cases:
        alone = nu.segment(image, model, axes=axes, **settings)
        joined = nu.segment(image, model, axes=axes, client=client, **settings)
        np.testing.assert_array_equal(joined, alone, err_msg=f"{axes} {settings}")
        assert joined.dtype == alone.dtype
        assert alone.max() > 1
    framed = np.pad(series[0], ((0, 0), (9, 0), (3, 20)))  # a border of fill
    for model, image, axes in (
        (make_model(task="semantic"), framed, "ZYX"),
        (make_model(), framed[0], "YX"),
        (make_model(task="regression"), series[0, 0], "YX"),
        (make_model(norm="instance"), series[0, 0], "YX"),
        (make_model(), series[0], "ZYX"),
    ):
        alone = nu.predict(image, model, axes=axes, tile=16)
        joined = nu.predict(image, model, axes=axes, tile=16, client=client)
        assert joined.axes == alone.axes
        np.testing.assert_array_equal(joined.scores, alone.scores)


@pytest.mark.slow
def test_a_worker_that_is_gone_for_good(
    bright_model: Callable[..., nu.Model], tmp_path: Path
) -> None:
    model, image = bright_model(), blobs(16, 96, 128)
    alone = nu.segment(image, model, axes="ZYX", tile=48, smoothing=1.0)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, memory_limit=0
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        job = iter_run(image, model, axes="ZYX", tile=48, smoothing=1.0, client=client)
        left = True
        try:
            while True:
                step = next(job)
                if left and step.phase == "segmenting" and step.done >= 2:
                    left = False
                    cluster.scale(1)  # its nanny does not start it again
        except StopIteration as end:
            result = end.value
        assert len(client.nthreads()) == 1
    assert not left
    np.testing.assert_array_equal(result.labels.labels, alone)


def test_cancel_leaves_nothing_behind_and_the_workers_idle(
    bright_model: Callable[..., nu.Model], client: Any, tmp_path: Path
) -> None:
    image = blobs(12, 64, 64)
    job = iter_run(
        image, bright_model(), axes="ZYX", tile=16, client=client, output=tmp_path / "out.zarr"
    )
    with closing(job):
        for step in job:
            if step.phase == "segmenting" and step.done >= 1:
                break
    assert list(tmp_path.iterdir()) == []
    assert not any(client.processing().values())


def test_the_model_is_loaded_once_and_threads_are_limited(
    bright_model: Callable[..., nu.Model], client: Any
) -> None:
    model, image = bright_model(), blobs(6, 40, 40)
    nu.segment(image, model, axes="ZYX", client=client)

    def look(dask_worker: Any, name: str) -> tuple[int, int]:
        import torch

        return id(dask_worker.plugins[name].model), torch.get_num_threads()

    from napari_unet.inference.worker_model import plugin_name

    first = client.run(look, name=plugin_name(model.sha256))
    nu.segment(image, model, axes="ZYX", client=client)
    assert client.run(look, name=plugin_name(model.sha256)) == first
    cores = os.cpu_count() or 1
    assert all(threads * 2 <= max(cores, 2) for _, threads in first.values())


def test_what_is_no_cluster_is_told(
    bright_model: Callable[..., nu.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with pytest.raises(SettingsError, match="client="):
        nu.segment(blobs(40, 40), bright_model(), client=object())
    for address in ("local:0", "somewhere", "tcp://127.0.0.1:1"):
        with pytest.raises(SettingsError), open_client(address):
            pass


def test_a_fault_of_a_block_is_told(
    bright_model: Callable[..., nu.Model],
    client: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    zarr.create_array(
        tmp_path / "in.zarr",
        data=blobs(5, 40, 40),
        chunks=(1, 40, 40),
        dimension_names=["z", "y", "x"],
    )
    broken = tmp_path / "in.zarr" / "c" / "3" / "0" / "0"
    assert broken.is_file()
    real = cluster_run.share_source

    def share(*arguments: Any) -> Any:  # all that is read here has been read
        broken.write_bytes(b"nothing")
        return real(*arguments)

    monkeypatch.setattr(cluster_run, "share_source", share)
    with pytest.raises(FileError, match=r"in\.zarr is damaged"):
        nu.segment(read_image(tmp_path / "in.zarr"), bright_model(), client=client)
