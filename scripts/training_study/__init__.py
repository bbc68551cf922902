"""What training reaches, and how fast: the parts of ``scripts/study_training.py``."""
