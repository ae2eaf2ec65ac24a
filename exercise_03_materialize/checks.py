"""The six criteria of exercise 3: what is in Redis, read from Redis's own bytes."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from checker.api import (
    CREATED,
    EVENT_TIME,
    KNOWN_VIEWS,
    Aged,
    KnownView,
    Outcome,
    Stored,
    Submission,
    alone,
    criterion,
    delete_entities,
    equal_rows,
    lost_others_keys,
    online,
    place_feature_tables,
    place_of,
    plain,
    put_others_keys,
    raised_by_one,
    rounds_when_quiet,
    rows_of_ages,
    stored,
    stored_view,
)
from lab.settings import utc_now

SCRIPT = "materialize.py"
WINDOW_DAYS = 7
NEW_ENTITIES = 50
TOMORROW_H = (-2.0, -26.0)  # rows of the day after; its run comes a minute later
GROWTH = 1.01  # of a repeat: a timestamp may be longer by a byte


def outcome_of(
    submission: Submission, parts: list[Stored], faults: list[str], required: str, hint: str
) -> Outcome:
    """Passed when every entity holds its newest value for long enough, without other faults."""
    wrong = [part for part in parts if not part.right.all()]
    total, right = sum(len(p.expected) for p in parts), sum(int(p.right.sum()) for p in parts)
    if wrong:
        names = ", ".join(dict.fromkeys(part.known.name for part in wrong))
        faults = [f"wrong or absent in {names}", *faults]
    if short := sum(part.expiring for part in parts):
        faults = [*faults, f"{short} of {total} expire within an hour, before the next run"]
    faults = [*faults, *lost_others_keys(submission)]
    return Outcome(
        not faults,
        f"{right} of {total} entities right, in {len(parts)} views",
        required,
        "; ".join(faults),
        hint,
        examples=[example for part in wrong for example in part.examples()],
    )


def materialize(submission: Submission, days_back: int = WINDOW_DAYS) -> None:
    submission.call(3, SCRIPT, "initial_materialization", days_back=days_back)


@criterion("3.1")
def initial_materialization_completes(submission: Submission) -> Outcome:
    """initial_materialization writes the newest value of each entity of its window, and no others.

    Its window ends now and is `days_back` long; other programs' keys in Redis remain.
    """
    submission.exercise(3)
    submission.sandbox.redis.client().flushall()
    put_others_keys(submission)
    materialize(submission, 1)  # imports the script, which may materialize as well
    with rows_of_ages(submission, [36, 84, 156, 204, -24]) as added:
        materialize(submission, 2)
        faults = [f"with days_back=2, {fault}" for fault in added.mistakes([36])]
        materialize(submission)
        faults += added.mistakes([36, 84, 156])
    return outcome_of(
        submission,
        stored(submission),
        faults,
        f"every entity with a row in the last {WINDOW_DAYS} days, in every view",
        "the window ends now, in UTC, and begins days_back before; change no other keys",
    )


@criterion("3.2")
def features_are_read_fast(submission: Submission) -> Outcome:
    """A warm read of an entity's features through Feast takes under 10 ms, at p95."""
    known = KNOWN_VIEWS["user_transaction_features"]
    expected = stored(submission)[0].expected
    chosen = random.Random(submission.hidden.seed).choices(
        list(expected.index), k=submission.config.online_reads
    )
    limit_ms = submission.config.online_read_p95_ms

    changed = expected.assign(**{known.features[0]: expected[known.features[0]] + 1})

    def measure() -> Outcome:
        answers, seconds = timed_reads(submission, known, chosen)
        right = equal_rows(changed.loc[chosen], answers, known.features)
        p95_ms = float(np.percentile(seconds, 95) * 1000)
        return Outcome(
            bool(right.all()) and p95_ms < limit_ms,
            f"p95 {p95_ms:.2f} ms over {len(seconds)} reads, {int(right.sum())} right",
            f"p95 under {limit_ms:g} ms, all right",
            figures={"p95, ms": p95_ms},
        )

    return rounds_when_quiet(
        measure, lambda: _bare_read_ms(submission), limit_ms, submission.config
    )


