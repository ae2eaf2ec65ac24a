"""Studies: the value of streaming features, the cost of late values, and leaks; `make payoff`."""
