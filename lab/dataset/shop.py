"""What happens in the simulated shop in a range of hours: purchases, fraud, and what follows.

Every number is drawn from a hash of (seed, hour, counter), so a range of hours can be made by
itself and always comes out the same.
"""

from dataclasses import dataclass, fields
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from lab.dataset.draws import Flags, Floats, Integers, Keys, counts, key, normal, uniform
from lab.dataset.population import Population, periods
from lab.settings import settings

FRAUD_SHARE = 0.015
BURST_SIZES = (3, 8)
MEAN_BURST = 4.5
LARGEST_AMOUNT = 20_000.0

SECOND = 1_000_000  # in microseconds, as all times here
HOUR = 3600 * SECOND
DAY = 24 * HOUR
LONGEST_BURST_HOURS = 1
LONGEST_VIEW_HOURS = 2  # before the purchase


@dataclass(frozen=True)
class Purchases:
    """Transactions as columns of one length; ids are numbers, times microseconds since 1970."""

    key: Keys
    user: Integers
    merchant: Integers
    product: Integers
    time: Integers
    amount: Floats
    approved: Flags
    fraud: Flags

    def take(self, rows: NDArray[np.intp] | Flags) -> "Purchases":
        return Purchases(*(getattr(self, column.name)[rows] for column in fields(self)))


def purchases(people: Population, hours: Integers, an_hour: float) -> Purchases:
    """All transactions that begin in hours (a burst of fraud may end an hour later)."""
    honest = honest_purchases(people, hours, an_hour * (1 - FRAUD_SHARE))
    stolen = fraud_bursts(people, hours, an_hour * FRAUD_SHARE / MEAN_BURST)
    both = Purchases(
        *(
            np.concatenate([getattr(honest, column.name), getattr(stolen, column.name)])
            for column in fields(Purchases)
        )
    )
    return both.take(np.lexsort((both.key, both.time)))