def timed_reads(
    submission: Submission, known: KnownView, entities: Sequence[str]
) -> tuple[pd.DataFrame, list[float]]:
    """Features as Feast reads them, warm, one entity after the other, under the brief's names.

    And the seconds that each read took, by our clock: their code may set that of its process. The
    first feature was raised by one in Redis just before, which no other place knows.
    """
    view = stored_view(submission, known)
    answers: list[dict[str, Any]] = []
    seconds: list[float] = []
    references = [f"{view.name}:{feature}" for feature in view.features]
    _, feature = submission.names.feature(known.name, known.features[0])

    def read(entity: str) -> None:
        start = time.perf_counter()
        answer = probe("read_online", features=references, entity={view.join_keys[0]: entity})
        seconds.append(time.perf_counter() - start)
        features = answer if isinstance(answer, dict) else {}
        answers.append({name: plain(features.get(name)) for name in view.features})

    with submission.prober() as probe:
        read("nobody")
        with raised_by_one(*place_of(submission, known), set(entities), feature):
            for entity in entities:
                read(entity)
    return submission.names.canonical(pd.DataFrame(answers[1:])), seconds[1:]


def _bare_read_ms(submission: Submission) -> float:
    """The 95th percentile of a request to Redis that needs no Feast."""
    client, seconds = submission.sandbox.redis.client(), []
    for _ in range(submission.config.online_reads):
        start = time.perf_counter()
        client.ping()
        seconds.append(time.perf_counter() - start)
    return float(np.percentile(seconds, 95) * 1000)


@criterion("3.3")
def incremental_writes_only_new_data(submission: Submission) -> Outcome:
    """incremental_materialization writes the entities with new rows, and no others; three times.

    The second run is a day later, by the clock of the submission's process, and the third a minute
    after that: a run whose start stands still writes the rows of the first again.
    """
    quiet = {name: submission.hidden.quiet(name) for name in KNOWN_VIEWS}
    for name, entities in quiet.items():
        delete_entities(*place_of(submission, KNOWN_VIEWS[name]), entities)
    _add_new_rows(submission, quiet)
    with rows_of_ages(submission, TOMORROW_H) as added:
        _run_incrementally(submission)
        faults = added.mistakes([])  # they are still in the future
        without = {name: [*quiet[name], *added.of_age.values()] for name in quiet}
        first = stored(submission, without=without)
        _run_incrementally(submission, ahead=timedelta(hours=-min(TOMORROW_H), minutes=1))
        is_ahead = bool(added.mistakes([]))
        if is_ahead:
            faults += [*added.mistakes(TOMORROW_H), *_rows_written_again(submission, added)]
    if not is_ahead:  # it takes the time from elsewhere
        _add_new_rows(submission, quiet)
        _run_incrementally(submission)
    again = sum(
        int(online(submission, known, quiet[name])[EVENT_TIME].notna().sum())
        for name, known in KNOWN_VIEWS.items()
    )
    others = sum(map(len, quiet.values()))
    faults += [f"{again} of {others} entities without new rows were written again"] if again else []
    new = [(part.expected[EVENT_TIME] > submission.hidden.as_of).to_numpy() for part in first]
    arrived = sum(int((part.right & is_new).sum()) for part, is_new in zip(first, new, strict=True))
    parts = [*first, *stored(submission, without=quiet)]
    hint = "a run starts where the last one ended, for every view"
    outcome = outcome_of(submission, parts, faults, "", hint)
    count = sum(int(is_new.sum()) for is_new in new)
    return replace(
        outcome,
        measured=f"{arrived} of {count} new rows arrived, {again} of {others} others written again",
        required=f"{count} and 0, also in a run a day later; all other entities as they were",
    )


def _rows_written_again(submission: Submission, added: Aged) -> list[str]:
    """Delete an entity whose row the last run was the first to read, and run once more."""
    *read_before, last = TOMORROW_H
    for known in KNOWN_VIEWS.values():
        entities = [added.of_age[age] for age in read_before]
        delete_entities(*place_of(submission, known), entities)
    _run_incrementally(submission, ahead=timedelta(hours=-last, minutes=2))
    return [f"in a run a minute later, {fault}" for fault in added.mistakes([last])]


def _run_incrementally(submission: Submission, ahead: timedelta = timedelta()) -> None:
    with submission.clock(ahead):
        submission.call(3, SCRIPT, "incremental_materialization")


