"""Who takes part in the simulated shop: users, merchants and products, and their habits.

Sizes follow from the number of transactions: one customer per 100 of them, and merchants and
products by its square root (200 and 500 for the default 200,000).
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from math import ceil, sqrt

import numpy as np

from lab.dataset.draws import Floats, Integers, key, normal, uniform

HOURS_A_DAY = 24
PERIODS = 2 * HOURS_A_DAY  # the hours of a weekday, then those of a day of the weekend
FIRST_GENERATION = date(2024, 1, 1).toordinal() - date(1970, 1, 1).toordinal()
GENERATION_DAYS = 240
CHURNING_SHARE = 0.2
RISKY_SHARE = 0.1


@dataclass(frozen=True)
class Population:
    """A fixed number of customers: when one leaves, a new user comes in the same place."""

    seed: int
    transactions: int

    @property
    def customers(self) -> int:
        return ceil(self.transactions / 100)

    @property
    def merchants(self) -> int:
        return ceil(200 * sqrt(self.transactions / 200_000))

    @property
    def products(self) -> int:
        return ceil(500 * sqrt(self.transactions / 200_000))

    @cached_property
    def activity(self) -> Floats:
        """How active each customer is in each period: an array of (PERIODS, customers).

        Heavy-tailed between customers; each has a favourite hour and a taste for weekends.
        """
        keys = key("customer", self.seed, np.arange(self.customers))
        favourite_hour = 19 + 4 * normal(keys, "favourite hour")
        distance = np.abs(np.arange(HOURS_A_DAY)[:, None] - favourite_hour[None, :]) % HOURS_A_DAY
        distance = np.minimum(distance, HOURS_A_DAY - distance)
        weekday = 0.05 + np.exp(-((distance / 4) ** 2) / 2)
        weekend = weekday * np.exp(0.6 * normal(keys, "weekend"))[None, :]
        rate = np.exp(1.4 * normal(keys, "rate"))
        activity: Floats = np.concatenate([weekday, weekend]) * rate[None, :]
        return activity

    @cached_property
    def cumulative_activity(self) -> Floats:
        return np.cumsum(self.activity.ravel())

    @cached_property
    def period_activity(self) -> Floats:
        """The share of each period in the activity of an average hour (mean 1 over a week)."""
        totals = self.activity.sum(axis=1)
        week = 5 * totals[:HOURS_A_DAY].sum() + 2 * totals[HOURS_A_DAY:].sum()
        shares: Floats = totals * (7 * HOURS_A_DAY / week)
        return shares

    def users(self, hours: Integers, chances: Floats) -> Integers:
        """A user for each (hour, chance in [0, 1)), by who is active at that hour."""
        period = periods(hours)
        ends = self.cumulative_activity[self.customers - 1 :: self.customers]
        starts = np.concatenate([[0.0], ends[:-1]])
        target = starts[period] + chances * (ends - starts)[period]
        found = np.searchsorted(self.cumulative_activity, target, side="right")
        customer = np.minimum(found - period * self.customers, self.customers - 1)
        return self._user_of(customer, hours // HOURS_A_DAY)

    def _user_of(self, customer: Integers, days: Integers) -> Integers:
        keys = key("churn", self.seed, customer)
        churns = uniform(keys, "churns") < CHURNING_SHARE
        since = days - FIRST_GENERATION + (GENERATION_DAYS * uniform(keys, "offset")).astype(int)
        generation = np.where(churns, np.maximum(since // GENERATION_DAYS, 0), 0)
        return customer + self.customers * generation

    def usual_amount(self, users: Integers) -> Floats:
        """In dollars."""
        amounts: Floats = 35 * np.exp(0.7 * normal(key("user", self.seed, users), "usual amount"))
        return amounts

    def price_level(self, merchants: Integers) -> Floats:
        levels: Floats = np.exp(0.35 * normal(key("merchant", self.seed, merchants), "price level"))
        return levels

    def refund_share(self, merchants: Integers) -> Floats:
        return 0.005 + 0.06 * uniform(key("merchant", self.seed, merchants), "refunds") ** 2

    def views_per_purchase(self, products: Integers) -> Floats:
        return 1.2 + 3 * uniform(key("product", self.seed, products), "views") ** 2

    @cached_property
    def risky_merchants(self) -> Integers:
        """Where stolen cards are used first."""
        keys = key("merchant", self.seed, np.arange(self.merchants))
        number = ceil(RISKY_SHARE * self.merchants)
        return np.sort(np.argsort(uniform(keys, "risk"))[:number])


def periods(hours: Integers) -> Integers:
    """The period of each hour since 1970 (which began on a Thursday)."""
    weekday = (hours // HOURS_A_DAY + 3) % 7
    period: Integers = np.where(weekday >= 5, HOURS_A_DAY, 0) + hours % HOURS_A_DAY
    return period
