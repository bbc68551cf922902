"""What training reaches, and how fast: the parts of ``studies/study_training.py``."""
