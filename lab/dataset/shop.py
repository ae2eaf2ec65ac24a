"""Events of the simulated shop in a range of hours: purchases, fraud, and their outcomes.

Every number is drawn from a hash of (seed, hour, counter), so a range of hours can be made by
itself and always comes out the same.
"""

from dataclasses import dataclass, fields, replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from lab.dataset.draws import Flags, Floats, Integers, Keys, counts, key, normal, poisson, uniform
from lab.dataset.population import BURST_SIZES, FRAUD_SHARE, Population, day_volume, periods
from lab.settings import settings

LARGEST_AMOUNT = 20_000.0

SECOND = 1_000_000  # in microseconds, as all times here
HOUR = 3600 * SECOND
DAY = 24 * HOUR
LONGEST_BURST_HOURS = 1  # of errands and retries, too
LONGEST_VIEW_HOURS = 2  # before the purchase

# Honest payments that look like fraud
ERRAND_SHARE = 0.08  # of payments are followed by others within minutes
MOST_ERRANDS = 3
DECLINED_SHARE = 0.03
RETRY_SHARE = 0.7  # of declined payments are retried
RETRY_DECLINED_SHARE = 0.4
MOST_RETRIES = 3
PAYMENTS_PER_PURCHASE = (1 + ERRAND_SHARE * (1 + MOST_ERRANDS) / 2) * (
    1 + DECLINED_SHARE * RETRY_SHARE / (1 - RETRY_SHARE * RETRY_DECLINED_SHARE)
)

BREACHED_SHARE = 0.4  # of stolen payments are made at a breached merchant
RISKY_MERCHANT_SHARE = 0.2

NO_VIEW_SHARE = 0.2  # of honest purchases; the Poisson counts of others may be 0 as well
NO_VIEW_SHARE_OF_FRAUD = 0.5

NEVER_CHARGED_BACK_SHARE = 0.08  # of approved fraud
LATE_CHARGEBACK_SHARE = 0.05
LATE_CHARGEBACK_DAYS = (30, 60)


KINDS = ("purchase", "errand", "retry", "theft")
PURCHASE, ERRAND, RETRY, THEFT = range(len(KINDS))


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
    kind: Integers  # a place in KINDS

    @property
    def fraud(self) -> Flags:
        is_theft: Flags = self.kind == THEFT
        return is_theft

    def take(self, rows: NDArray[np.intp] | Flags) -> "Purchases":
        return Purchases(*(getattr(self, column.name)[rows] for column in fields(self)))


def joined(*parts: Purchases) -> Purchases:
    """Return the rows of all parts."""
    return Purchases(
        *(
            np.concatenate([getattr(part, column.name) for part in parts])
            for column in fields(Purchases)
        )
    )


def purchases(people: Population, hours: Integers) -> Purchases:
    """Return all transactions that begin in hours, and those that follow in LONGEST_BURST_HOURS."""
    first = first_purchases(people, hours)
    honest = joined(first, errands(people, first))
    both = joined(honest, retries(people, honest), fraud_bursts(people, hours))
    return both.take(np.lexsort((both.key, both.time)))


def first_purchases(people: Population, hours: Integers) -> Purchases:
    """Return honest purchases; errands and retries follow some of them."""
    day = hours // 24
    weather = np.exp(0.05 * normal(key("day", people.seed, day), "weather"))
    an_hour = people.an_hour * (1 - FRAUD_SHARE) / PAYMENTS_PER_PURCHASE
    rates = an_hour * people.period_activity[periods(hours)] * day_volume(day) * weather
    number = counts(rates, key("hour", people.seed, hours), "purchases")
    hour, counter = np.repeat(hours, number), steps(number)
    keys = key("purchase", people.seed, hour, counter)
    user = people.users(hour, uniform(keys, "user"))
    time = hour * HOUR + (uniform(keys, "moment") * HOUR).astype(np.int64)
    return honest_payments(people, keys, user, time, PURCHASE)


def errands(people: Population, first: Purchases) -> Purchases:
    """Return further honest payments of a user on the same errand, at the pace of fraud."""
    more = 1 + (MOST_ERRANDS * uniform(first.key, "errands")).astype(np.int64)
    number = np.where(uniform(first.key, "errand") < ERRAND_SHARE, more, 0)
    before = first.take(np.repeat(np.arange(len(number)), number))
    step = 1 + steps(number)
    keys = key("errand", people.seed, before.key.astype(np.int64), step)
    later = (step + uniform(keys, "step") - uniform(before.key, "step")) * pace(before.key)
    time = before.time + later.astype(np.int64)
    return honest_payments(people, keys, before.user, time, ERRAND)


