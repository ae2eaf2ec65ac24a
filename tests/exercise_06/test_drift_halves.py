"""Two random halves, by entity, of one frame are the same: at most one split in twenty alarms."""

import numpy as np
import pandas as pd
import pytest

from exercise_06_monitoring.feature_monitoring import measure_drift
from exercise_06_monitoring.report import grade_drift

SPLITS, AT_MOST = 40, 2


def frame(entities: int) -> pd.DataFrame:
    """Return one row an entity: columns of every kind that is hard for a test."""
    random = np.random.default_rng([entities, 7])
    amount = random.lognormal(0, 1.5, entities)
    return pd.DataFrame(
        {
            "unique": [f"id_{n}" for n in range(entities)],
            "many": random.integers(0, entities // 2, entities).astype(str),
            "few_large": random.zipf(1.3, entities).astype(str),
            "amount": amount,
            "zero_inflated": np.where(random.random(entities) < 0.95, 0, amount),
            "count": random.poisson(0.5, entities),
            "nulls": np.where(random.random(entities) < 0.3, np.nan, amount),
        }
    )


def halves(table: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    is_first = np.random.default_rng(seed).permutation(len(table)) < len(table) // 2
    return table[is_first], table[~is_first]


@pytest.mark.parametrize("entities", [40, 200])
def test_two_halves_of_one_frame_have_not_drifted(entities: int) -> None:
    table, alarms = frame(entities), 0
    for seed in range(SPLITS):
        before, after = halves(table, seed)
        rows = [measure_drift(name, before[name], after[name]) for name in table]
        alarms += bool(grade_drift(rows, "last month")["has_drift"].any())
    assert alarms <= AT_MOST
