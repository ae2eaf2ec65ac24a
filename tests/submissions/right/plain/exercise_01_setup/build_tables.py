"""Two tables of our own, by day, from the raw transactions."""

import pandas as pd

raw = pd.read_parquet("data/transactions.parquet")
raw["event_timestamp"] = raw["event_timestamp"].astype("datetime64[us, UTC]")
raw["day"] = raw["event_timestamp"].dt.ceil("D")
raw["hour"] = raw["event_timestamp"].dt.hour.astype("float64")


def daily(key, value, name):
    table = raw.groupby([key, "day"])[value].mean().reset_index()
    table.columns = [key, "event_timestamp", name]
    table["created_timestamp"] = table["event_timestamp"]
    return table


hours = daily("user_id", "hour", "usual_hour").rename(columns={"user_id": "customer_id"})
hours.to_parquet("data/customer_hours.parquet", index=False)
prices = daily("product_id", "amount", "usual_price").rename(columns={"product_id": "product"})
prices.to_parquet("data/product_prices.parquet", index=False)
