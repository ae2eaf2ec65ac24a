"""The tooling of the feature-store exercises: settings, stack, dataset, command line."""
