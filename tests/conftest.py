"""Settings for all tests."""

from hypothesis import settings

# No deadline per example: the first one pays for imports, and machines differ in speed.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
