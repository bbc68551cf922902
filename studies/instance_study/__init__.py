"""Which maps should stand for objects: the parts of ``studies/study_instances.py``."""
