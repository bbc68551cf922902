"""Set the dock Segment from a script, run it, wait for it, and copy it as code."""

import napari

import napari_unet as nu

viewer = napari.Viewer()
viewer.add_image(nu.load_sample("nuclei_2d").image[:200, :240], name="nuclei")
_, dock = viewer.window.add_plugin_dock_widget("napari-unet-torch", "Segment")

dock.image = "nuclei"  # a layer or its name; a list of one per channel
dock.model = "nuclei"
dock.settings = {"threshold": 0.6}  # or a nu.SegmentSettings
dock.run()  # the window stays alive meanwhile
labels = dock.wait()
print(labels.name, labels.data.max(), "objects")
print(dock.as_python())  # the same as a script
print(dock.as_command())  # the same for a terminal

if __name__ == "__main__":
    napari.run()
