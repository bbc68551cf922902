"""The choice of a model, and what can be done to one."""
