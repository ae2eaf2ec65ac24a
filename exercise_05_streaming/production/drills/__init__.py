"""Drills: a part of the pipeline is killed under load, and then all must be as a recount says."""