def honest_payments(
    people: Population, keys: Keys, user: Integers, time: Integers, kind: int
) -> Purchases:
    """Draw merchant, product, amount and approval of one payment for each key."""
    merchant = choose(people, "merchants", people.merchants, user, keys)
    splurge = np.where(uniform(keys, "splurge") < 0.02, 2 + 6 * uniform(keys, "how much"), 1)
    mood = np.exp(0.5 * normal(keys, "amount") - 0.125)
    return Purchases(
        key=keys,
        user=user,
        merchant=merchant,
        product=choose(people, "products", people.products, user, keys),
        time=time,
        amount=cents(people.usual_amount(user) * people.price_level(merchant) * mood * splurge),
        approved=uniform(keys, "approval") >= DECLINED_SHARE,
        kind=np.full(len(keys), kind),
    )


def retries(people: Population, honest: Purchases) -> Purchases:
    """Return declined payments once more: all columns equal but the time and the approval."""
    attempts = [honest]
    for _ in range(MOST_RETRIES):
        last = attempts[-1]
        again = last.take(~last.approved & (uniform(last.key, "retry") < RETRY_SHARE))
        keys = key("retry", people.seed, again.key.astype(np.int64))
        attempts.append(
            replace(
                again,
                key=keys,
                time=again.time + pace(keys).astype(np.int64),
                approved=uniform(keys, "approval") >= RETRY_DECLINED_SHARE,
                kind=np.full(len(keys), RETRY),
            )
        )
    return joined(*attempts[1:])


def pace(keys: Keys) -> Floats:
    """Return the mean time between payments of one burst, honest or not."""
    gaps: Floats = (20 + 160 * uniform(keys, "gap")) * SECOND
    return gaps


