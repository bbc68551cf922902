"""Segment a volume block by block on a Dask cluster: here, two processes of this machine."""

import tempfile
from pathlib import Path

import numpy as np
import zarr
from dask.distributed import Client, LocalCluster

import napari_unet as nu


def main() -> None:
    """A cluster's processes import this file: what it does stands in a function."""
    folder = Path(tempfile.mkdtemp())
    plane = nu.load_sample("nuclei_2d").image[:96, :128]
    volume = zarr.create_array(
        folder / "volume.zarr",
        data=np.stack([np.roll(plane, z, axis=1) for z in range(4)]),
        chunks=(1, 96, 128),
        dimension_names=["z", "y", "x"],
    )
    # elsewhere: Client("tcp://head:8786"), or dask_jobqueue.SLURMCluster; see docs/cluster.md
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        labels = nu.segment(volume, "nuclei", output=folder / "labels.zarr", client=client)
        results = nu.segment_files(
            [folder / "volume.zarr"], "nuclei", folder / "files", client=client
        )
    print(labels.shape, int(labels[:].max()), "objects, linked through the planes")
    print(results[0].output, results[0].error)
    alone = nu.segment(volume, "nuclei")
    print("as in one process:", np.array_equal(labels[:], alone))


if __name__ == "__main__":
    main()
