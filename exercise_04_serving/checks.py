"""The six criteria of exercise 4: what the API answers, how soon, and from where."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from checker.api import (
    BATCH,
    COLD_SHARE,
    NEW,
    NEW_ENTITIES,
    PAIR,
    PREDICT,
    PROBABILITY,
    STATS_TOLERANCE,
    Answer,
    Body,
    Outcome,
    Server,
    Submission,
    SubmissionError,
    add_new_entities,
    answered,
    ask_in_turn,
    at_once,
    at_rate,
    bare_server,
    best_of_rounds,
    bodies,
    bodies_of,
    criterion,
    differences,
    equal_rows,
    expected_features,
    hot_payments,
    is_prediction,
    payments,
    payments_of_unasked,
    place_feature_tables,
    provide_model,
    right_rows,
    running_server,
    seconds_until,
    skewed_payments,
    start_command,
    stub_model,
    watched,
    wrong_values,
)

BATCH_SIZE = 100


@criterion("4.1")
def api_serves_predictions(submission: Submission) -> Outcome:
    """POST /predict answers with the pair's features, stored and computed, and a probability."""
    start_command(submission)
    _materialize(submission)
    provide_model(submission)
    server, hidden = running_server(submission), submission.hidden
    count = submission.config.serving_pairs
    asked = pd.concat(
        [payments(hidden, count, 1), payments(hidden, NEW_ENTITIES, 2, only=NEW)],
        ignore_index=True,
    )
    predictions = ask_in_turn(server, bodies(asked))
    got = answered(submission, predictions)
    right = right_rows(submission, asked, got)
    usable = [is_prediction(found) for found in predictions]
    values = got[PROBABILITY].nunique()
    return Outcome(
        bool(right.all()) and all(usable) and values > 1,
        f"{int(right.sum())} of {len(asked)} with the right features, {sum(usable)} with a verdict "
        f"and a probability, {values} different ones",
        "all, all, and more than one",
        hint="features hold the stored values and those of the request, by the brief's names",
        examples=wrong_values(submission, asked, got),
        notes=[_unknown_user(server)],
    )


def _materialize(submission: Submission) -> None:
    """Fill Redis afresh by exercise 3: other criteria left in it what they needed."""
    add_new_entities(submission.hidden, sum(_cold_sizes(submission)))
    place_feature_tables(submission)
    submission.sandbox.redis.client().flushall()
    submission.call(3, "materialize.py", "initial_materialization", days_back=7)


def _cold_sizes(submission: Submission) -> list[int]:
    """The number of payments of new users and merchants in 4.3, and in each round of 4.2."""
    config = submission.config
    rounds = [config.serving_rate * config.serving_load_s] * config.timed_rounds
    return [round(COLD_SHARE * requests) for requests in (config.serving_pairs, *rounds)]


def _unknown_user(server: Server) -> str:
    body = {"user_id": "nobody", "merchant_id": "nowhere", "transaction_amount": 10.0}
    return f"a user and a merchant without features: {server.post(PREDICT, body)}"


@criterion("4.2")
def predictions_are_fast(submission: Submission) -> Outcome:
    """At a steady 100 requests a second, a stub for the model, the client's p95 is under 15 ms."""
    config, hidden = submission.config, submission.hidden
    count = round(config.serving_rate * config.serving_load_s)
    _, *rounds = payments_of_unasked(hidden, 3, _cold_sizes(submission))
    loads = [bodies(skewed_payments(hidden, count, 10 + n, cold)) for n, cold in enumerate(rounds)]

    def load(url: str, sent: Sequence[Body]) -> tuple[float, int]:
        answers = at_rate(url + PREDICT, sent, config.serving_rate, config.serving_patience_s)
        p95 = float(np.percentile([answer.seconds for answer in answers], 95) * 1000)
        return p95, sum(answer.is_object for answer in answers)

    with stub_model(submission) as inference, bare_server() as bare:
        server = running_server(submission)
        ask_in_turn(server, bodies(hot_payments(hidden)))

        def measure() -> Outcome:
            p95_ms, right = load(server.url, loads.pop())
            return Outcome(
                right == count and p95_ms < config.serving_p95_ms,
                f"p95 {p95_ms:.1f} ms ({inference}), {right} of {count} answered",
                f"p95 under {config.serving_p95_ms:g} ms at {config.serving_rate} requests/s, all",
                hint="one store for all requests, an event loop that nothing blocks, a model that "
                "a stub can replace: docs/errata.md#async-that-blocks, docs/contract.md#stub-model",
                figures={"p95, ms": p95_ms},
            )

        few = loads[0][: config.serving_rate]
        return best_of_rounds(measure, lambda: load(bare, few)[0], config.serving_p95_ms, config)


