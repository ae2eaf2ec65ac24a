"""Splits by time with an embargo: train on the past, test on the future."""

from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Times = NDArray[np.datetime64]

SPLITS = {"train": 0.70, "val": 0.15, "test": 0.15}
NO_HISTORY = "no history"
EMBARGO = "embargo"


def split_by_time(times: pd.Series, has_history: pd.Series, embargo: timedelta) -> pd.Series:
    """Return the split of each row, or EMBARGO.

    Before each later split lies an embargo, as long as a label takes to mature: on the day that the
    later split begins, the labels of those rows would not have been known to train on. The borders
    divide the rows with history that remain 70/15/15.
    """
    gap = np.timedelta64(embargo)
    train_end, val_end = _borders(times[has_history].sort_values().to_numpy(), gap)
    time = times.to_numpy()
    split = np.select(
        [time < train_end, time < train_end + gap, time < val_end, time < val_end + gap],
        ["train", EMBARGO, "val", EMBARGO],
        "test",
    )
    return pd.Series(split, index=times.index)


def _borders(times: Times, gap: np.timedelta64) -> tuple[np.datetime64, np.datetime64]:
    """Return the ends of training and validation, by bisection: a later end leaves less to test."""
    low, high = 0, len(times) - 1
    while high - low > 1:
        middle = (low + high) // 2
        test_rows = len(times) - np.searchsorted(times, _val_end(times, middle, gap) + gap)
        if test_rows > middle * SPLITS["test"] / SPLITS["train"]:
            low = middle
        else:
            high = middle
    return times[low], _val_end(times, low, gap)


def _val_end(times: Times, train_rows: int, gap: np.timedelta64) -> np.datetime64:
    """Return the end of a validation split in proportion to `train_rows` rows of training."""
    start = np.searchsorted(times, times[train_rows] + gap)
    rows = round(train_rows * SPLITS["val"] / SPLITS["train"])
    end: np.datetime64 = times[min(start + rows, len(times) - 1)]
    return end
