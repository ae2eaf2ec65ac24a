"""The six criteria of exercise 4: what the API answers, how soon, and from where."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from checker.api import (
    BATCH,
    COLD_SHARE,
    LIVE,
    NEW,
    NEW_ENTITIES,
    PAIR,
    PREDICT,
    PROBABILITY,
    STATS_TOLERANCE,
    VERDICT,
    Answer,
    Body,
    Outcome,
    Submission,
    SubmissionError,
    accepted_batches,
    accepted_mistakes,
    add_new_entities,
    answered,
    at_once,
    at_rate,
    bare_server,
    bodies,
    bodies_of,
    criterion,
    crossed_payments,
    differences,
    equal_rows,
    expected_features,
    hot_payments,
    is_prediction,
    lasting_keys,
    payments,
    payments_of_unasked,
    place_feature_tables,
    port_hint,
    post_in_turn,
    provide_model,
    right_answers,
    right_rows,
    rounds_when_quiet,
    running_server,
    score_mistakes,
    seconds_until,
    server_with_live_values,
    skewed_payments,
    start_command,
    stub_model,
    unknown_mistakes,
    unstable,
    watched,
    wrong_values,
)

BATCH_SIZE, TWICE = 100, 4


@criterion("4.1")
def api_serves_predictions(submission: Submission) -> Outcome:
    """POST /predict answers with the pair's features, as Redis has them, and their probability."""
    start_command(submission)
    _materialize(submission)
    provide_model(submission)
    server, from_redis = server_with_live_values(submission, _unseen(submission)[0])
    hidden, count = submission.hidden, submission.config.serving_pairs
    new = payments(hidden, NEW_ENTITIES, 2, only=NEW)
    sent = pd.concat([payments(hidden, count, 1), new, from_redis], ignore_index=True)
    requests = bodies(sent)
    predictions = post_in_turn(server, requests)
    got = answered(submission, predictions)
    right = right_rows(submission, sent, got)
    usable, values = [is_prediction(found) for found in predictions], got[PROBABILITY].nunique()
    mistakes = [
        *score_mistakes(submission, sent, got),
        *unstable(got, answered(submission, post_in_turn(server, requests[:NEW_ENTITIES]))),
        *accepted_mistakes(server, requests[0]),
        *unknown_mistakes(submission, server, sent, requests[0]),
    ]
    return Outcome(
        bool(right.all()) and all(usable) and values > 1 and not mistakes,
        f"{int(right.sum())} of {len(sent)} with the right features "
        f"({int(right.tail(len(from_redis)).sum())} of {len(from_redis)} that only Redis has), "
        f"{sum(usable)} with a verdict and a probability, "
        + "; ".join([f"{values} different ones", *mistakes]),
        "all, all, and more than one; the model's, and a 4xx for an amount that is not above 0",
        hint=port_hint(submission)
        or "features hold the values in Redis and those of the request, by the brief's names; the "
        "probability is that of class 1: docs/contract.md#exercise-4",
        examples=wrong_values(submission, sent, got),
    )


def _materialize(submission: Submission) -> None:
    """Fill Redis afresh by exercise 3: other criteria left in it what they needed."""
    add_new_entities(submission.hidden, sum(_unseen_sizes(submission)))
    place_feature_tables(submission)
    submission.sandbox.redis.client().flushall()
    submission.call(3, "materialize.py", "initial_materialization", days_back=7)


def _unseen_sizes(submission: Submission) -> list[int]:
    """The number of payments of new users and merchants in 4.1, 4.4, 4.3, and each round of 4.2."""
    config = submission.config
    rounds = [config.serving_rate * config.serving_load_s] * config.timed_rounds
    requests = (BATCH_SIZE, config.serving_pairs, *rounds)
    return [LIVE, *(round(COLD_SHARE * number) for number in requests)]


def _unseen(submission: Submission) -> list[pd.DataFrame]:
    """Payments of users and merchants that are never queried before, in the order of the sizes."""
    return payments_of_unasked(submission.hidden, 3, _unseen_sizes(submission))


@criterion("4.2")
def predictions_are_fast(submission: Submission) -> Outcome:
    """At a steady 100 requests a second, a stub for the model, the client's p95 is under 15 ms."""
    config, hidden = submission.config, submission.hidden
    count = round(config.serving_rate * config.serving_load_s)
    _, _, _, *rounds = _unseen(submission)
    loads = [skewed_payments(hidden, count, 10 + n, cold) for n, cold in enumerate(rounds)]

    def load(url: str, sent: Sequence[Body]) -> tuple[float, list[Answer]]:
        answers = at_rate(url + PREDICT, sent, config.serving_rate, config.serving_patience_s)
        p95 = float(np.percentile([answer.seconds for answer in answers], 95) * 1000)
        return p95, answers

    with stub_model(submission) as inference, bare_server() as bare:
        server = running_server(submission)

        def measure() -> Outcome:
            post_in_turn(server, bodies(hot_payments(hidden)))  # their entries may have expired
            sent = loads.pop()
            p95_ms, answers = load(server.url, bodies(sent))
            right = right_rows(submission, sent, answered(submission, bodies_of(answers))).sum()
            return Outcome(
                right == count and p95_ms < config.serving_p95_ms,
                f"p95 {p95_ms:.1f} ms ({inference}), {right} of {count} with the right features",
                f"p95 under {config.serving_p95_ms:g} ms at {config.serving_rate} requests/s, all",
                hint="one store for all requests, an event loop that nothing blocks, a model that "
                "a stub can replace: docs/errata.md#async-that-blocks, docs/contract.md#stub-model",
                figures={"p95, ms": p95_ms},
            )

        few = bodies(loads[0][: config.serving_rate])
        return rounds_when_quiet(measure, lambda: load(bare, few)[0], config.serving_p95_ms, config)


