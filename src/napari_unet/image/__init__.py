"""An opened image: its axes and channels, intensity normalization, region of interest, overlay."""
