"""Payments whose prices begin to grow 30 days after the last training row."""

import numpy as np
import pandas as pd

SIGMAS = (0.8, 1.0, 1.5)


def served_until(day: float, sigma: float, seed: int, window: int = 0) -> pd.DataFrame:
    """Return 60 days of training and the 28 days until `day`; prices grow by 20 % a month

    They grow from day 0 on. Values of a window are means of the prices of so many days.
    """
    random = np.random.default_rng(seed)
    level = random.normal(0, sigma / 2, 1_000)
    ages = [random.uniform(-90, -30, 12_000), random.uniform(day - 28, day, 6_000)]
    sides = []
    for age, first_week in zip(ages, (4, 0), strict=True):
        user = random.integers(0, 1_000, len(age))
        noise = random.normal(0, sigma * np.sqrt(0.75), len(age))
        days = age[:, None] - np.arange(window + 1)
        growth = (1.2 ** (days.clip(min=0) / 30)).mean(axis=1)
        value = np.exp(3 + level[user] + noise) * growth
        week = first_week + (age.max() - age) // 7
        sides.append(pd.DataFrame({"entity": user, "week": week, "value": value}))
    return pd.concat(sides, ignore_index=True)
