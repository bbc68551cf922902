"""The napari side: the only package that may import napari, magicgui or qtpy."""