@criterion("4.3")
def cache_is_hit(submission: Submission) -> Outcome:
    """Once warm, most requests are answered without reading stored features, and /stats agrees."""
    server, hidden = running_server(submission), submission.hidden
    hot, pairs = hot_payments(hidden), submission.config.serving_pairs
    ask_in_turn(server, bodies(hot))
    _, warm = watched(submission, server, hot)
    cold, *_ = payments_of_unasked(hidden, 6, _cold_sizes(submission))
    asked = skewed_payments(hidden, pairs, 4, cold)
    predictions, mixed = watched(submission, server, asked)
    got = answered(submission, predictions)
    right = right_rows(submission, asked, got)
    least = submission.config.serving_hit_rate
    return Outcome(
        mixed.by_request > least and warm.is_told and mixed.is_told and bool(right.all()),
        f"{mixed.by_request:.0%} of {len(asked)} requests read no stored features, "
        f"{mixed.by_entity:.0%} of entities; /stats says {mixed.claimed:.0%}, and "
        f"{warm.claimed:.0%} (true {warm.by_request:.0%}) of warm ones; "
        f"{int(right.sum())} answers right",
        f"more than {least:.0%} of requests; /stats within {STATS_TOLERANCE:.0%} points, twice; "
        "all right",
        hint="keep stored features by pair or by entity, without the amount; count hits and "
        "misses where they happen: docs/errata.md#the-hit-rate",
        examples=wrong_values(submission, asked, got),
        figures={"hit rate, %": 100 * mixed.by_request},
    )


@criterion("4.4")
def batches_equal_singles(submission: Submission) -> Outcome:
    """A batch of 100 answers what 100 single requests do, in their order; 101 are too many."""
    server = running_server(submission)
    asked = skewed_payments(submission.hidden, BATCH_SIZE, 5)
    requests = bodies(asked)
    singles = answered(submission, ask_in_turn(server, requests))
    batch = server.post(BATCH, {"transactions": requests})
    found = batch.body.get("predictions") if batch.is_object else None
    if not isinstance(found, list):
        raise SubmissionError(f"POST {BATCH} gives no list of predictions: {batch}")
    got = answered(submission, [*found, *[None] * BATCH_SIZE][:BATCH_SIZE])
    columns = [*PAIR, PROBABILITY, *expected_features(submission.hidden)]
    same = equal_rows(singles, got, columns) & singles[PROBABILITY].notna()
    too_many = server.post(BATCH, {"transactions": [*requests, requests[0]]})
    return Outcome(
        bool(same.all()) and len(found) == BATCH_SIZE and 400 <= too_many.status < 500,
        f"{int(same.sum())} of {BATCH_SIZE} equal their single request, {len(found)} in all; "
        f"101 give status {too_many.status}",
        f"{BATCH_SIZE} of {BATCH_SIZE}, in order; a 4xx",
        examples=differences(singles, got, columns, of=asked[[*PAIR, "transaction_amount"]]),
    )


@criterion("4.5")
def health_tells_the_truth(submission: Submission) -> Outcome:
    """/health is unhealthy soon after Redis stops, and healthy again soon after it is back."""
    server, config = running_server(submission), submission.config
    redis = submission.sandbox.redis
    at_first = seconds_until(server, config.serving_up_s, healthy=True)
    redis.stop()
    try:
        down = seconds_until(server, config.serving_down_s, healthy=False)
    finally:
        redis.start()
    up = seconds_until(server, config.serving_up_s, healthy=True)
    body = bodies(payments(submission.hidden, 1, 6))[0]
    return Outcome(
        None not in (at_first, down, up),
        f"{'unhealthy' if at_first is None else 'healthy'} at first; unhealthy {_after(down)} "
        f"Redis stopped; healthy {_after(up)} it was back",
        f"healthy; within {config.serving_down_s:g} s; within {config.serving_up_s:g} s",
        hint="ask Redis at every /health, with a short time-out",
        notes=[f"a prediction afterwards: status {server.post(PREDICT, body).status}"],
    )


def _after(seconds: float | None) -> str:
    return "not in time after" if seconds is None else f"{seconds:.1f} s after"


@criterion("4.6")
def many_connections_are_served(submission: Submission) -> Outcome:
    """A thousand requests on as many connections are all answered, each with its own values."""
    server, config = running_server(submission), submission.config
    count, limit_s = config.serving_connections, config.serving_connections_s
    asked = payments(submission.hidden, count, 7)
    requests = bodies(asked)

    def measure() -> Outcome:
        answers = at_once(server.url + PREDICT, requests, limit_s)
        got = answered(submission, bodies_of(answers))
        right = right_rows(submission, asked, got)
        failed = next((str(answer) for answer in answers if not answer.is_object), "")
        return Outcome(
            bool(right.all()),
            f"{int(right.sum())} of {len(asked)} right, the last after {_last(answers):.1f} s",
            f"all of {len(asked)} at once, within {limit_s:g} s",
            f"one of the others: {failed}" if failed else "",
            "a pool that waits rather than refuses, and no state shared between requests",
            examples=[] if failed else wrong_values(submission, asked, got),
            figures={"the last answer, s": _last(answers)},
        )

    with bare_server() as bare:

        def probe() -> float:
            return _last(at_once(bare, requests, limit_s))

        return best_of_rounds(measure, probe, limit_s, config)


def _last(answers: Sequence[Answer]) -> float:
    return max(answer.seconds for answer in answers)
