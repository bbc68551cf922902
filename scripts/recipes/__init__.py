"""How each bundled model but ``nuclei`` is made: its images, their split, its network."""
