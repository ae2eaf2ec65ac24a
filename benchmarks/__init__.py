"""Figures of the project and its peers, measured in one run: `make bench`, a module a family."""
