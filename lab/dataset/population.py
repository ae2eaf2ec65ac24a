"""Population of the simulated shop: users, merchants and products, and their habits.

Sizes follow from the number of transactions: one customer per 100 of them, and merchants and
products by its square root (200 and 500 for the default 200,000).
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from math import ceil, sqrt

import numpy as np

from lab.dataset.draws import Flags, Floats, Integers, Keys, key, normal, uniform

HOURS_A_DAY = 24
PERIODS = 2 * HOURS_A_DAY  # the hours of a weekday, then those of a day of the weekend
FIRST_GENERATION = date(2024, 1, 1).toordinal() - date(1970, 1, 1).toordinal()
LEAVES_AFTER_THEFT = 0.85
LEAVES_A_DAY = 1 / 2400
REGULARS_SHARE = 0.01
FRAUD_SHARE = 0.027
BURST_SIZES = (3, 7)
MEAN_BURST = 3.9
WEEKDAY_VOLUME = (0.92, 0.93, 0.96, 1.0, 1.15, 1.18, 0.86)  # from Monday on; their mean is 1
MONTH_END_DAYS = 3
MONTH_END_VOLUME = 1.25
RISKY_SHARE = 0.1
BREACH_DAYS = 4


@dataclass(frozen=True)
class Population:
    """A fixed number of customers: when one leaves, a new user takes the same place.

    transactions: the sizes follow from it. an_hour: the rate of transactions. days: days since
    1970 for which the simulation needs users.
    """

    seed: int
    transactions: int
    an_hour: float
    days: range

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
        """Return the activity of each customer in each period: an array of (PERIODS, customers).

        Heavy-tailed between customers; each has a favourite hour and a taste for weekends.
        """
        keys = key("customer", self.seed, np.arange(self.customers))
        favourite_hour = 19 + 4 * normal(keys, "favourite hour")
        distance = np.abs(np.arange(HOURS_A_DAY)[:, None] - favourite_hour[None, :]) % HOURS_A_DAY
        distance = np.minimum(distance, HOURS_A_DAY - distance)
        weekday = 0.05 + np.exp(-((distance / 4) ** 2) / 2)
        weekend = weekday * np.exp(0.6 * normal(keys, "weekend"))[None, :]
        activity: Floats = np.concatenate([weekday, weekend]) * self.rates**2
        return activity

    @cached_property
    def rates(self) -> Floats:
        """Return the square root of each customer's activity."""
        keys = key("customer", self.seed, np.arange(self.customers))
        rates: Floats = np.exp(0.5 * normal(keys, "rate"))
        return rates

    @cached_property
    def cumulative_activity(self) -> Floats:
        return np.cumsum(self.activity.ravel())

    @cached_property
    def period_activity(self) -> Floats:
        """Return each period's share in the activity of an average hour (mean 1 over a week)."""
        totals = self.activity.sum(axis=1)
        week = 5 * totals[:HOURS_A_DAY].sum() + 2 * totals[HOURS_A_DAY:].sum()
        shares: Floats = totals * (7 * HOURS_A_DAY / week)
        return shares

    def users(self, hours: Integers, chances: Floats) -> Integers:
        """Return a user for each (hour, chance in [0, 1)), weighted by activity at that hour."""
        period = periods(hours)
        ends = self.cumulative_activity[self.customers - 1 :: self.customers]
        starts = np.concatenate([[0.0], ends[:-1]])
        target = starts[period] + chances * (ends - starts)[period]
        found = np.searchsorted(self.cumulative_activity, target, side="right")
        customer = np.minimum(found - period * self.customers, self.customers - 1)
        return self.user_of(customer, hours // HOURS_A_DAY)

    def user_of(self, customer: Integers, day: Integers) -> Integers:
        """Return the user in a customer's place on that day."""
        generation: Integers = self._generations[day - self.days.start, customer]
        return customer + self.customers * generation

    @cached_property
    def _generations(self) -> Integers:
        """Return how many left each customer's place before each of the days: (days, customers).

        The regulars never leave, so that user_0 is there in every history.
        """
        generations = np.zeros((len(self.days), self.customers), dtype=np.int64)
        gone = np.zeros(self.customers, dtype=np.int64)
        for day in range(min(FIRST_GENERATION, self.days.start), self.days.stop):
            if day >= self.days.start:
                generations[day - self.days.start] = gone
            if day >= FIRST_GENERATION:
                gone += self._leaves(day)
        return generations

    def _leaves(self, day: int) -> Flags:
        keys = self._on(day)
        leaves = self.thefts(day) & (uniform(keys, "disappointed") < LEAVES_AFTER_THEFT)
        leaves |= uniform(keys, "leaves") < LEAVES_A_DAY
        leaves[: ceil(REGULARS_SHARE * self.customers)] = False
        return leaves

    def thefts(self, day: int) -> Flags:
        """Draw the customers whose card is stolen that day; the chance grows with their rate."""
        a_day = self.an_hour * HOURS_A_DAY * FRAUD_SHARE / MEAN_BURST
        chances = self.rates * (a_day / self.rates.sum())
        stolen: Flags = uniform(self._on(day), "theft") < chances
        return stolen

    def _on(self, day: int) -> Keys:
        customers = np.arange(self.customers)
        return key("customer", self.seed, customers, np.full(self.customers, day))

    def usual_amount(self, users: Integers) -> Floats:
        """Return the usual amounts in dollars."""
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
        """Return the merchants where stolen cards are used first."""
        keys = key("merchant", self.seed, np.arange(self.merchants))
        number = ceil(RISKY_SHARE * self.merchants)
        return np.sort(np.argsort(uniform(keys, "risk"))[:number])

    def breached_merchant(self, day: Integers, chance: Floats) -> Integers:
        """Return one of the lesser merchants whose card data leak that day, for a few days only."""
        leaks = ceil(self.merchants / 200)
        leak = (leaks * chance).astype(np.int64)
        keys = key("breach", self.seed, day // BREACH_DAYS, leak)
        rank = 0.4 + 0.6 * uniform(keys, "merchant")
        return (self.merchants * rank).astype(np.int64)


def weekdays(days: Integers) -> Integers:
    """Return the weekday, 0 for Monday; 1970 began on a Thursday."""
    numbers: Integers = (days + 3) % 7
    return numbers


def periods(hours: Integers) -> Integers:
    """Return the period of each hour since 1970."""
    is_weekend = weekdays(hours // HOURS_A_DAY) >= 5
    period: Integers = np.where(is_weekend, HOURS_A_DAY, 0) + hours % HOURS_A_DAY
    return period


def day_volume(days: Integers) -> Floats:
    """Return each day's volume relative to the mean day, by weekday and end of month."""
    month, later_month = (
        shifted.astype("datetime64[D]").astype("datetime64[M]")
        for shifted in (days, days + MONTH_END_DAYS)
    )
    mean = 1 + (MONTH_END_VOLUME - 1) * MONTH_END_DAYS * 12 / 365.25
    month_end = np.where(month != later_month, MONTH_END_VOLUME, 1.0)
    volume: Floats = np.array(WEEKDAY_VOLUME)[weekdays(days)] * month_end / mean
    return volume
