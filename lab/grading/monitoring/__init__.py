"""What exercise 6 is asked about, and what listens to it: planted drift, faults and receivers."""
