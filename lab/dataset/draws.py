"""Random numbers without a state: each is a hash of its key and its purpose.

A draw depends on its key and its purpose only, never on what was drawn before, so that any part of
a simulated history can be made again by itself.
"""

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
LARGEST_POISSON = 40


def scramble(keys: Keys) -> Keys:
    """The finalizer of splitmix64: every bit of the input moves every bit of the output."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def key(purpose: str, seed: int, *parts: Integers) -> Keys:
    """Return one key per row of parts (arrays of one length)."""
    keys = np.full(len(parts[0]), (crc32(purpose.encode()) << 32) ^ seed, dtype=np.uint64)
    for part in parts:
        keys = scramble(keys * GOLDEN + part.astype(np.uint64))
    return keys


def uniform(keys: Keys, purpose: str) -> Floats:
    """Return numbers in [0, 1)."""
    salted = scramble((keys ^ np.uint64(crc32(purpose.encode()))) * GOLDEN)
    draws: Floats = (salted >> np.uint64(11)) * 2.0**-53
    return draws


def normal(keys: Keys, purpose: str) -> Floats:
    """Return numbers of mean 0 and variance 1 (Box and Muller)."""
    radius = np.sqrt(-2 * np.log1p(-uniform(keys, purpose + " radius")))
    draws: Floats = radius * np.cos(2 * np.pi * uniform(keys, purpose + " angle"))
    return draws


def counts(rates: Floats, keys: Keys, purpose: str) -> Integers:
    """Return whole numbers whose expectation is rates."""
    draws: Integers = np.floor(rates + uniform(keys, purpose)).astype(np.int64)
    return draws


def poisson(rates: Floats, keys: Keys, purpose: str) -> Integers:
    """Return Poisson counts of rates up to about 10, by inversion of the distribution function."""
    chance, probability = uniform(keys, purpose), np.exp(-rates)
    cumulative, draws = probability.copy(), np.zeros(len(rates), dtype=np.int64)
    for number in range(1, LARGEST_POISSON + 1):
        above = chance >= cumulative
        if not above.any():
            break
        draws += above
        probability *= rates / number
        cumulative += probability
    return draws