def _add_new_rows(submission: Submission, quiet: Mapping[str, Sequence[str]]) -> None:
    """Give some entities of each view, but no quiet ones, rows that are new since the last run."""
    now = pd.Timestamp(utc_now()).as_unit("us")
    for part in stored(submission, without=quiet):
        table, known = submission.hidden.tables[part.known.name], part.known
        rows = part.expected.head(NEW_ENTITIES)
        features = {name: (rows[name] + 1).astype(table[name].dtype) for name in known.features}
        new = rows.assign(**features, **{EVENT_TIME: now, CREATED: now}).reset_index()
        submission.hidden.append(known.name, new[table.columns])
    place_feature_tables(submission)


@criterion("3.4")
def online_equals_offline(submission: Submission) -> Outcome:
    """A backfill in any order writes its range alone, and every entity holds its newest value."""
    now, days = submission.hidden.as_of, timedelta(days=1)
    materialize(submission)
    with rows_of_ages(submission, [24, 72, 120, 300, 372, 456]) as added:
        for start, end in ((now - 4 * days, now - 2 * days), (now - 16 * days, now - 4 * days)):
            submission.call(3, SCRIPT, "backfill_features", start_date=start, end_date=end)
        faults = added.mistakes([72, 120, 300, 372])
    return outcome_of(
        submission,
        stored(submission),
        faults,
        "all entities equal the offline store, to float32's precision; the rows of days 16 to 2 ago"
        " are written, and no others",
        "an older row must not replace a newer one; a backfill covers exactly its range",
    )


@criterion("3.5")
def memory_stays_within_limits(submission: Submission) -> Outcome:
    """Redis keeps one value per entity and feature: a repeat adds nothing, nothing is evicted.

    In all databases; keys that expire may come and go.
    """
    materialize(submission)
    keys, before = submission.sandbox.redis.footprint()
    materialize(submission)
    keys_after, after = submission.sandbox.redis.footprint()
    added_keys = max(keys_after - keys, 0)
    per_entity = after / sum(len(submission.hidden.entities(known)) for known in KNOWN_VIEWS)
    evicted = submission.sandbox.redis.client().info("stats")["evicted_keys"]
    limit = submission.config.redis_bytes_per_entity
    within = per_entity <= limit and added_keys == 0 and after <= before * GROWTH and evicted == 0
    hint = "a hash per entity, written over by the next run; a history belongs in the files"
    outcome = outcome_of(submission, stored(submission), [], "", hint)
    return replace(
        outcome,
        passed=within and outcome.passed,
        measured=f"{per_entity:.0f} bytes per entity; a repeat added {added_keys} lasting keys and "
        f"{after / before - 1:.1%} of bytes; {evicted} evicted; {outcome.measured}",
        required=f"at most {limit} bytes per entity; 0, at most {GROWTH - 1:.0%}, and 0; all",
        figures={"Redis, bytes per entity": per_entity},
    )


@criterion("3.6")
def materialization_is_fast(submission: Submission) -> Outcome:
    """A hundred thousand entities are in Redis within five minutes, and complete at return.

    In one round: what a run still writes after its return would count for the next.
    """
    known = KNOWN_VIEWS["user_transaction_features"]
    many = _many_rows(submission, known)
    submission.hidden.append(known.name, many)
    place_feature_tables(submission)
    with alone(submission.config):
        start = time.monotonic()
        materialize(submission)
        seconds = time.monotonic() - start
    entities = list(many[known.key])
    complete = Stored(known, many.set_index(known.key), online(submission, known, entities))
    limit = submission.config.materialize_limit_s
    return Outcome(
        seconds < limit and bool(complete.right.all()),
        f"{len(many):,} entities in {seconds:.1f} s, {int(complete.right.sum()):,} right at return",
        f"under {limit:g} s, all of them",
        examples=complete.examples(),
        figures={f"{len(many):,} entities, s": seconds},
    )


def _many_rows(submission: Submission, known: KnownView) -> pd.DataFrame:
    table = submission.hidden.tables[known.name]
    count = submission.config.materialize_entities
    rows = table.sample(count, replace=True, random_state=submission.hidden.seed)
    at = pd.Timestamp(submission.hidden.as_of - timedelta(hours=2)).as_unit("us")
    names = [f"many_{number}" for number in range(count)]
    return rows.assign(**{known.key: names, EVENT_TIME: at, CREATED: at}).reset_index(drop=True)