@criterion("4.3")
def cache_is_hit(submission: Submission) -> Outcome:
    """Once warm, most requests are answered without reading stored features, and /stats agrees."""
    server, hidden = running_server(submission), submission.hidden
    hot, pairs = hot_payments(hidden), submission.config.serving_pairs
    of_store = lasting_keys(submission.sandbox.redis)["db0"]
    post_in_turn(server, bodies(hot))
    _, warm = watched(submission, server, hot)
    mixed_payments = skewed_payments(hidden, pairs, 4, _unseen(submission)[2])
    predictions, mixed = watched(submission, server, mixed_payments)
    crossed = crossed_payments(hidden, 6)
    predictions += post_in_turn(server, bodies(crossed))
    sent = pd.concat([mixed_payments, crossed], ignore_index=True)
    got = answered(submission, predictions)
    right = right_answers(submission, sent, got)
    lasting = lasting_keys(submission.sandbox.redis).total() - of_store
    least = submission.config.serving_hit_rate
    is_reported = warm.is_reported and mixed.is_reported
    return Outcome(
        mixed.by_request > least and is_reported and bool(right.all()) and lasting < len(hot) / 2,
        f"{mixed.by_request:.0%} of {pairs} requests read no stored features, "
        f"{mixed.by_entity:.0%} of entities; /stats reports {mixed.claimed:.0%}, and "
        f"{warm.claimed:.0%} (true {warm.by_request:.0%}) of warm ones; "
        f"{int(right.sum())} of {len(sent)} answers right; {lasting} entries live more than a day",
        f"more than {least:.0%} of requests; /stats within {STATS_TOLERANCE:.0%} points, twice; "
        "all right; a time to live of a day at most",
        hint="keep stored features by pair or by entity, without the amount; count hits and "
        "misses where they happen: docs/errata.md#the-hit-rate",
        examples=wrong_values(submission, sent, got),
        figures={"hit rate, %": 100 * mixed.by_request},
    )


@criterion("4.4")
def batches_equal_singles(submission: Submission) -> Outcome:
    """A batch of 100 answers what 100 single requests do, in their order; 101 are too many."""
    server = running_server(submission)
    cold = _unseen(submission)[1]
    once = skewed_payments(submission.hidden, BATCH_SIZE - TWICE, 5, cold)
    sent = pd.concat([once, once[:TWICE]], ignore_index=True)
    requests = bodies(sent)
    batch = server.post(BATCH, {"transactions": requests})  # first: some are in no cache yet
    singles = answered(submission, post_in_turn(server, requests))
    found = batch.body.get("predictions") if batch.is_object else None
    if not isinstance(found, list):
        raise SubmissionError(f"POST {BATCH} gives no list of predictions: {batch}")
    got = answered(submission, [*found, *[None] * BATCH_SIZE][:BATCH_SIZE])
    columns = [*PAIR, PROBABILITY, VERDICT, *expected_features(submission.hidden)]
    same = equal_rows(singles, got, columns) & singles[PROBABILITY].notna()
    right = right_answers(submission, sent, got)
    accepted = accepted_batches(server, requests)
    return Outcome(
        bool((same & right).all()) and len(found) == BATCH_SIZE and not accepted,
        f"{int(same.sum())} of {BATCH_SIZE} equal their single request, {int(right.sum())} right, "
        + "; ".join([f"{len(found)} in all", *accepted]),
        f"{BATCH_SIZE} of {BATCH_SIZE}, in order, all right; a 4xx for 101 and for an amount of 0,"
        " no 5xx for none",
        examples=differences(singles, got, columns, of=sent[[*PAIR, "transaction_amount"]])
        or wrong_values(submission, sent, got),
    )


@criterion("4.5")
def health_is_accurate(submission: Submission) -> Outcome:
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
        hint="query Redis at every /health, with a short time-out",
        notes=[f"a prediction afterwards: status {server.post(PREDICT, body).status}"],
    )


def _after(seconds: float | None) -> str:
    return "not in time after" if seconds is None else f"{seconds:.1f} s after"


@criterion("4.6")
def many_connections_are_served(submission: Submission) -> Outcome:
    """A thousand requests on as many connections are all answered, each with its own values."""
    server, config = running_server(submission), submission.config
    count, limit_s = config.serving_connections, config.serving_connections_s
    sent = payments(submission.hidden, count, 7)
    requests = bodies(sent)

    def measure() -> Outcome:
        answers = at_once(server.url + PREDICT, requests, limit_s)
        got = answered(submission, bodies_of(answers))
        right = right_answers(submission, sent, got)
        again = answered(submission, post_in_turn(server, requests[:NEW_ENTITIES]))
        mistakes = unstable(got, again)
        failed = next((str(answer) for answer in answers if not answer.is_object), "")
        return Outcome(
            bool(right.all()) and not mistakes,
            f"{int(right.sum())} of {len(sent)} right, the last after "
            + "; ".join([f"{_last(answers):.1f} s", *mistakes]),
            f"all of {len(sent)} at once, within {limit_s:g} s",
            f"one of the others: {failed}" if failed else "",
            "a pool that waits rather than refuses, and no state shared between requests",
            examples=[] if failed else wrong_values(submission, sent, got),
            figures={"the last answer, s": _last(answers)},
        )

    with bare_server() as bare:

        def probe() -> float:
            return _last(at_once(bare, requests, limit_s))

        return rounds_when_quiet(measure, probe, limit_s, config)


def _last(answers: Sequence[Answer]) -> float:
    return max(answer.seconds for answer in answers)
