"""From an opened image to labels: the plan of a run, tiles, scores, decoding, output."""
