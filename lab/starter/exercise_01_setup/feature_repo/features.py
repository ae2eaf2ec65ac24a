"""Exercise 1: what the feature store holds. `feast apply`, run in this folder, registers it.

Only definitions belong here: Feast imports every script of this folder.
"""

# TODO 1: three entities, with their join keys user_id, merchant_id and product_id. Give each a
#         value_type, and `feast apply` works before the files of the sources are there.

# TODO 2: a FileSource for each table, its path relative to this folder: data/user_stats.parquet,
#         data/merchant_stats.parquet, data/product_stats.parquet. Columns: docs/contract.md.

# TODO 3: five FeatureViews with different features. The brief names three of them:
#         user_transaction_features, merchant_risk_features, product_popularity_features.

# TODO 4: two FeatureServices, fraud_detection and recommendation.
