"""What a training learns from: examples, their split, their targets, statistics of their labels."""
