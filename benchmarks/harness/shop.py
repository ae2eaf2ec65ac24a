"""A shop ready for serving: simulated data, all views in Redis, a model of the usual size.

Run it as a module, in an environment whose LAB_… variables name the ports and folders.
"""

import numpy as np
import pandas as pd

from benchmarks.harness.bare_get import KEY
from exercise_01_setup.setup_store import apply_definitions
from exercise_04_serving.app.features import FeatureReader
from exercise_04_serving.app.model import AMOUNT, Metadata, Model, save_model
from exercise_04_serving.production.onnx_model import convert
from exercise_04_serving.train_model import SERVICE, train
from lab import dataset
from lab.dataset.simulate import simulate
from lab.feature_store import connect_redis, open_store, quiet_feast
from lab.settings import settings, utc_now

ROWS = 20_000
VALUE = b"x" * 100


def main() -> None:
    """Make everything that the servers need; only the model's size and inputs are the usual ones.

    It learns noise, which takes as many trees and leaves as fraud does.
    """
    as_of = utc_now().replace(minute=0, second=0, microsecond=0)
    simulate(
        settings.data_dir,
        transactions=settings.transactions,
        seed=settings.seed,
        as_of=as_of,
        history=settings.history,
    )
    with quiet_feast():
        apply_definitions()
        store = open_store()
        store.materialize(dataset.as_of() - settings.history, dataset.as_of())
    transactions = pd.read_parquet(settings.data_dir / "transactions.parquet", columns=["user_id"])
    users = transactions["user_id"].unique()
    connect_redis().mset({KEY.format(user_id=user): VALUE for user in users})
    random = np.random.default_rng(settings.seed)
    reader = FeatureReader(store, SERVICE)
    inputs = [*reader.features, AMOUNT]
    rows = random.gamma(1.0, 30.0, (ROWS, len(inputs))).astype(np.float32)
    table = pd.DataFrame(rows, columns=inputs)
    metadata = Metadata(
        service=SERVICE,
        service_version=reader.version,
        features=tuple(inputs),
        threshold=0.5,
    )
    is_fraud = pd.Series((random.random(ROWS) < 0.1).astype(np.int64))
    save_model(settings.model_dir, Model(train(table, is_fraud), metadata))
    convert(settings.model_dir, rows)


if __name__ == "__main__":
    main()
