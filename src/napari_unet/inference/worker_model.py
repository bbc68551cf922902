"""The model in each worker of a Dask cluster, loaded once; imported only where there is one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask
import torch
from distributed import WorkerPlugin, get_worker

from napari_unet.inference.prepared_network import PreparedNetwork, prepare_network
from napari_unet.network.devices import resolve_device
from napari_unet.network.model import Model


class LoadedModel(WorkerPlugin):
    """A worker plugin: the model, loaded once in each worker, whose threads are limited.

    Parameters
    ----------
    sha256 : str
        Of the model.
    data : bytes
        Its file.
    per_host : mapping of str to int
        How many workers there are on each host: they share its cores.
    """

    def __init__(self, sha256: str, data: bytes, per_host: dict[str, int]) -> None:
        self.name = plugin_name(sha256)
        self.idempotent = True
        self._sha256, self._data, self._per_host = sha256, data, per_host
        self.model: Model | None = None
        self.prepared: dict[tuple[str, str], PreparedNetwork] = {}

    def setup(self, worker: Any) -> None:
        """Dask's: called when a worker starts, or the plugin is sent to one that runs."""
        sharing = self._per_host.get(urlsplit(worker.address).hostname or "", 1)
        threads = max(1, int(dask.system.CPU_COUNT) // (sharing * max(1, worker.state.nthreads)))
        torch.set_num_threads(min(threads, torch.get_num_threads()))
        with tempfile.TemporaryDirectory(prefix="napari-unet-") as folder:
            path = Path(folder) / "model.safetensors"
            path.write_bytes(self._data)
            self.model = Model.load(path)

    def teardown(self, worker: Any) -> None:
        """Dask's: called when the worker ends."""
        del worker

    def prepare(self, device: str, precision: str) -> PreparedNetwork:
        """The network on a device, prepared once."""
        key = (device, precision)
        if key not in self.prepared:
            assert self.model is not None
            network = self.model.network
            self.prepared[key] = prepare_network(network, resolve_device(device), precision)
        return self.prepared[key]


def plugin_name(sha256: str) -> str:
    """What the plugin of a model is called."""
    return f"napari-unet-{sha256}"


def loaded_model(sha256: str) -> LoadedModel:
    """The plugin of a model, in a worker."""
    found: Any = get_worker().plugins[plugin_name(sha256)]
    return found  # type: ignore[no-any-return]
