"""Edits of labels by hand (merge, split, draw ...), each with the pixels before and after it."""
