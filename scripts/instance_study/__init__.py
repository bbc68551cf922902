"""Which maps should stand for objects: the parts of ``scripts/study_instances.py``."""
