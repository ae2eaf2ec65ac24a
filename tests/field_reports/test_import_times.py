"""Times in the form of somebody's export, imported as the right moment in UTC."""

from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lab.dataset.importer import import_table
from lab.dataset.mapping import ImportOptions

# (name, input, right value, source)
CASES = [
    (
        "offset_to_the_day_before",
        "2008-01-10T22:00:00-05:00",
        "2008-01-11T03:00:00+00:00",
        "created_at of an order in Shopify's REST API: ISO 8601 with the shop's offset",
    ),
]


@pytest.mark.parametrize(
    ("given", "right"), [case[1:3] for case in CASES], ids=[case[0] for case in CASES]
)
def test_import_times(given: str, right: str, tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_text(f"user_id,merchant_id,amount,event_timestamp\nann,shop,9.50,{given}\n")
    import_table(tmp_path / "data", file, ImportOptions())
    table = pq.read_table(tmp_path / "data" / "transactions.parquet")
    assert table["event_timestamp"].to_pylist() == [datetime.fromisoformat(right)]
