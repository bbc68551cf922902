"""Painted labels and trainings that a crash left, offered again."""
