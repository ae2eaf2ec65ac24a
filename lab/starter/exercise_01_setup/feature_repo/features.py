"""Exercise 1: entities, views and services. `feast apply`, run in this folder, registers them.

Only definitions belong here: Feast imports every script of this folder.
"""

from feast import FileSource


def feature_table(name: str, description: str) -> FileSource:
    """Return the source of a table of snapshots."""
    # TODO 1: data/user_stats.parquet, merchant_stats and product_stats, relative to this folder, or
    #         settings.data_dir of `lab.learn`. Columns: docs/contract.md.
    raise NotImplementedError


# ---- Entities: what a feature describes ------------------------------------------------------

# TODO 2: three entities, with their join keys user_id, merchant_id and product_id. Give each a
#         value_type, and `feast apply` works before the files of the sources are there.

# ---- Stored feature views: one table of snapshots each ---------------------------------------

# TODO 3: five FeatureViews with different features. The brief names three of them:
#         user_transaction_features, merchant_risk_features, product_popularity_features.

# ---- Services: the inputs of a model ---------------------------------------------------------

# TODO 4: two FeatureServices, fraud_detection and recommendation.
