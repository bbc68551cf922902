"""Kinds of files and layers that people have, built small, and what the product makes of each."""
