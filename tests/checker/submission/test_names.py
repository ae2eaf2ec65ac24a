"""A table of a submission under the brief's names, whatever the columns are called."""

from pathlib import Path

import pandas as pd
import pytest

from checker.submission.names import OVERRIDES, Names, read_names

OWN = Names(
    entities={"user_id": "customer_id"},
    features={"user_transaction_features:transaction_count_7d": "customer_stats:tx_7d"},
)


@pytest.mark.parametrize(
    ("names", "columns", "expected"),
    [
        (
            Names(),
            [
                "user_id",
                "other__transaction_count_7d",
                "user_transaction_features__transaction_count_7d",
                "label",
            ],
            {"user_id": 0, "transaction_count_7d": 2, "label": 3},
        ),
        (
            OWN,
            ["other__tx_7d", "customer_stats__tx_7d", "customer_id"],
            {"transaction_count_7d": 1, "user_id": 2},
        ),
        (Names(), ["a__own", "b__own"], {"own": 0}),
    ],
    ids=["brief", "own", "unknown"],
)
def test_of_two_views_with_a_feature_of_one_name_the_known_one_counts(
    names: Names, columns: list[str], expected: dict[str, int]
) -> None:
    table = names.canonical(pd.DataFrame([range(len(columns))], columns=columns))
    assert list(table) == list(expected)
    assert table.iloc[0].to_dict() == expected


def test_a_table_without_columns_stays_one() -> None:
    assert Names().canonical(pd.DataFrame(index=range(3))).shape == (3, 0)


def test_own_names_are_read_behind_a_byte_order_mark(tmp_path: Path) -> None:
    """Editors on Windows write one."""
    (tmp_path / OVERRIDES).write_text('[entities]\nuser_id = "customer"\n', "utf-8-sig")
    assert read_names(tmp_path).key("user_id") == "customer"
