"""Labels that are painted: their layers, marks, counts and snapshots."""
