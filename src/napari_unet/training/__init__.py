"""Training: the loop and its steps, losses, augmentation, calibration, verdict."""