def arrivals(
    people: Population, purpose: str, hours: Integers, an_hour: float
) -> tuple[Integers, Keys]:
    """How many begin in each hour: for each its hour, and its key."""
    weather = np.exp(0.05 * normal(key("day", people.seed, hours // 24), "weather"))
    rates = an_hour * people.period_activity[periods(hours)] * weather
    number = counts(rates, key(purpose, people.seed, hours), "count")
    counter = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    hour = np.repeat(hours, number)
    return hour, key(purpose, people.seed, hour, counter)


def honest_purchases(people: Population, hours: Integers, an_hour: float) -> Purchases:
    hour, keys = arrivals(people, "purchase", hours, an_hour)
    user = people.users(hour, uniform(keys, "user"))
    merchant = choose(people, "merchants", people.merchants, user, keys)
    splurge = np.where(uniform(keys, "splurge") < 0.015, 2 + 6 * uniform(keys, "how much"), 1)
    mood = np.exp(0.5 * normal(keys, "amount") - 0.125)
    return Purchases(
        key=keys,
        user=user,
        merchant=merchant,
        product=choose(people, "products", people.products, user, keys),
        time=hour * HOUR + (uniform(keys, "moment") * HOUR).astype(np.int64),
        amount=cents(people.usual_amount(user) * people.price_level(merchant) * mood * splurge),
        approved=uniform(keys, "approval") >= 0.03,
        fraud=np.zeros(len(keys), dtype=bool),
    )


def fraud_bursts(people: Population, hours: Integers, an_hour: float) -> Purchases:
    """A stolen card: several transactions within minutes, mostly far above its owner's amounts."""
    burst_hour, burst = arrivals(people, "burst", hours, an_hour)
    smallest, largest = BURST_SIZES
    spread = largest - smallest + 1
    size = smallest + (spread * uniform(burst, "size") ** 3).astype(np.int64)
    step = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    hour, of_burst = np.repeat(burst_hour, size), np.repeat(burst, size)
    keys = key("stolen", people.seed, of_burst.astype(np.int64), step)
    user = people.users(hour, uniform(of_burst, "user"))
    gap = (20 + 160 * uniform(of_burst, "gap")) * SECOND
    begin = hour * HOUR + uniform(of_burst, "moment") * HOUR
    risky = people.risky_merchants[
        (len(people.risky_merchants) * uniform(keys, "risky")).astype(np.int64)
    ]
    anywhere = choose(people, "merchants", people.merchants, user, keys)
    greed = np.where(uniform(keys, "greed") < 0.8, 3 + 7 * uniform(keys, "how much"), 1)
    return Purchases(
        key=keys,
        user=user,
        merchant=np.where(uniform(keys, "where") < 0.7, risky, anywhere),
        product=choose(people, "products", people.products, user, keys),
        time=(begin + (step + uniform(keys, "step")) * gap).astype(np.int64),
        amount=cents(people.usual_amount(user) * greed * np.exp(0.3 * normal(keys, "amount"))),
        approved=uniform(keys, "approval") >= 0.04 * (1 + step),
        fraud=np.ones(len(keys), dtype=bool),
    )


def choose(people: Population, kind: str, number: int, user: Integers, keys: Keys) -> Integers:
    """One of number things for each key: a favourite of the user's or any; low ones are popular."""
    place = (6 * uniform(keys, f"favourite {kind}") ** 2).astype(np.int64)
    favourite = uniform(key(f"taste in {kind}", people.seed, user, place), "rank")
    any_of_them = uniform(keys, f"any of the {kind}")
    chance = np.where(uniform(keys, f"loyal to {kind}") < 0.6, favourite, any_of_them)
    return (number * chance**2).astype(np.int64)


def cents(amount: Floats) -> Floats:
    """Dollars, rounded to whole cents and kept within reason."""
    rounded: Floats = np.round(np.clip(amount, 1.0, LARGEST_AMOUNT) * 100) / 100
    return rounded


@dataclass(frozen=True)
class Views:
    user: Integers
    product: Integers
    time: Integers


def views(people: Population, bought: Purchases) -> Views:
    """What users looked at before they bought it; a thief looks at nothing."""
    rates = np.where(bought.fraud, 0.0, people.views_per_purchase(bought.product))
    number = counts(rates, bought.key, "views")
    step = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    of = np.repeat(np.arange(len(number)), number)
    keys = key("view", people.seed, bought.key[of].astype(np.int64), step)
    earlier = 5 * SECOND + uniform(keys, "earlier") ** 3 * (LONGEST_VIEW_HOURS * HOUR - 5 * SECOND)
    time = bought.time[of] - earlier.astype(np.int64)
    order = np.lexsort((bought.product[of], bought.user[of], time))
    return Views(bought.user[of][order], bought.product[of][order], time[order])


@dataclass(frozen=True)
class Outcomes:
    """What becomes known later of each purchase: columns of the purchases' length."""

    label_time: Integers
    charged_back: Flags  # at label_time
    refunded: Flags
    refund_time: Integers
    refund_amount: Floats


def outcomes(people: Population, bought: Purchases) -> Outcomes:
    """Fraud is found after 1 to 7 days, mostly by a chargeback; honest labels mature."""
    maturity = settings.label_maturity // timedelta(microseconds=1)
    found_after = DAY + uniform(bought.key, "found") * 6 * DAY
    refunded_after = DAY + uniform(bought.key, "refunded after") * 19 * DAY
    part = np.where(uniform(bought.key, "partial refund") < 0.3, uniform(bought.key, "part"), 1.0)
    wanted_back = uniform(bought.key, "refund") < people.refund_share(bought.merchant)
    return Outcomes(
        label_time=bought.time + np.where(bought.fraud, found_after, maturity).astype(np.int64),
        charged_back=bought.fraud & bought.approved & (uniform(bought.key, "chargeback") < 0.95),
        refunded=~bought.fraud & bought.approved & wanted_back,
        refund_time=bought.time + refunded_after.astype(np.int64),
        refund_amount=np.minimum(cents(bought.amount * part), bought.amount),
    )
