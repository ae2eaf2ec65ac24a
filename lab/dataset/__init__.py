"""The data: raw events (simulated or imported), and the feature tables computed from them."""

from lab.learn import as_of as as_of
