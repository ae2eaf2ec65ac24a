"""What the benchmarks share: their data and stores, timing, child processes, the figures' file."""
