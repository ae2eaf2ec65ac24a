"""Two random halves, by entity, of one frame are the same: at most one split in twenty alarms."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from exercise_06_monitoring.feature_monitoring import measure_drift
from exercise_06_monitoring.quality import check_values
from exercise_06_monitoring.report import grade_drift

SPLITS, AT_MOST = 40, 2
TEXT = SimpleNamespace(name="unique", dtype="String")
VIEW = SimpleNamespace(name="users")


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


@pytest.mark.parametrize("column", ["unique", "many", "few_large"])
@pytest.mark.parametrize("entities", [20, 400])
def test_unseen_categories_count_beyond_chance_only(column: str, entities: int) -> None:
    table, alarms = frame(entities), 0
    for seed in range(SPLITS):
        earlier, new = (
            half.assign(unique=half[column], entity=half.index) for half in halves(table, seed)
        )
        (check,) = check_values(VIEW, TEXT, new, earlier)
        alarms += check.passed is False
    assert alarms <= AT_MOST


def test_new_categories_of_known_ones_are_found() -> None:
    """One of five payments is in a new currency."""
    earlier = pd.DataFrame({"unique": [*"abcd"] * 100, "entity": range(400)})
    new = pd.DataFrame({"unique": [*"abcdX"] * 20, "entity": range(100)})
    (check,) = check_values(VIEW, TEXT, new, earlier)
    assert check.passed is False
