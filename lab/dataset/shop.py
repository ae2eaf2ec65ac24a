"""What happens in the simulated shop in a range of hours: purchases, fraud, and what follows.

Every number is drawn from a hash of (seed, hour, counter), so a range of hours can be made by
itself and always comes out the same.
"""

from dataclasses import dataclass, fields
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from lab.dataset.draws import Flags, Floats, Integers, Keys, counts, key, normal, uniform
from lab.dataset.population import BURST_SIZES, FRAUD_SHARE, Population, periods
from lab.settings import settings

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


def purchases(people: Population, hours: Integers) -> Purchases:
    """All transactions that begin in hours (a burst of fraud may end an hour later)."""
    honest, stolen = honest_purchases(people, hours), fraud_bursts(people, hours)
    both = Purchases(
        *(
            np.concatenate([getattr(honest, column.name), getattr(stolen, column.name)])
            for column in fields(Purchases)
        )
    )
    return both.take(np.lexsort((both.key, both.time)))


def honest_purchases(people: Population, hours: Integers) -> Purchases:
    weather = np.exp(0.05 * normal(key("day", people.seed, hours // 24), "weather"))
    rates = people.an_hour * (1 - FRAUD_SHARE) * people.period_activity[periods(hours)] * weather
    number = counts(rates, key("hour", people.seed, hours), "purchases")
    hour, counter = np.repeat(hours, number), steps(number)
    keys = key("purchase", people.seed, hour, counter)
    user = people.users(hour, uniform(keys, "user"))
    merchant = choose(people, "merchants", people.merchants, user, keys)
    splurge = np.where(uniform(keys, "splurge") < 0.02, 2 + 6 * uniform(keys, "how much"), 1)
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


def fraud_bursts(people: Population, hours: Integers) -> Purchases:
    """A stolen card: several transactions within minutes, mostly far above its owner's amounts."""
    customer, burst_hour = thefts(people, hours)
    burst = key("burst", people.seed, customer, burst_hour)
    smallest, largest = BURST_SIZES
    spread = largest - smallest + 1
    size = smallest + (spread * uniform(burst, "size") ** 3).astype(np.int64)
    step, hour, of_burst = steps(size), np.repeat(burst_hour, size), np.repeat(burst, size)
    keys = key("stolen", people.seed, of_burst.astype(np.int64), step)
    user = people.user_of(np.repeat(customer, size), hour // 24)
    gap = (20 + 160 * uniform(of_burst, "gap")) * SECOND
    begin = hour * HOUR + uniform(of_burst, "moment") * HOUR
    greed = np.where(uniform(keys, "greed") < 0.75, 2 + 5 * uniform(keys, "how much"), 1)
    return Purchases(
        key=keys,
        user=user,
        merchant=fraud_merchant(people, user, hour, keys),
        product=choose(people, "products", people.products, user, keys),
        time=(begin + (step + uniform(keys, "step")) * gap).astype(np.int64),
        amount=cents(people.usual_amount(user) * greed * np.exp(0.3 * normal(keys, "amount"))),
        approved=uniform(keys, "approval") >= 0.04 * (1 + step),
        fraud=np.ones(len(keys), dtype=bool),
    )


def fraud_merchant(people: Population, user: Integers, hour: Integers, keys: Keys) -> Integers:
    """Most at a merchant breached just now, some at the risky ones, some anywhere."""
    risky = people.risky_merchants
    place = (len(risky) * uniform(keys, "risky")).astype(np.int64)
    where = uniform(keys, "where")
    return np.select(
        [where < 0.6, where < 0.8],
        [people.breached_merchant(hour // 24, uniform(keys, "breach")), risky[place]],
        choose(people, "merchants", people.merchants, user, keys),
    )


def thefts(people: Population, hours: Integers) -> tuple[Integers, Integers]:
    """The customers whose card is stolen in hours, and the hour in which it is used."""
    days = np.unique(hours // 24)
    stolen = [np.flatnonzero(people.thefts(day)) for day in days]
    customer = np.concatenate(stolen)
    day = np.repeat(days, [len(customers) for customers in stolen])
    chance = uniform(key("hour of theft", people.seed, customer, day), "hour")
    hour = day * 24 + (24 * chance).astype(np.int64)
    rows = (hour >= hours[0]) & (hour <= hours[-1])
    return customer[rows], hour[rows]


def steps(sizes: Integers) -> Integers:
    """0, 1, ... up to each size, one after the other."""
    counted: Integers = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return counted


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
    step = steps(number)
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
