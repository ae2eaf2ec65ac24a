"""The project's figures beside a peer's, measured in one run: `make bench`, one module a family."""
