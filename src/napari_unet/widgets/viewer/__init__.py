"""The viewer's layers, views, shapes and coordinates as arrays and numbers."""
