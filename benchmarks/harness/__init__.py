"""Shared parts of the benchmarks: data and stores, timing, child processes, the figures' file."""