def fraud_bursts(people: Population, hours: Integers) -> Purchases:
    """Return payments with stolen cards: several within minutes, mostly far above usual."""
    customer, burst_hour = thefts(people, hours)
    burst = key("burst", people.seed, customer, burst_hour)
    smallest, largest = BURST_SIZES
    spread = largest - smallest + 1
    size = smallest + (spread * uniform(burst, "size") ** 3).astype(np.int64)
    step, hour, of_burst = steps(size), np.repeat(burst_hour, size), np.repeat(burst, size)
    keys = key("stolen", people.seed, of_burst.astype(np.int64), step)
    user = people.user_of(np.repeat(customer, size), hour // 24)
    begin = hour * HOUR + uniform(of_burst, "moment") * HOUR
    greed = np.where(uniform(keys, "greed") < 0.75, 2 + 5 * uniform(keys, "how much"), 1)
    return Purchases(
        key=keys,
        user=user,
        merchant=fraud_merchant(people, user, hour, keys),
        product=choose(people, "products", people.products, user, keys),
        time=(begin + (step + uniform(keys, "step")) * pace(of_burst)).astype(np.int64),
        amount=cents(people.usual_amount(user) * greed * np.exp(0.3 * normal(keys, "amount"))),
        approved=uniform(keys, "approval") >= 0.04 * (1 + step),
        kind=np.full(len(keys), THEFT),
    )


def fraud_merchant(people: Population, user: Integers, hour: Integers, keys: Keys) -> Integers:
    """Choose merchants: most just breached, some of the risky ones, some anywhere."""
    risky = people.risky_merchants
    place = (len(risky) * uniform(keys, "risky")).astype(np.int64)
    where = uniform(keys, "where")
    return np.select(
        [where < BREACHED_SHARE, where < BREACHED_SHARE + RISKY_MERCHANT_SHARE],
        [people.breached_merchant(hour // 24, uniform(keys, "breach")), risky[place]],
        choose(people, "merchants", people.merchants, user, keys),
    )


def thefts(people: Population, hours: Integers) -> tuple[Integers, Integers]:
    """Return the customers whose card is stolen in hours, and the hour in which it is used."""
    days = np.unique(hours // 24)
    stolen = [np.flatnonzero(people.thefts(day)) for day in days]
    customer = np.concatenate(stolen)
    day = np.repeat(days, [len(customers) for customers in stolen])
    chance = uniform(key("hour of theft", people.seed, customer, day), "hour")
    hour = day * 24 + (24 * chance).astype(np.int64)
    rows = (hour >= hours[0]) & (hour <= hours[-1])
    return customer[rows], hour[rows]


def steps(sizes: Integers) -> Integers:
    """Return 0, 1, ... up to each size, one after the other."""
    counted: Integers = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return counted


def choose(people: Population, kind: str, number: int, user: Integers, keys: Keys) -> Integers:
    """Choose one of number items for each key: a user's favourite or any; low ones are popular."""
    place = (6 * uniform(keys, f"favourite {kind}") ** 2).astype(np.int64)
    favourite = uniform(key(f"taste in {kind}", people.seed, user, place), "rank")
    any_of_them = uniform(keys, f"any of the {kind}")
    chance = np.where(uniform(keys, f"loyal to {kind}") < 0.6, favourite, any_of_them)
    return (number * chance**2).astype(np.int64)


def cents(amount: Floats) -> Floats:
    """Round dollars to whole cents, clipped to a plausible range."""
    rounded: Floats = np.round(np.clip(amount, 1.0, LARGEST_AMOUNT) * 100) / 100
    return rounded


@dataclass(frozen=True)
class Views:
    user: Integers
    product: Integers
    time: Integers


def views(people: Population, bought: Purchases) -> Views:
    """Return product views before a purchase; fraudsters have fewer, many honest purchases none."""
    none = np.where(bought.fraud, NO_VIEW_SHARE_OF_FRAUD, NO_VIEW_SHARE)
    has_views = uniform(bought.key, "has views") >= none
    rates = np.where(has_views, people.views_per_purchase(bought.product), 0.0)
    number = poisson(rates, bought.key, "views")
    step = steps(number)
    of = np.repeat(np.arange(len(number)), number)
    keys = key("view", people.seed, bought.key[of].astype(np.int64), step)
    earlier = 5 * SECOND + uniform(keys, "earlier") ** 3 * (LONGEST_VIEW_HOURS * HOUR - 5 * SECOND)
    time = bought.time[of] - earlier.astype(np.int64)
    order = np.lexsort((bought.product[of], bought.user[of], time))
    return Views(bought.user[of][order], bought.product[of][order], time[order])


@dataclass(frozen=True)
class Outcomes:
    """The later outcomes of each purchase: columns of the purchases' length."""

    mature: Integers  # the moment from which a payment without a chargeback counts as honest
    charged_back: Flags
    chargeback_time: Integers
    refunded: Flags
    refund_time: Integers
    refund_amount: Floats


def outcomes(people: Population, bought: Purchases) -> Outcomes:
    """Draw outcomes: most approved fraud is charged back after 1 to 7 days, some later or never."""
    maturity = settings.label_maturity // timedelta(microseconds=1)
    found_after = DAY + uniform(bought.key, "found") * 6 * DAY
    first, last = LATE_CHARGEBACK_DAYS
    late_after = (first + uniform(bought.key, "found late") * (last - first)) * DAY
    late = uniform(bought.key, "late") < LATE_CHARGEBACK_SHARE
    charged_back = uniform(bought.key, "chargeback") >= NEVER_CHARGED_BACK_SHARE
    refunded_after = DAY + uniform(bought.key, "refunded after") * 19 * DAY
    part = np.where(uniform(bought.key, "partial refund") < 0.3, uniform(bought.key, "part"), 1.0)
    wanted_back = uniform(bought.key, "refund") < people.refund_share(bought.merchant)
    return Outcomes(
        mature=bought.time + maturity,
        charged_back=bought.fraud & bought.approved & charged_back,
        chargeback_time=bought.time + np.where(late, late_after, found_after).astype(np.int64),
        refunded=~bought.fraud & bought.approved & wanted_back,
        refund_time=bought.time + refunded_after.astype(np.int64),
        refund_amount=np.minimum(cents(bought.amount * part), bought.amount),
    )


@dataclass(frozen=True)
class Labels:
    """Label of each purchase at one point in time; where `known` is false there is none."""

    known: Flags
    fraud: Flags
    time: Integers


def labels(bought: Purchases, follows: Outcomes, end: int) -> Labels:
    """Return labels: fraud once charged back, honest once mature; declined payments have none.

    A chargeback that comes after the maturity changes an honest label to fraud.
    """
    fraud = follows.charged_back & (follows.chargeback_time < end)
    return Labels(
        known=bought.approved & (fraud | (follows.mature < end)),
        fraud=fraud,
        time=np.where(fraud, follows.chargeback_time, follows.mature),
    )
