"""What streaming features are worth, what late values cost, and leaks; `make payoff`."""
