"""Workers of a Dask cluster: how they are reached, given the model, and waited for."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from napari_unet.errors import SettingsError, UNetError
from napari_unet.network.model import Model

POLL_S = 0.5  # between two looks at what is done, so that Cancel is heard
CONNECT_S = 20
LEAVE_S = 30.0  # granted to workers for the block in hand when a run is cancelled
LOCAL = re.compile(r"local(?::([1-9]\d*))?")
RETRIES = 3  # of a block whose worker was lost or failed


@contextmanager
def open_client(address: str) -> Iterator[Any]:
    """A client of a cluster, closed again at the end.

    Parameters
    ----------
    address : str
        ``local`` or ``local:N``: N processes of this machine, by default one for each two cores;
        or that of a scheduler, such as ``tcp://head:8786``.

    Raises
    ------
    SettingsError
        If it is no address, nothing answers there, or Dask's scheduler is not installed.
    """
    distributed = _distributed()
    local = LOCAL.fullmatch(address)
    if local is not None:
        import dask

        cores = int(dask.system.CPU_COUNT)
        count = int(local[1] or max(1, cores // 2))
        with (
            distributed.LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                memory_limit=0,
                silence_logs=logging.ERROR,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client
        return
    if not urlsplit(address).hostname:
        raise SettingsError(
            f"⟨cluster⟩ {address!r} is no cluster",
            "give local, local:4, or the address of a scheduler such as tcp://head:8786",
            parameter="cluster",
            value=address,
        )
    try:
        client = distributed.Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"No scheduler answers at {address} ({type(error).__name__})",
            "check the address, and that the cluster is running",
            parameter="cluster",
            value=address,
        ) from None
    with client:
        yield client


def check_client(client: Any) -> None:
    """Raise `SettingsError` where a client is none of Dask's, or has no workers."""
    if not isinstance(client, _distributed().Client):
        raise SettingsError(
            f"⟨client=⟩ is a {type(client).__name__}",
            "give a dask.distributed.Client, or leave it out to run here",
            parameter="client",
            value=client,
        )
    if client.asynchronous:
        raise SettingsError(
            "⟨client=⟩ is asynchronous",
            "make it with Client(..., asynchronous=False)",
            parameter="client",
            value=client,
        )


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise SettingsError(
            "Dask's scheduler is not installed",
            'install it with: pip install "napari-unet-torch[cluster]"',
            parameter="client",
        ) from None
    return distributed


def send_model(client: Any, model: Model) -> None:
    """Have each worker load a model, also those that come later."""
    from napari_unet.inference.worker_model import LoadedModel

    info = client.scheduler_info(n_workers=-1)["workers"]
    hosts = Counter(str(worker["host"]) for worker in info.values())
    path = model.path
    data = path.read_bytes() if path is not None and path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != model.sha256:
        data = model.to_bytes()

    client.register_plugin(LoadedModel(model.sha256, data, dict(hosts)))


def count_threads(client: Any, known: int) -> int:
    """Threads of torch in each worker, on which sums depend; ``known`` where they do not agree."""
    try:
        found = set(client.run(_torch_threads).values())
    except Exception:  # noqa: BLE001 - a worker that has gone meanwhile
        return known
    return int(found.pop()) if len(found) == 1 else known


def _torch_threads() -> int:
    import torch

    return torch.get_num_threads()


def count_workers(client: Any) -> int:
    """How many blocks are run at a time."""
    return max(1, int(sum(client.nthreads().values())))


def iter_completed(client: Any, futures: Iterable[Any]) -> Generator[Any, None, None]:
    """Futures as they complete, in whatever order; None where nothing has, for a while.

    When it is closed, or a block fails, what is left is cancelled, and workers have some time to
    end the block in hand, so that they do not write any more.
    """
    from distributed import wait

    pending = set(futures)
    try:
        while pending:
            try:
                done, pending = wait(  # type: ignore[no-untyped-call]
                    pending, timeout=POLL_S, return_when="FIRST_COMPLETED"
                )
            except TimeoutError:
                yield None
                continue
            yield from done
    finally:
        if pending:
            client.cancel(list(pending), force=True)
            _wait_for_workers(client)


def _wait_for_workers(client: Any) -> None:
    import time

    until = time.monotonic() + LEAVE_S
    with suppress(Exception):  # a cluster that is gone writes nothing
        while time.monotonic() < until:
            busy = client.run(_count_executing)
            if not any(busy.values()):
                return
            time.sleep(0.1)


def _count_executing(dask_worker: Any) -> int:
    return len(dask_worker.state.executing)


def explain_loss(error: Exception) -> Exception:
    """An error of a block as one to be told; a block that no worker survives says so."""
    if type(error).__name__ == "KilledWorker":
        return UNetError(
            "A block ended every worker that had it, most likely for want of memory",
            "give the workers more memory, or make the tiles smaller with ⟨tile=128⟩",
            parameter="tile",
            code="out-of-memory",
        )
    return error
