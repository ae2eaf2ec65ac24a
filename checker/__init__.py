"""Judges any solution against the 35 success criteria of the exercises."""
